"""How uncertain the rank metrics are: 95 % intervals from the images at hand, without drawing any at random.

Every rank metric is a mean over pairs of images of different levels, so each image has a share in it: how it stands to
the images of the other levels (its placement). Level sizes are fixed, so the variance is that of the placements within
the levels (DeLong et al. 1988; Hoeffding 1948), less what DeLong's estimate is too large by in small samples.

Near a perfect order the placements hardly vary, and a plain interval around the value would be empty. So the variance
is turned into the number of independent images that it stands for (the design effect of surveys), with errors added
that carry the variance of a cautious prior, and the interval is Wilson's (1927) of a share of so many images. It never
leaves the range of the metric, and never is empty. The more images the errors at hand come from, the fewer are added:
what can still come is seen then. Few images widen it by Student's t, its degrees of freedom by Satterthwaite.

Images of a group (a patient, a lot) are no independent ones: what they move is added up first, and a level has as many
independent parts as it has groups (Obuchowski 1997, Nonparametric analysis of clustered ROC curve data).

What these intervals cover in simulations with known truth is in ``docs/metrics.md``; ``make truth`` repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mad_core.metrics.ranking import score_table, told_apart
from mad_core.metrics.special import NORMAL, student_quantile
from mad_core.metrics.units import FEWEST, counts_by_level, held

_ERRORS = 2.0
"""Errors that are added, over all images, where none is seen; half of them where two images make those seen."""
_SEEN = 2.0
_CAUTION = 0.4
"""Their variance in a level, in units of that of a coin with the value's chance: placements of equal distributions have
a third, those of heavy tails nearly a half."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """A metric of one subset and what each image moves in it.

    Parameters
    ----------
    value : float
    low, high : float
        The range that the interval is kept in.
    moves : ndarray of shape (n,)
        What each image adds to the metric, less the mean of its level; 0 for images that the metric leaves out.
    strata : ndarray of shape (n,), int64
        Level of each image, counted from 0; -1 for images that the metric leaves out.
    unbiased : float
        What the variance of the moves is to be multiplied by, 0.5 to 1.
    prior : float
        Variance of a share of the range near its ends, times the number that is no error: what it is when nothing is
        known but level sizes.
    errors : float
        How many errors are added.
    units : ndarray of shape (n,), int64, optional
        What images belong together with; each is independent where it is absent.
    """

    value: float
    low: float
    high: float
    moves: np.ndarray
    strata: np.ndarray
    unbiased: float
    prior: float
    errors: float = _ERRORS
    units: np.ndarray | None = None

    @property
    def independent(self) -> int:
        """Images that enter, or groups of them."""
        there = self.strata >= 0
        return int(there.sum()) if self.units is None else len(np.unique(self.units[there]))

    @property
    def variances(self) -> np.ndarray:
        """What each level adds to the variance, shape (L,)."""
        return self.covariances(self)

    @property
    def freedom(self) -> np.ndarray:
        """Images, or groups, of each level less one, shape (L,)."""
        return self._sizes - 1

    @property
    def _sizes(self) -> np.ndarray:
        there = self.strata >= 0
        return counts_by_level(self.strata[there], None if self.units is None else self.units[there])

    def covariances(self, other: Uncertainty) -> np.ndarray:
        """What each level adds to the covariance with another metric of the same images, shape (L,)."""
        there, sizes = self.strata >= 0, self._sizes
        if self.units is None:
            products = self.moves * other.moves
        else:
            products = (self.moves * other.of_units + other.moves * self.of_units) / 2
        sums = np.bincount(self.strata[there], weights=products[there])
        return (self.unbiased * other.unbiased) ** 0.5 * sums * sizes / np.maximum(sizes - 1, 1)

    @property
    def of_units(self) -> np.ndarray:
        """What the whole group of each image moves, shape (n,); what the image moves where it is independent."""
        if self.units is None:
            return self.moves
        return np.bincount(self.units, weights=np.where(self.strata >= 0, self.moves, 0.0))[self.units]


def uncertainties(levels: ArrayLike, scores: ArrayLike, groups: Any = None) -> dict[str, Uncertainty]:
    """The rank metrics of one subset, those of :data:`mad_core.metrics.intervals.METRICS` that have an interval.

    O(n log n + L U) for L levels and U distinct scores.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        Scores are finite.
    groups : array of shape (n,), optional
        What images belong to; those of one are taken together where :func:`mad_core.metrics.units.held` says so.

    Returns
    -------
    dict
        Without metrics that are not defined, or that need a level of fewer than
        :data:`mad_core.metrics.units.FEWEST` images.
    """
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not len(at):
        return {}
    table, present = score_table(at, values)
    rows = np.searchsorted(present, told_apart(at))
    columns = np.unique(values, return_inverse=True)[1]
    units, by_metric = held(rows, groups), {}
    sizes, alone = counts_by_level(rows, units), int(present[0] == 0)
    if min(sizes) >= FEWEST:
        by_metric |= _ordering(_Placed(table, rows, columns, units), "")
    if len(present) > alone and min(sizes[alone:]) >= FEWEST:
        by_metric |= _ordering(_Placed(table[alone:], rows - alone, columns, units), "abnormal_")
    if alone and len(present) > 1 and min(counts_by_level(np.minimum(rows, 1), units)) >= FEWEST:
        by_metric["auroc_whole"] = _detection(_Placed(table, rows, columns, units), sizes)
    return by_metric


@dataclass(frozen=True, eq=False)
class _Placed:
    """Images by how often each score occurs in each level, and where each image stands in that table."""

    table: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    units: np.ndarray | None = None

    def alike(self, one: Uncertainty) -> float:
        """By how much the variance is larger than that of independent images: 1 to the images of a group, which it is
        where nothing varies; 1 without groups."""
        if self.units is None:
            return 1.0
        most = float((self.rows >= 0).sum()) / one.independent
        alone = float(replace(one, units=None).variances.sum())
        return min(max(float(one.variances.sum()) / alone, 1.0), most) if alone > 0 else most

    def of_images(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of cells, less the mean of their level, for each image; and the strata."""
        counts = self.table.astype(np.float64)
        centred = values - ((values * counts).sum(axis=1) / counts.sum(axis=1))[:, None]
        there = self.rows >= 0
        moves = np.zeros(len(self.rows))
        moves[there] = centred[self.rows[there], self.columns[there]]
        return moves, np.where(there, self.rows, -1)

    def share(self, counted: np.ndarray) -> tuple[Uncertainty, np.ndarray, float]:
        """The share of rightly ordered pairs, ties one half, of those pairs of levels that count.

        Also ``won``, twice the pairs that an image wins for each cell, and the number of pairs.
        """
        counts = self.table.astype(np.float64)
        sizes = counts.sum(axis=1)
        below = np.cumsum(counts, axis=1) - counts / 2
        weights = counted.astype(np.float64)
        pairs = float((weights * np.outer(sizes, sizes)).sum())
        won = weights.T @ below + weights @ (sizes[:, None] - below)
        value = float((won * counts).sum()) / (2 * pairs)
        moves, strata = self.of_images(won / pairs)
        prior, errors = _prior(weights, sizes, pairs, value), _errors(counts, won, weights, sizes)
        one = Uncertainty(value, 0.0, 1.0, moves, strata, 1.0, prior, errors, self.units)
        if self.units is not None:
            return replace(one, prior=prior * self.alike(one), errors=_ERRORS), won, pairs
        whole = float(one.variances.sum())
        excess = float((weights * np.outer(sizes, sizes) * _interaction(counts, below, sizes)).sum()) / pairs**2
        kept = min(max((whole - max(excess, 0.0)) / whole, 0.5), 1.0) if whole > 0 else 1.0
        return replace(one, unbiased=kept), won, pairs


def _prior(weights: np.ndarray, sizes: np.ndarray, pairs: float, value: float) -> float:
    """The variance of a share, divided by share times rest, where every level varies as :data:`_CAUTION` says.

    An image stands to lower and to higher levels. Without an order, what it wins of the ones it loses to the others;
    near a perfect one it errs on one side only.
    """
    lower, higher = weights.T @ sizes, weights @ sizes
    cancelled = 2 * lower * higher * (1 - abs(2 * value - 1))
    return float((_CAUTION * sizes * (lower**2 + higher**2 - cancelled)).sum()) / pairs**2


def _errors(counts: np.ndarray, won: np.ndarray, weights: np.ndarray, sizes: np.ndarray) -> float:
    """Errors to add: fewer, the more images it takes at the least to make the wrong pairs (or the right ones, if less).

    Parameters
    ----------
    won : ndarray of shape (L, U)
        Pairs that an image of each cell wins.
    """
    lost = ((weights + weights.T) @ sizes)[:, None] - won
    rarer = min(won, lost, key=lambda pairs: float((pairs * counts).sum()))
    largest = float(rarer[counts > 0].max())
    return _ERRORS / (1 + float((rarer * counts).sum()) / (2 * largest * _SEEN)) if largest > 0 else _ERRORS


def _interaction(counts: np.ndarray, below: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """For each two levels the variance of a pair that neither of its images explains, shape (L, L)."""
    both = np.outer(sizes, sizes)
    means = counts @ below.T / both
    squares = counts @ (below**2).T / sizes**2 - sizes[:, None] * means**2
    spread = both * means * (1 - means) - counts @ counts.T / 4
    rest = spread - sizes * squares - sizes[:, None] * squares.T
    return rest / np.maximum(np.outer(sizes - 1, sizes - 1), 1)


def _ordering(placed: _Placed, prefix: str) -> dict[str, Uncertainty]:
    """The C-index and tau-b, which is 0 of equal scores: they order nothing."""
    size = len(placed.table)
    if size < 2:
        return {}
    share, won, pairs = placed.share(np.triu(np.ones((size, size)), k=1))
    by_metric = {f"{prefix}c_index": share}
    n, total = float(placed.table.sum()), placed.table.sum(axis=0).astype(np.float64)
    untied = (n * n - float((total * total).sum())) / 2
    tau = _tau(placed, share, won, pairs, n - total, untied) if untied else replace(share, value=0.0, low=-1.0)
    return by_metric | {f"{prefix}kendall_tau_b": tau}


def _tau(
    placed: _Placed, share: Uncertainty, won: np.ndarray, pairs: float, apart: np.ndarray, untied: float
) -> Uncertainty:
    """Tau-b, which is (2 C - 1) sqrt(pairs / untied): its range ends where a perfect order with as many ties would be.

    With ties that number is uncertain itself, so the range is wider by that.

    Parameters
    ----------
    apart : ndarray of shape (U,)
        Images of another score, for each score.
    """
    sizes = placed.table.sum(axis=1).astype(np.float64)
    rate = (pairs / untied) ** 0.5
    tau = (2 * share.value - 1) * rate
    signed = 2 * won - (sizes.sum() - sizes)[:, None]
    moves, strata = placed.of_images(signed / (pairs * untied) ** 0.5 - tau / 2 * apart / untied)
    ties, _ = placed.of_images(np.broadcast_to(apart / untied / 2, placed.table.shape))
    loose = max(Uncertainty(0.0, 0.0, 1.0, ties, strata, 1.0, 0.0, units=placed.units).variances.sum(), 0.0) ** 0.5
    end = min(1.0, rate * float(np.exp(NORMAL.inv_cdf(0.975) * loose)))
    return Uncertainty(tau, -end, end, moves, strata, share.unbiased, share.prior, units=placed.units)


def _detection(placed: _Placed, sizes: np.ndarray) -> Uncertainty:
    """AUROC of level 0 against the rest; levels too small to vary within are taken together with all abnormal ones."""
    if min(sizes[1:]) < FEWEST:
        table = np.stack([placed.table[0], placed.table[1:].sum(axis=0)])
        placed = replace(placed, table=table, rows=np.minimum(placed.rows, 1))
    counted = np.zeros((len(placed.table), len(placed.table)))
    counted[0, 1:] = 1
    return placed.share(counted)[0]


# -- intervals ------------------------------------------------------------------------------------


def interval(parts: Sequence[Uncertainty], confidence: float = 0.95) -> list[float] | None:
    """The interval of the mean of a metric over independent subsets; of one subset, its own. None of nothing."""
    if not parts:
        return None
    count = len(parts)
    low, high = (float(np.mean([getattr(part, name) for part in parts])) for name in ("low", "high"))
    value = float(np.mean([part.value for part in parts]))
    reach = max(high - low, 1e-12)
    share = min(max((value - low) / reach, 0.0), 1.0)
    each = np.concatenate([part.variances for part in parts]) / (count * reach) ** 2
    free = np.concatenate([part.freedom for part in parts])
    errors = np.array([part.errors / part.independent for part in parts])
    prior = np.array([part.prior * ((part.high - part.low) / reach) ** 2 for part in parts])
    effect = (each.sum() + (errors * prior).sum() / count**2) / (share * (1 - share) + errors.mean())
    ends = _wilson(share, 1 / effect, _student(each, free, (1 - confidence) / 2))
    return [min(low + reach * ends[0], value), max(low + reach * ends[1], value)]


def _student(variances: np.ndarray, freedom: np.ndarray, tail: float) -> float:
    """Quantile of Student's t for a sum of variances (Satterthwaite 1946)."""
    used = freedom > 0
    squares = float((variances[used] ** 2 / freedom[used]).sum())
    degrees = float(variances.sum()) ** 2 / squares if squares > 0 else float(freedom.sum())
    return student_quantile(1 - tail, round(max(degrees, float(freedom.min()), 1.0)))


def _wilson(share: float, images: float, reach: float) -> tuple[float, float]:
    """Wilson's interval of a share of so many images, ``reach`` standard errors to each side."""
    widened = reach**2 / images
    centre = (share + widened / 2) / (1 + widened)
    half = (share * (1 - share) * widened + widened**2 / 4) ** 0.5 / (1 + widened)
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def difference_interval(
    first: Sequence[Uncertainty], second: Sequence[Uncertainty], confidence: float = 0.95
) -> list[float] | None:
    """The interval of the mean of first less second, the same subsets and images in the same order.

    The variance is that of the differences of what each image moves (DeLong et al. 1988). So that it is not empty where
    both are nearly perfect, the errors that single intervals add come in as far as the two do not move together; two
    scorers in the same order of images have no difference at all.
    """
    pairs = list(zip(first, second, strict=True))
    if not pairs:
        return None
    count = len(pairs)
    gap = float(np.mean([a.value - b.value for a, b in pairs]))
    if all(np.array_equal(a.moves, b.moves) and a.value == b.value for a, b in pairs):
        return [gap, gap]
    each = np.concatenate([_apart(a, b) for a, b in pairs]) / count**2
    added = sum(_unseen(part) for pair in pairs for part in pair)
    variance = float(each.sum()) + added * (1 - correlation(first, second)) / count**2
    free = np.concatenate([a.freedom for a, _ in pairs])
    reach = _student(each, free, (1 - confidence) / 2) * variance**0.5
    width = float(np.mean([max(a.high - a.low, b.high - b.low) for a, b in pairs]))
    return [max(gap - reach, -width), min(gap + reach, width)]


def _unseen(part: Uncertainty) -> float:
    """What errors that may be missing by chance would add to the variance; 0 where the value is far from its ends."""
    reach = part.high - part.low
    share = min(max((part.value - part.low) / reach, 0.0), 1.0)
    errors = part.errors / part.independent
    spread = share * (1 - share) + errors / 2
    return errors / spread * max(part.prior * spread * reach**2 - float(part.variances.sum()), 0.0)


def _apart(first: Uncertainty, second: Uncertainty) -> np.ndarray:
    """What each level adds to the variance of the difference, shape (L,)."""
    return np.maximum(first.variances + second.variances - 2 * first.covariances(second), 0.0)


def correlation(first: Sequence[Uncertainty], second: Sequence[Uncertainty]) -> float:
    """How both means move together when other images are taken, -1 to 1; 0 where one of both does not move."""
    both = sum(float(a.covariances(b).sum()) for a, b in zip(first, second, strict=True))
    spread = [sum(float(part.variances.sum()) for part in parts) for parts in (first, second)]
    return min(max(both / (spread[0] * spread[1]) ** 0.5, -1.0), 1.0) if min(spread) > 0 else 0.0
