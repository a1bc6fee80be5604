"""Sets of levels with a stated guarantee: for each level, images of it are missed no oftener than promised.

Label-conditional ("Mondrian") conformal prediction (Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random
World, 4.5): a level stays in an image's set unless the image fits it worse than all but a small share of the graded
images of that level do, each of these judged by a fit that has not seen it. With exchangeable images the set of a new
one of level k lacks k with a chance of at most ``miss``. Judging the graded images out of fold, as here, keeps this up
to what leaving one fold out changes (Barber et al. 2021, Predictive Inference with the Jackknife+: at most twice
``miss`` in the worst case).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def level_sets(
    strangeness: np.ndarray, graded: np.ndarray, grades: np.ndarray, levels: np.ndarray, miss: float
) -> np.ndarray:
    """Which levels cannot be ruled out.

    Parameters
    ----------
    strangeness : ndarray of shape (m, L)
        How badly each of m images fits each level; higher = worse.
    graded : ndarray of shape (n,)
        How badly each graded image fits its own level, judged out of fold.
    grades : ndarray of shape (n,)
        Levels of the graded images.
    levels : ndarray of shape (L,)
        Ascending.
    miss : float
        Share of the images of a level whose sets may lack it, 0 to 1.

    Returns
    -------
    ndarray of shape (m, L), bool
        Gaps between two levels of a set are filled, so that a set is an interval; never empty.
    """
    inside = np.stack(
        [p_values(strangeness[:, k], graded[grades == level]) > miss for k, level in enumerate(levels)], axis=1
    )
    best = strangeness.argmin(axis=1)
    inside[np.arange(len(best)), best] = True
    return np.maximum.accumulate(inside, axis=1) & np.maximum.accumulate(inside[:, ::-1], axis=1)[:, ::-1]


def p_values(strangeness: np.ndarray, graded: np.ndarray) -> np.ndarray:
    """Share of the graded images of a level, the new one counted among them, that are as strange as it: (m,)."""
    ordered = np.sort(graded)
    stranger = len(ordered) - np.searchsorted(ordered, strangeness, side="left")
    return (1 + stranger) / (len(ordered) + 1)


def needed(miss: float) -> int:
    """Graded images of a level below which no image's set can lack it: the promise is kept by never ruling it out."""
    return int(np.ceil(1 / miss - 1e-9)) - 1


def never_ruled_out(grades: np.ndarray, levels: np.ndarray, miss: float) -> Mapping[float, int]:
    """Levels with too few graded images to be ruled out anywhere, and how many they have."""
    counts = {float(level): int((grades == level).sum()) for level in levels}
    return {level: count for level, count in counts.items() if count < needed(miss)}
