"""What is left of a rank correlation when a third quantity is held fixed: Kendall's partial tau, by pairs of images.

Every image is compared with every other: the sign of the difference of two quantities says whether the pair is
concordant. Tables of signs make all tau-b of a resample one matrix product, ties counted exactly.

- tau-b of x and y: sum of s_x s_y over pairs / sqrt(pairs untied in x · pairs untied in y) (Kendall 1945);
- partial tau of x and y given z: (t_xy - t_xz t_yz) / sqrt((1 - t_xz²)(1 - t_yz²)) (Kendall 1942).

A partial tau describes; it does not test. It is not 0 where x and y have nothing to do with each other at a fixed z: a
score that measures z alone keeps one. What is left at a fixed z is asked of residuals (:func:`left_at_fixed`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mad_core.metrics.intervals import stratified_counts
from mad_core.metrics.special import mean_ranks
from mad_core.metrics.units import held

MOST = 3000
"""Images beyond which the tables of signs would not fit: take a sample first."""


@dataclass(frozen=True, eq=False)
class Taus:
    """Rank correlations of a score x, a level y and an area z, one or as many as draws; NaN where there is none.

    Parameters
    ----------
    score_level, score_area, level_area : ndarray of shape (draws,)
        Kendall's tau-b.
    score_level_at_area : ndarray
        Partial tau of score and level, the area held fixed.
    score_area_at_level : ndarray
        Partial tau of score and area, the level held fixed.
    within_levels : ndarray
        Tau-b of score and area over pairs of images of the same level alone: the level is fixed exactly.
    """

    score_level: np.ndarray
    score_area: np.ndarray
    level_area: np.ndarray
    score_level_at_area: np.ndarray
    score_area_at_level: np.ndarray
    within_levels: np.ndarray

    @property
    def explained(self) -> np.ndarray:
        """Share of the tau of score and level that goes when the area is held fixed; NaN where that tau is not above 0.

        Above 1 where the rest points the other way, below 0 where the area hides an order.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.score_level > 0, 1 - self.score_level_at_area / self.score_level, np.nan)


def partial_tau(xy: ArrayLike, xz: ArrayLike, yz: ArrayLike) -> np.ndarray:
    """Kendall's partial tau of x and y given z, from the three taus; NaN where z settles x or y."""
    a, b, c = (np.asarray(value, dtype=np.float64) for value in (xy, xz, yz))
    rest = (1 - b * b) * (1 - c * c)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(rest > 1e-12, (a - b * c) / np.sqrt(rest), np.nan)


def taus(levels: ArrayLike, scores: ArrayLike, areas: ArrayLike) -> Taus:
    """All rank correlations of n images, arrays of shape (1,).

    Parameters
    ----------
    levels, scores, areas : array of shape (n,)
        Finite; half levels are levels of their own here.

    Raises
    ------
    ValueError
        If there are more than ``MOST`` images.
    """
    at = np.asarray(levels, dtype=np.float64)
    return _taus(_signs(at, scores, areas), np.ones((1, len(at))))


def bootstrap_taus(
    levels: ArrayLike, scores: ArrayLike, areas: ArrayLike, *, draws: int = 1000, seed: int = 0, groups: Any = None
) -> Taus:
    """The same of ``draws`` resamples, drawn with replacement within each level, groups whole; shape (draws,).

    O(draws · n²) for n images. The same seed and levels draw the same images, so two scorers' draws are paired.

    Raises
    ------
    ValueError
        If there are more than ``MOST`` images.
    """
    at = np.asarray(levels, dtype=np.float64)
    signs = _signs(at, scores, areas)
    parts = [_taus(signs, counts) for counts in stratified_counts(at, draws, seed, groups)]
    names = Taus.__dataclass_fields__
    return Taus(**{name: np.concatenate([getattr(part, name) for part in parts] or [np.empty(0)]) for name in names})


def _signs(levels: np.ndarray, scores: ArrayLike, areas: ArrayLike) -> dict[str, np.ndarray]:
    """Products of the signs of differences of each two quantities, and where two images differ; (n, n) each."""
    if len(levels) > MOST:
        raise ValueError(f"{len(levels)} images are too many to compare each with each; take at most {MOST}")
    at, x, z = (_sign(np.asarray(values, dtype=np.float64)) for values in (levels, scores, areas))
    same = (at == 0).astype(np.float32)
    untied = {name: np.abs(sign) for name, sign in (("level", at), ("score", x), ("area", z))}
    return {
        "score_level": x * at,
        "score_area": x * z,
        "level_area": at * z,
        **untied,
        "within": same * x * z,
        "score_within": same * untied["score"],
        "area_within": same * untied["area"],
    }


def _sign(values: np.ndarray) -> np.ndarray:
    return np.sign(values[:, None] - values[None, :]).astype(np.float32)


def _taus(signs: dict[str, np.ndarray], counts: np.ndarray) -> Taus:
    weights = counts.astype(np.float32)
    sums = {name: ((weights @ sign) * weights).sum(axis=1, dtype=np.float64) for name, sign in signs.items()}

    def tau(both: str, one: str, other: str) -> np.ndarray:
        pairs = sums[one] * sums[other]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, sums[both] / np.sqrt(pairs), np.nan)

    xy, xz = tau("score_level", "score", "level"), tau("score_area", "score", "area")
    yz = tau("level_area", "level", "area")
    within = tau("within", "score_within", "area_within")
    return Taus(xy, xz, yz, partial_tau(xy, xz, yz), partial_tau(xz, xy, yz), within)


LEAST = 12
"""Images below which nothing is said of what is left at a fixed area."""


@dataclass(frozen=True)
class Left:
    """A correlation that is left at a fixed third quantity.

    Parameters
    ----------
    value : float
        -1 to 1; 0 where nothing is left.
    error : float
        Standard error.
    freedom : int
        Degrees of freedom.
    """

    value: float
    error: float
    freedom: int


def left_at_fixed(levels: ArrayLike, scores: ArrayLike, areas: ArrayLike, groups: Any = None) -> Left | None:
    """The rank correlation of score and level that is left between images of nearly equal area.

    Ranks of the score, and levels, each less what the area makes expect: a line that bends where the area's rank
    passes one of some knots. The mean product of both residuals is 0 wherever the score depends on the area alone,
    however it does; an error in one of both curves alone moves nothing (generalised covariance measure, Shah and Peters
    2020).

    Parameters
    ----------
    levels, scores, areas : array of shape (n,)
        Finite, of one subset.
    groups : array of shape (n,), optional
        What images belong to; those of one are no independent ones.

    Returns
    -------
    Left or None
        None of fewer than :data:`LEAST` images, or where one of both residuals is 0 throughout.
    """
    place = (mean_ranks(np.asarray(areas, dtype=np.float64)) - 0.5) / max(len(np.asarray(areas)), 1)
    n = len(place)
    if n < LEAST:
        return None
    knots = np.linspace(0, 1, 2 + int(np.cbrt(n)))[1:-1]
    curve = np.column_stack([np.ones(n), place, *(np.maximum(place - knot, 0) for knot in knots)])
    both = np.column_stack([mean_ranks(np.asarray(scores, dtype=np.float64)), np.asarray(levels, dtype=np.float64)])
    fitted, _, rank, _ = np.linalg.lstsq(curve, both, rcond=1e-9)
    x, y = (both - curve @ fitted).T
    scale = float(np.sqrt((x * x).mean() * (y * y).mean()))
    if scale <= 1e-9 * n:
        return None
    products, units = x * y / scale, held(np.asarray(levels, dtype=np.float64), groups)
    apart = products - products.mean() if units is None else np.bincount(units, weights=products - products.mean())
    freedom = max(len(apart) - int(rank) - 1, 1)
    spread = float(np.sqrt((apart**2).sum() / n**2 * len(apart) / freedom))
    return Left(float(products.mean()), spread, freedom)


def levels_by_area(levels: ArrayLike, areas: ArrayLike) -> np.ndarray:
    """Levels that follow the area alone, as many images in each as the given levels have.

    The smallest images take the lowest of the given levels, and so on; images of equal area take the same level, that
    of the middle of their places.

    Parameters
    ----------
    levels, areas : array of shape (n,)
        Finite; of abnormal images.

    Returns
    -------
    ndarray of shape (n,)
        Values that occur among ``levels``.
    """
    at, extent = np.sort(np.asarray(levels, dtype=np.float64)), np.asarray(areas, dtype=np.float64)
    _, place, counts = np.unique(extent, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) // 2
    return at[middle[place]]


def bootstrap_c_index(
    strata: ArrayLike,
    scores: ArrayLike,
    order: ArrayLike,
    *,
    draws: int = 1000,
    seed: int = 0,
    groups: Any = None,
) -> tuple[float | None, np.ndarray]:
    """C-index of a score against any order of the images, and that of ``draws`` resamples within strata.

    Parameters
    ----------
    strata : array of shape (n,)
        What the resamples are drawn within, the severity levels; the same seed and strata draw the same images.
    scores : array of shape (n,)
        Finite.
    order : array of shape (n,)
        Levels of any kind, not rounded; pairs of equal ones are left out.
    groups : array of shape (n,), optional
        What images belong to; those of one are drawn together.

    Returns
    -------
    value : float or None
        None where all images have one level.
    drawn : ndarray of shape (draws,)
        NaN where a draw has one level only.

    Raises
    ------
    ValueError
        If there are more than ``MOST`` images.
    """
    at = np.asarray(strata, dtype=np.float64)
    if len(at) > MOST:
        raise ValueError(f"{len(at)} images are too many to compare each with each; take at most {MOST}")
    y = _sign(np.asarray(order, dtype=np.float64))
    both, apart = y * _sign(np.asarray(scores, dtype=np.float64)), np.abs(y)

    def share_won(counts: np.ndarray) -> np.ndarray:
        weights = counts.astype(np.float32)
        won, pairs = (((weights @ sign) * weights).sum(axis=1, dtype=np.float64) for sign in (both, apart))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, 0.5 + 0.5 * won / pairs, np.nan)

    value = float(share_won(np.ones((1, len(at))))[0])
    drawn = [share_won(counts) for counts in stratified_counts(at, draws, seed, groups)]
    return (value if np.isfinite(value) else None), np.concatenate(drawn or [np.empty(0)])
