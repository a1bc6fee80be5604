"""The learning curve: how well the order agrees with people after so many grades, and what more would likely bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from mad_core.errors import InputError
from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.learning.learner import folds_of, learn
from mad_core.metrics.ranking import c_index, count_pairs

DRAWS = 20
LEAST = 6
POWERS = (0.5, 1.0)
"""Errors fall with the number of grades by one of these powers, or a mixture of them, towards what is left."""


@dataclass(frozen=True)
class CurvePoint:
    """The C-index after some number of grades.

    Parameters
    ----------
    grades : int
    c_index : float
        Mean over draws, of graded images that the draw left out.
    low, high : float
        95 % of the draws.
    """

    grades: int
    c_index: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Points by number of grades, the detector's on the same images, and what more grades would likely bring.

    Parameters
    ----------
    points : sequence of CurvePoint
    detector : float
        C-index of the detector's score on all graded images.
    forecast : CurvePoint or None
        With ``more`` grades beyond the largest point; None where fewer than three points say too little.
    """

    points: Sequence[CurvePoint]
    detector: float
    forecast: CurvePoint | None


def learning_curve(
    graded: Evidence,
    grades: np.ndarray,
    scale: NormalScale,
    *,
    together: Sequence[str] | None = None,
    more: int = 20,
    draws: int = DRAWS,
    seed: int = 0,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Curve:
    """Learn from ever larger parts of the grades and judge by the others.

    Parameters
    ----------
    together : sequence of n str, optional
        Patient, part or lot of each graded image: no group is learned from and judged in one draw.
    more : int
        Grades beyond those at hand that the forecast is for.
    draws : int
        Random orders of grading.

    Raises
    ------
    InputError
        If fewer than ``2 * LEAST`` images are graded.
    """
    grades = np.asarray(grades, dtype=np.float64)
    if len(grades) < 2 * LEAST:
        raise InputError(f"A learning curve needs {2 * LEAST} grades; there are {len(grades)}.")
    sizes = np.unique(np.geomspace(LEAST, round(0.8 * len(grades)), 5).round().astype(int))
    rng, folds = np.random.default_rng(seed), folds_of(len(grades), together)
    agreements = np.full((draws, len(sizes)), np.nan)
    for draw in range(draws):
        order = np.argsort(rng.permutation(folds.max() + 1)[folds], kind="stable")
        for column, size in enumerate(sizes):
            judged = order[size:][~np.isin(folds[order[size:]], folds[order[:size]])]
            agreements[draw, column] = _agreement(graded, grades, scale, order[:size], judged)
            step(draw * len(sizes) + column + 1, draws * len(sizes))
    usable = ~np.isnan(agreements).all(axis=0)
    points = [_point(int(size), column) for size, column in zip(sizes[usable], agreements[:, usable].T, strict=True)]
    return Curve(
        points, _order(grades, graded.detector), forecast(sizes[usable], agreements[:, usable], len(grades) + more)
    )


def forecast(sizes: np.ndarray, agreements: np.ndarray, grades: int) -> CurvePoint | None:
    """The C-index to expect with ``grades`` grades.

    Each draw's curve is extended by itself, falling errors towards a floor, so that the interval holds what differs
    between draws; None for fewer than three sizes.

    Parameters
    ----------
    sizes : ndarray of shape (k,)
    agreements : ndarray of shape (draws, k)
        C-index of each draw; NaN where it could not be known.
    """
    if len(sizes) < 3:
        return None
    reached = [
        _extended(sizes[~np.isnan(row)], row[~np.isnan(row)], grades)
        for row in agreements
        if (~np.isnan(row)).sum() >= 3
    ]
    return _point(grades, np.array(reached)) if reached else None


def _extended(sizes: np.ndarray, values: np.ndarray, grades: int) -> float:
    """Non-negative least squares of the errors on a constant and the powers of the sizes."""
    basis = np.stack([np.ones(len(sizes)), *(sizes**-power for power in POWERS)], axis=1)
    weights, _ = nnls(basis * np.sqrt(sizes)[:, None], (1 - values) * np.sqrt(sizes))
    return 1 - float(weights @ [1.0, *(float(grades) ** -power for power in POWERS)])


def _point(grades: int, values: np.ndarray) -> CurvePoint:
    values = values[~np.isnan(values)]
    low, high = np.quantile(values, (0.025, 0.975))
    return CurvePoint(grades, float(values.mean()), float(low), float(high))


def _agreement(
    graded: Evidence, grades: np.ndarray, scale: NormalScale, taught: np.ndarray, judged: np.ndarray
) -> float:
    """C-index of the judged images; NaN where one side has one level only."""
    if len(np.unique(grades[taught])) < 2 or len(np.unique(grades[judged])) < 2:
        return float("nan")
    learner = learn(graded.rows(taught), grades[taught], scale)
    return _order(grades[judged], learner.predict(graded.rows(judged)).severity)


def _order(levels: np.ndarray, severity: np.ndarray) -> float:
    value = c_index(count_pairs(levels, severity))
    return float("nan") if value is None else value
