"""From scores to levels: cut-points set by hand, by cost or by isotonic fit, and what the decisions are worth.

With levels ``l_0 < … < l_{n-1}`` there are ``n - 1`` cuts in ascending order; an image whose score reaches the k-th
cut is called ``l_k`` or worse. All costs are of one image, in any unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mad_core.errors import InputError
from mad_core.metrics.intervals import percentile_interval
from mad_core.metrics.special import monotone

_Z = 1.959963984540054


def checked_cuts(cuts: ArrayLike, scale: ArrayLike) -> np.ndarray:
    """The cuts as float64 of shape (n - 1,).

    Raises
    ------
    InputError
        If there is not one cut between each two levels, or they are not finite and in ascending order.
    """
    found, count = np.asarray(cuts, dtype=np.float64), len(np.asarray(scale))
    if found.shape != (max(count - 1, 0),):
        raise InputError(f"{count} levels need {max(count - 1, 0)} cut-points, not {found.size}.")
    if not np.isfinite(found).all() or (np.diff(found) < 0).any():
        raise InputError("Cut-points are finite numbers in ascending order.")
    return found


def call_levels(scores: ArrayLike, cuts: ArrayLike, scale: ArrayLike) -> np.ndarray:
    """The level that each score is called, float64 of shape (n,); NaN where there is no score.

    Raises
    ------
    InputError
        As :func:`checked_cuts`.
    """
    values, found = np.asarray(scores, dtype=np.float64), checked_cuts(cuts, scale)
    called = np.asarray(scale, dtype=np.float64)[np.searchsorted(found, values, side="right")]
    return np.where(np.isfinite(values), called, np.nan)


def ordinal_confusion(levels: ArrayLike, scores: ArrayLike, cuts: ArrayLike, scale: ArrayLike) -> np.ndarray:
    """How often an image of one level is called another.

    Parameters
    ----------
    levels : array of shape (n,)
        Each one of ``scale``.
    scores : array of shape (n,)
        Finite.

    Returns
    -------
    ndarray of shape (L, L), int64
        Rows the true level, columns what it is called.

    Raises
    ------
    InputError
        As :func:`checked_cuts`.
    """
    steps = np.asarray(scale, dtype=np.float64)
    rows = np.searchsorted(steps, np.asarray(levels, dtype=np.float64))
    columns = np.searchsorted(checked_cuts(cuts, scale), np.asarray(scores, dtype=np.float64), side="right")
    size = len(steps)
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size).astype(np.int64)


def distance_cost(scale: ArrayLike, under: float, over: float) -> np.ndarray:
    """What it costs to call a level (row) another (column): so much for each level too low or too high; shape (L, L).

    Levels are counted in steps of the scale, half levels as whole steps.
    """
    steps = np.arange(len(np.asarray(scale)))
    apart = steps[None, :] - steps[:, None]
    return np.where(apart < 0, -under * apart, over * apart).astype(np.float64)


# -- placing cuts -------------------------------------------------------------------------------


def cuts_by_cost(
    levels: ArrayLike, scores: ArrayLike, scale: ArrayLike, cost: ArrayLike, shares: ArrayLike | None = None
) -> np.ndarray:
    """The cuts of the lowest cost on the given images, exactly.

    Dynamic programming over the distinct scores in ascending order: the cheapest way to call the first u of them at
    most level k is the cheapest way to call some of them at most level k - 1, and the rest k. O(L · U) after sorting.
    Among equal optima the lowest cuts are taken, so that nothing severe is called harmless for free; a cut lies half
    way between two scores, or outside of all.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        As :func:`ordinal_confusion` takes them.
    cost : array of shape (L, L)
    shares : array of shape (L,), optional
        Shares of the levels to optimise for; those of the given images by default. Levels without an image do not
        count.

    Raises
    ------
    InputError
        If there are no images.
    """
    steps, prices = np.asarray(scale, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    rows = np.searchsorted(steps, np.asarray(levels, dtype=np.float64))
    values, columns = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    if not len(values):
        raise InputError("Cut-points cannot be placed without scored images.")
    size, distinct = len(steps), len(values)
    table = np.bincount(rows * distinct + columns, minlength=size * distinct).reshape(size, distinct).astype(np.float64)
    if shares is not None:
        table *= (np.asarray(shares, dtype=np.float64) / np.maximum(table.sum(axis=1), 1))[:, None]
    # called[k, u]: cost of calling the first u distinct scores level k.
    called = np.concatenate([np.zeros((size, 1)), np.cumsum(prices.T @ table, axis=1)], axis=1)
    best, choices = called[0], []
    for k in range(1, size):
        before = best - called[k]
        lowest = np.minimum.accumulate(before)
        # Where a new minimum is reached; rounding must not move a cut, so equal within 1e-12 counts as equal.
        fresh = np.concatenate([[True], before[1:] < lowest[:-1] - 1e-12 * (1 + np.abs(lowest[:-1]))])
        choices.append(np.maximum.accumulate(np.where(fresh, np.arange(distinct + 1), 0)))
        best = lowest + called[k]
    places, at = [], distinct
    for choice in reversed(choices):
        at = int(choice[at])
        places.append(at)
    return between_scores(values, np.array(places[::-1], dtype=np.int64))


def between_scores(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Cuts that leave so many of the distinct scores below them: half way between two, or beyond the outermost."""
    pad = 0.01 * float(values[-1] - values[0]) or 0.5
    ends = np.concatenate([[values[0] - pad], values[:-1] + (values[1:] - values[:-1]) / 2, [values[-1] + pad]])
    # Half way between two neighbouring floats is the lower one; a score that reaches its cut must be the upper one.
    inner = ends[1:-1]
    ends[1:-1] = np.where(inner <= values[:-1], values[1:], inner)
    return ends[places]


@dataclass(frozen=True, eq=False)
class Isotonic:
    """The best level as a function of the score that never falls (squared error), between known scores linear.

    Parameters
    ----------
    scores, fitted : ndarray of shape (U,)
        Distinct scores, ascending, and their fitted level.
    """

    scores: np.ndarray
    fitted: np.ndarray

    def __call__(self, scores: ArrayLike) -> np.ndarray:
        """The fitted level of each score, flat beyond the known ones."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.scores, self.fitted)

    def cuts(self, scale: ArrayLike) -> np.ndarray:
        """Where the fitted level reaches half way between two levels of the scale, shape (L - 1,)."""
        steps = np.asarray(scale, dtype=np.float64)
        middles = (steps[1:] + steps[:-1]) / 2
        places = np.searchsorted(self.fitted, middles, side="left")
        return between_scores(self.scores, places)


def isotonic_fit(levels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Isotonic:
    """Isotonic regression of the level on the score (pool adjacent violators, Barlow et al. 1972).

    Parameters
    ----------
    levels, scores : array of shape (n,)
        Finite; equal scores are fitted as one, by their mean level.
    weights : array of shape (n,), optional

    Raises
    ------
    InputError
        If there are no images.
    """
    at = np.asarray(levels, dtype=np.float64)
    weight = np.ones(len(at)) if weights is None else np.asarray(weights, dtype=np.float64)
    values, places = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    if not len(values):
        raise InputError("Cut-points cannot be placed without scored images.")
    total = np.bincount(places, weights=weight)
    means = np.bincount(places, weights=weight * at) / total
    return Isotonic(values, monotone(means, total))


@dataclass(frozen=True)
class Conformal:
    """How far the level may lie from the fitted one: split-conformal intervals (Vovk et al. 2005; Lei et al. 2018).

    Parameters
    ----------
    radius : float
        Levels to each side. With fewer images than the confidence asks for it is infinite: any level may be.
    confidence : float
        Share of new images whose level lies within, at least, on average over such samples; whatever the fit is worth.
    n : int
        Images it was measured on, others than those of the fit.
    """

    radius: float
    confidence: float
    n: int

    def sets(self, fitted: ArrayLike, scale: ArrayLike) -> np.ndarray:
        """Which levels of the scale are within the interval of each image, bool of shape (n, L)."""
        steps = np.asarray(scale, dtype=np.float64)
        return np.abs(steps[None, :] - np.asarray(fitted, dtype=np.float64)[:, None]) <= self.radius + 1e-9


def conformal(fitted: ArrayLike, levels: ArrayLike, confidence: float = 0.9) -> Conformal:
    """The radius from images that the fit has not seen: the ceil((n + 1) · confidence)-th smallest residual."""
    residuals = np.sort(np.abs(np.asarray(levels, dtype=np.float64) - np.asarray(fitted, dtype=np.float64)))
    n = len(residuals)
    rank = int(np.ceil((n + 1) * confidence - 1e-9))
    return Conformal(float(residuals[rank - 1]) if 1 <= rank <= n else float("inf"), confidence, n)


# -- what decisions are worth -------------------------------------------------------------------


def kappa_of(confusion: ArrayLike, scale: ArrayLike) -> np.ndarray:
    """Cohen's kappa with quadratic weights of tables of shape (…, L, L); NaN where chance leaves no disagreement."""
    table, steps = np.asarray(confusion, dtype=np.float64), np.asarray(scale, dtype=np.float64)
    apart = (steps[:, None] - steps[None, :]) ** 2
    total = table.sum(axis=(-2, -1))
    observed = (table * apart).sum(axis=(-2, -1))
    rows, columns = table.sum(axis=-1), table.sum(axis=-2)
    chance = np.einsum("...i,...j,ij->...", rows, columns, apart)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, 1 - total * observed / chance, np.nan)


def rates_of(confusion: ArrayLike) -> np.ndarray:
    """Each row of tables of shape (…, L, L) as shares; NaN in rows without images."""
    table = np.asarray(confusion, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return table / table.sum(axis=-1, keepdims=True)


def mean_cost(confusion: ArrayLike, cost: ArrayLike) -> np.ndarray:
    """Mean cost of an image, of tables of shape (…, L, L); NaN without images."""
    table = np.asarray(confusion, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (table * np.asarray(cost, dtype=np.float64)).sum(axis=(-2, -1)) / table.sum(axis=(-2, -1))


def redrawn(confusion: ArrayLike, *, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """The table of ``draws`` resamples within each level, the cuts held; int64 of shape (draws, L, L).

    Drawing images of a level with replacement draws its row from a multinomial distribution.
    """
    table = np.asarray(confusion, dtype=np.int64)
    rng = np.random.default_rng(seed)
    found = np.zeros((draws, *table.shape), dtype=np.int64)
    for k, row in enumerate(table):
        if n := int(row.sum()):
            found[:, k] = rng.multinomial(n, row / n, size=draws)
    return found


def worth(
    confusion: np.ndarray, scale: ArrayLike, cost: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[float | None, list[float] | None]]:
    """``kappa``, ``cost`` and ``exact`` (share called their own level) of a confusion matrix, with 95 % intervals.

    The intervals resample the measured images within their levels; the cuts stay.
    """
    tables = redrawn(confusion, draws=draws, seed=seed)
    found = {}
    for name, of in (
        ("kappa", lambda table: kappa_of(table, scale)),
        ("cost", lambda table: mean_cost(table, cost)),
        ("exact", lambda table: mean_cost(table, np.eye(len(table[0] if table.ndim == 3 else table)))),
    ):
        value = float(of(confusion))
        drawn = of(tables)
        found[name] = (value if np.isfinite(value) else None, percentile_interval(drawn) if draws else None)
    return found


def crossed_confusion(
    levels: ArrayLike, scores: ArrayLike, scale: ArrayLike, cost: ArrayLike, *, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """The table of cuts by cost where no image is called by a cut that was placed on it; int64 of shape (L, L).

    Each level is dealt to the folds at random; the images of one are called by cuts placed on all the others.

    Raises
    ------
    InputError
        If there are not two images.
    """
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if len(at) < 2:
        raise InputError("Cut-points cannot be measured on other images than they were placed on: there are too few.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(at))
    order = order[np.argsort(at[order], kind="stable")]
    fold = np.empty(len(at), dtype=np.int64)
    fold[order] = np.arange(len(at)) % min(folds, len(at))
    parts = []
    for held in np.unique(fold):
        cuts = cuts_by_cost(at[fold != held], values[fold != held], scale, cost)
        parts.append(ordinal_confusion(at[fold == held], values[fold == held], cuts, scale))
    return np.sum(parts, axis=0)


def overkill_cut(normal_scores: ArrayLike, overkill: float) -> float:
    """The lowest score above which at most the given share of normal images lies, and a cut just there.

    Parameters
    ----------
    normal_scores : array of shape (n,)
        Finite, at least one.
    overkill : float
        0 to 1; the share of normal images that may be called abnormal.

    Raises
    ------
    InputError
        If there are no normal images.
    """
    values, counts = np.unique(np.asarray(normal_scores, dtype=np.float64), return_counts=True)
    if not len(values):
        raise InputError("A cut for a set overkill needs normal images with scores.")
    reach = counts.sum() - np.cumsum(counts)  # images above each distinct score
    allowed = int(np.floor(overkill * counts.sum() + 1e-9))
    if allowed >= counts.sum():
        return float(values[0])
    return float(np.nextafter(values[int(np.argmax(reach <= allowed))], np.inf))


def miss_rates(levels: ArrayLike, scores: ArrayLike, cut: float) -> dict[float, tuple[int, int]]:
    """For each abnormal level how many images score below the cut, and of how many."""
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    return {
        float(level): (int((values[at == level] < cut).sum()), int((at == level).sum()))
        for level in np.unique(at[at > 0])
    }


def wilson(count: int, n: int) -> list[float]:
    """95 % interval of a share (Wilson 1927); the whole range without images."""
    if not n:
        return [0.0, 1.0]
    share, z2 = count / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = _Z * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return [max(0.0, float(middle - reach)), min(1.0, float(middle + reach))]
