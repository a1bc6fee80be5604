"""Images outside all that a run was fitted on: a black frame, another product, a mask by mistake.

A detector scores such an image, too, and its score says nothing of severity. Pictures are compared as small grey
squares: the brightness of 6 x 6 places, and how much contrast there is. An image is outside where most places are
brighter or darker than in any image that was fitted on, by a margin, or where its contrast is: a defect, even a large
one, changes fewer places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mad_core.datasets.own_normals import FACT as LEARNED
from mad_core.errors import MadError
from mad_core.images import small_grey

if TYPE_CHECKING:
    from mad_core.datasets.dataset import Dataset
    from mad_core.runs.store import RunSubset

FACT = "outside"
"""Under this name facts of a run's subset hold what :func:`look` found."""
SIDE, PLACES = 48, 6
FEWEST, MOST = 8, 300
"""Fitted images that are compared with, at least and at most."""
SHARE = 0.6
"""Of the places, from which on an image is outside."""
BRIGHTNESS, CONTRAST = 0.04, np.log(4)
"""Margins beyond what was fitted on, besides twice the spread there: of grey (0-1), and a factor of 4 in contrast."""
_THREADS = 2


@dataclass(frozen=True)
class Inside:
    """What was fitted on reaches from ``low`` to ``high`` in each place and contrast, margins included: (38,) each."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, described: np.ndarray) -> Inside | None:
        """From descriptions of shape (n, 38); None of too few."""
        if len(described) < FEWEST:
            return None
        spread = np.quantile(described, 0.9, axis=0) - np.quantile(described, 0.1, axis=0)
        margin = 2 * spread + np.repeat([BRIGHTNESS, CONTRAST], [PLACES**2, 2])
        return cls(described.min(axis=0) - margin, described.max(axis=0) + margin)

    def outside(self, described: np.ndarray) -> np.ndarray:
        """Whether each of the descriptions (m, 38) lies outside: bool of shape (m,)."""
        beyond = (described < self.low) | (described > self.high)
        return (beyond[:, : PLACES**2].mean(axis=1) >= SHARE) | beyond[:, PLACES**2 :].any(axis=1)


def describe(path: Path) -> np.ndarray:
    """Mean grey of 6 x 6 places (0-1), logarithm of the contrast of all of it and of neighbouring pixels: (38,).

    Raises
    ------
    ImageError
    """
    grey = small_grey(path, SIDE).astype(np.float64) / 255
    step = SIDE // PLACES
    places = grey.reshape(PLACES, step, PLACES, step).mean(axis=(1, 3))
    fine = np.hypot(np.diff(grey, axis=0)[:, :-1], np.diff(grey, axis=1)[:-1])
    return np.array([*places.ravel(), np.log(grey.std() + 0.004), np.log(fine.mean() + 0.002)])


def look(dataset: Dataset, subset: str, entry: RunSubset, check_cancel: Callable[[], None]) -> Mapping[str, Any] | None:
    """What lies outside among the test images that were not looked at yet; None where nothing is new.

    Returns
    -------
    dict or None
        ``low`` and ``high`` of :class:`Inside`, ``images`` (ids of those outside), ``seen`` (test images looked at).
    """
    before = entry.facts.get(FACT) or {}
    tests = dataset.select(split="test", subset=subset)
    seen = int(before.get("seen", 0))
    if seen >= len(tests):
        return None
    inside = inside_of(before) or Inside.of(_described(_fitted(dataset, subset, entry), check_cancel)[1])
    if inside is None:
        return {"seen": len(tests), "images": []}
    ids, described = _described(tests.iloc[seen:], check_cancel)
    out = inside.outside(described) if len(described) else np.zeros(0, dtype=bool)
    strange = [image_id for image_id, is_out in zip(ids, out, strict=True) if is_out]
    ends = {"low": inside.low.tolist(), "high": inside.high.tolist()}
    return {**ends, "images": [*before.get("images", ()), *strange], "seen": len(tests)}


def inside_of(facts: Mapping[str, Any]) -> Inside | None:
    """What :func:`look` kept; None where it had too little to compare with."""
    return Inside(np.array(facts["low"]), np.array(facts["high"])) if "low" in facts else None


def is_outside(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether one more image lies outside, by what :func:`look` kept; False where that is not known."""
    inside = inside_of(facts)
    try:
        return inside is not None and bool(inside.outside(describe(path)[None])[0])
    except MadError:
        return False


def carried(old: RunSubset | None, fit: str | None) -> dict[str, Any]:
    """What of a subset's facts outlives a new session with the same fit."""
    return {FACT: old.facts[FACT]} if old and old.fit == fit and FACT in old.facts else {}


def _fitted(dataset: Dataset, subset: str, entry: RunSubset) -> pd.DataFrame:
    """Rows of what was fitted on, and of labelled images that were set aside; no more than ``MOST``."""
    learned = entry.facts.get(LEARNED, {}).get("images")
    rows: Any = dataset.normals(subset)
    rows = rows if learned is None else rows[rows["image_id"].isin(learned)]
    rows = pd.concat([rows, dataset.select(split="calibration", subset=subset)])
    return rows.iloc[:: max(1, -(-len(rows) // MOST))]


def _described(rows: pd.DataFrame, check_cancel: Callable[[], None]) -> tuple[Sequence[str], np.ndarray]:
    """Ids and descriptions of the images that can be read."""
    pairs: list[tuple[str, np.ndarray]] = []
    with ThreadPoolExecutor(_THREADS, "describing") as pool:
        described = pool.map(_described_or_none, rows["path"])
        for image_id, one in zip(rows["image_id"], described, strict=True):
            check_cancel()
            if one is not None:
                pairs.append((image_id, one))
    return [name for name, _ in pairs], np.array([one for _, one in pairs]).reshape(len(pairs), PLACES**2 + 2)


def _described_or_none(path: str) -> np.ndarray | None:
    try:
        return describe(Path(path))
    except (MadError, OSError):
        return None
