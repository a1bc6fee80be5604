"""Every scorer's declaration: its facts, its parameters and what it needs. No torch here."""

from __future__ import annotations

__all__: list[str] = []
