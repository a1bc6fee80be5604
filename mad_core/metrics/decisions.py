"""From scores to levels: cut-points set by hand, by cost or by isotonic fit, and what the decisions are worth.

With levels ``l_0 < … < l_{n-1}`` there are ``n - 1`` cuts in ascending order; an image whose score reaches the k-th
cut is called ``l_k`` or worse. All costs are of one image, in any unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mad_core.errors import InputError
from mad_core.metrics.intervals import percentile_interval
from mad_core.metrics.special import monotone
from mad_core.metrics.units import dealt, units_of

_Z = 1.959963984540054


def checked_cuts(cuts: ArrayLike, scale: ArrayLike) -> np.ndarray:
    """The cuts as float64 of shape (n - 1,).

    Raises
    ------
    InputError
        If there is not one cut between each two levels, or they are not finite and in ascending order.
    """
    checked, count = np.asarray(cuts, dtype=np.float64), len(np.asarray(scale))
    if checked.shape != (max(count - 1, 0),):
        raise InputError(f"{count} levels need {max(count - 1, 0)} cut-points, not {checked.size}.")
    if not np.isfinite(checked).all() or (np.diff(checked) < 0).any():
        raise InputError("Cut-points are finite numbers in ascending order.")
    return checked


def call_levels(scores: ArrayLike, cuts: ArrayLike, scale: ArrayLike) -> np.ndarray:
    """The level that each score is called, float64 of shape (n,); NaN where there is no score.

    Raises
    ------
    InputError
        As :func:`checked_cuts`.
    """
    values, checked = np.asarray(scores, dtype=np.float64), checked_cuts(cuts, scale)
    called = np.asarray(scale, dtype=np.float64)[np.searchsorted(checked, values, side="right")]
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
    """The best level as a function of the score that never falls (squared error), between fitted scores linear.

    Parameters
    ----------
    scores, fitted : ndarray of shape (U,)
        Distinct scores, ascending, and their fitted level.
    """

    scores: np.ndarray
    fitted: np.ndarray

    def __call__(self, scores: ArrayLike) -> np.ndarray:
        """The fitted level of each score, flat beyond the ones it was fitted on."""
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


@dataclass(frozen=True, eq=False)
class Conformal:
    """How far a level may lie from the fitted one: split-conformal sets, level by level (Mondrian; Vovk et al. 2005).

    Each level has a radius of its own, so what is promised holds for every level by itself, and hence under any mix of
    levels, that of the field included. One radius for all would hold its promise for the mix it was measured on alone.

    Parameters
    ----------
    scale : ndarray of shape (L,)
    radii : ndarray of shape (L,)
        Levels to each side, for each level of the scale. With fewer images of a level than the confidence asks for it
        is infinite: that level may always be.
    confidence : float
        Share of new images of each level whose level is in their set, at least, on average over such samples; whatever
        the fit is worth.
    n : int
        Images it was measured on, others than those of the fit.
    """

    scale: np.ndarray
    radii: np.ndarray
    confidence: float
    n: int

    @property
    def radius(self) -> float:
        """The largest of the radii."""
        return float(self.radii.max())

    def sets(self, fitted: ArrayLike, scale: ArrayLike | None = None) -> np.ndarray:
        """Which levels of the scale are in the set of each image, bool of shape (n, L)."""
        steps = self.scale if scale is None else np.asarray(scale, dtype=np.float64)
        radii = np.array([self._radius_of(step) for step in steps])
        return np.abs(steps[None, :] - np.asarray(fitted, dtype=np.float64)[:, None]) <= radii + 1e-9

    def _radius_of(self, level: float) -> float:
        """A level without images in the calibration may always be."""
        radius = self.radii[self.scale == level]
        return float(radius[0]) if len(radius) else float("inf")

    def ends(self, fitted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest level of each set; the fitted level where a set is empty."""
        values = np.asarray(fitted, dtype=np.float64)
        sets = self.sets(values)
        low = np.where(sets, self.scale, np.inf).min(axis=1)
        high = np.where(sets, self.scale, -np.inf).max(axis=1)
        return np.where(np.isfinite(low), low, values), np.where(np.isfinite(high), high, values)


def conformal(
    fitted: ArrayLike, levels: ArrayLike, confidence: float = 0.9, scale: ArrayLike | None = None
) -> Conformal:
    """The radii from images that the fit has not seen: of each level the ceil((n + 1) · confidence)-th residual.

    Parameters
    ----------
    scale : array of shape (L,), optional
        Levels that may be; those of the given images by default.
    """
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(fitted, dtype=np.float64)
    steps = np.unique(at) if scale is None else np.asarray(scale, dtype=np.float64)
    radii = [_ranked(np.abs(values[at == step] - step), confidence) for step in steps]
    return Conformal(steps, np.array(radii), confidence, len(at))


def _ranked(residuals: np.ndarray, confidence: float) -> float:
    """The ceil((n + 1) · confidence)-th smallest; infinite where there are not so many."""
    rank = int(np.ceil((len(residuals) + 1) * confidence - 1e-9))
    return float(np.sort(residuals)[rank - 1]) if 1 <= rank <= len(residuals) else float("inf")


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
    resampled = np.zeros((draws, *table.shape), dtype=np.int64)
    for k, row in enumerate(table):
        if n := int(row.sum()):
            resampled[:, k] = rng.multinomial(n, row / n, size=draws)
    return resampled


def worth(
    confusion: np.ndarray, scale: ArrayLike, cost: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[float | None, list[float] | None]]:
    """``kappa``, ``cost`` and ``exact`` (share called their own level) of a confusion matrix, with 95 % intervals.

    The intervals resample the measured images within their levels; the cuts stay.
    """
    tables = redrawn(confusion, draws=draws, seed=seed)
    estimates = {}
    for name, of in (
        ("kappa", lambda table: kappa_of(table, scale)),
        ("cost", lambda table: mean_cost(table, cost)),
        ("exact", lambda table: mean_cost(table, np.eye(len(table[0] if table.ndim == 3 else table)))),
    ):
        value = float(of(confusion))
        drawn = of(tables)
        estimates[name] = (value if np.isfinite(value) else None, percentile_interval(drawn) if draws else None)
    return estimates


def crossed_confusion(
    levels: ArrayLike,
    scores: ArrayLike,
    scale: ArrayLike,
    cost: ArrayLike,
    *,
    folds: int = 5,
    seed: int = 0,
    groups: Any = None,
) -> np.ndarray:
    """The table of cuts by cost where no image is called by a cut that was placed on it; int64 of shape (L, L).

    Each level is dealt to the folds at random; the images of one are called by cuts placed on all the others. Images of
    one of the ``groups`` are dealt together.

    Raises
    ------
    InputError
        If there are not two images.
    """
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if len(at) < 2:
        raise InputError("Cut-points cannot be measured on other images than they were placed on: there are too few.")
    rng, units = np.random.default_rng(seed), units_of(groups, len(at))
    if units is None:
        order = rng.permutation(len(at))
        order = order[np.argsort(at[order], kind="stable")]
        fold = np.empty(len(at), dtype=np.int64)
        fold[order] = np.arange(len(at)) % min(folds, len(at))
    else:
        fold = dealt(at, units, folds, rng)
        if not fold.any():
            raise InputError("Cut-points cannot be measured on other groups than they were placed on: there is one.")
    parts = []
    for held in np.unique(fold):
        cuts = cuts_by_cost(at[fold != held], values[fold != held], scale, cost)
        parts.append(ordinal_confusion(at[fold == held], values[fold == held], cuts, scale))
    return np.sum(parts, axis=0)


def normals_needed(overkill: float) -> int:
    """Normal images without which no cut promises this overkill: the next one is the highest of n + 1 with 1 / (n + 1).

    >>> normals_needed(0.05)
    19

    Raises
    ------
    InputError
        If it is not above 0.
    """
    if overkill <= 0:
        raise InputError("No number of normal images promises an overkill of 0.")
    return max(int(np.ceil(1 / overkill - 1 - 1e-9)), 0)


def overkill_cut(normal_scores: ArrayLike, overkill: float) -> float:
    """The lowest cut that at most the given share of *new* normal images reaches, on average over such samples.

    Of n normals the one of rank ceil((n + 1) (1 - overkill)) is taken, and the cut lies just above it: a new image like
    them lies above it with a chance of at most ``overkill`` (order statistics; Wilks 1941). The share of the n images
    themselves that lie above it is smaller.

    Parameters
    ----------
    normal_scores : array of shape (n,)
        Finite, at least one.
    overkill : float
        0 to 1; the share of normal images that may be called abnormal.

    Returns
    -------
    float
        Infinite where there are too few normals (:func:`normals_needed`): then no finite cut keeps the promise.

    Raises
    ------
    InputError
        If there are no normal images.
    """
    values = np.sort(np.asarray(normal_scores, dtype=np.float64))
    if not len(values):
        raise InputError("A cut for a set overkill needs normal images with scores.")
    rank = int(np.ceil((len(values) + 1) * (1 - overkill) - 1e-9))
    if rank > len(values):
        return float("inf")
    return float(np.nextafter(values[rank - 1], np.inf)) if rank > 0 else float(values[0])


@dataclass(frozen=True)
class OverkillCut:
    """A cut for a set overkill, and what it does to the normal images of each group.

    Parameters
    ----------
    cut : float
        Infinite where the normals are too few.
    overkill : float
        What was asked.
    normals, needed : int
        Normal images that it was placed on, and how many the promise needs.
    least : float
        The lowest overkill that so many normals can promise.
    caught : mapping of group to (count, n)
        Good images that reach the cut, and of how many; under ``""`` where there are no groups.
    """

    cut: float
    overkill: float
    normals: int
    needed: int
    least: float
    caught: Mapping[str, tuple[int, int]]


def overkill_by_group(
    normal_scores: ArrayLike,
    overkill: float,
    groups: ArrayLike | None = None,
    *,
    placed_on: Sequence[str] | None = None,
) -> OverkillCut:
    """Place a cut on the normals of some groups (a day, a lot, a camera), and count the good parts it catches in each.

    Parameters
    ----------
    normal_scores : array of shape (n,)
        Finite.
    groups : array of shape (n,), optional
        Group of each image.
    placed_on : sequence of str, optional
        Groups whose normals the cut is placed on; all by default. Counts of the others show what the promise is worth
        for images unlike those that it was made for.

    Raises
    ------
    InputError
        If there are no normal images in these groups, or no groups are given.
    """
    values = np.asarray(normal_scores, dtype=np.float64)
    if groups is None and placed_on is not None:
        raise InputError("A cut on some groups needs the group of each image.")
    names = np.array([""] * len(values) if groups is None else [str(name) for name in np.asarray(groups)], dtype=object)
    chosen = np.ones(len(values), dtype=bool) if placed_on is None else np.isin(names, list(placed_on))
    cut = overkill_cut(values[chosen], overkill)
    caught = {
        name: (int((values[names == name] >= cut).sum()), int((names == name).sum())) for name in sorted(set(names))
    }
    needed = normals_needed(overkill) if overkill > 0 else 0
    return OverkillCut(cut, overkill, int(chosen.sum()), needed, 1 / (int(chosen.sum()) + 1), caught)


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
