"""Which real pictures were looked at while the default detector was chosen: fixed before anything was tried.

The rule knows nothing but the bytes of a file. Half of the pictures are for choosing (``TUNING``), the others are
for the figures that are printed (``HELD_OUT``); training normals of folders that have some are used for both. Of the
solar cells, which come without a training split, three eighths of each half's normals train for that half.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

TUNING, HELD_OUT = "tuning", "held out"
TRAINING_BELOW = 96


def half_of(path: Path) -> str:
    """``TUNING`` or ``HELD_OUT``: whether the first byte of the file's SHA-256 is even."""
    return TUNING if _digest(path)[0] % 2 == 0 else HELD_OUT


def trains(path: Path) -> bool:
    """Whether a normal solar cell is a training normal: by the second byte of the file's SHA-256."""
    return _digest(path)[1] < TRAINING_BELOW


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
