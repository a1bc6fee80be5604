"""Declarations of the studies. No torch here."""

from __future__ import annotations
