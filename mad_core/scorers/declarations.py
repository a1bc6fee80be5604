"""Every scorer's declaration: its facts, its parameters and what it needs. No torch here."""

from __future__ import annotations

from mad_core.scorers.catalog import ScorerInfo, register
from mad_core.scorers.scorer import Parameter

__all__: list[str] = []
