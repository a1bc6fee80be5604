"""Which real pictures were looked at while the default detector was chosen: fixed before anything was tried.

The rule knows nothing but the bytes of a file. Half of the pictures are for choosing (``TUNING``), the others are
for the figures that are printed (``HELD_OUT``); training normals of folders that have some are used for both. The
solar cells come without a training split: three eighths of their normals train (``mad_core.datasets.solar_cells``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

TUNING, HELD_OUT = "tuning", "held out"


def half_of(path: Path) -> str:
    """``TUNING`` or ``HELD_OUT``: whether the first byte of the file's SHA-256 is even."""
    return TUNING if hashlib.sha256(path.read_bytes()).digest()[0] % 2 == 0 else HELD_OUT
