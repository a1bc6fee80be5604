"""Agreement of raters on an ordered scale, from exact counts; ratings may be missing.

- Cohen's kappa with quadratic weights (Cohen 1968): one less the ratio of the observed to the expected squared
  distance of two raters' levels. Both have a closed form, so no table is needed.
- Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"): one less the ratio of the
  observed to the expected disagreement, from the table of coincidences of any number of raters; a rating that stands
  alone on its item does not enter.

Intervals resample the items (images), not single ratings, since the ratings of one item belong together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from mad_core.errors import InputError
from mad_core.metrics.intervals import percentile_interval

Metric = Literal["nominal", "ordinal", "interval"]
PER = 100
"""Drift is counted in levels per so many ratings."""
_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class AgreementEstimate:
    """A value with its 95 % interval, from ``n`` items; None where it cannot be computed."""

    value: float | None
    interval: list[float] | None
    n: int

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "interval": self.interval, "n": self.n}


# -- two raters ---------------------------------------------------------------------------------


def quadratic_weighted_kappa(a: ArrayLike, b: ArrayLike, levels: ArrayLike) -> float | None:
    """Cohen's kappa of two raters, disagreement weighted by the squared distance of the levels.

    Parameters
    ----------
    a, b : array of shape (n,)
        Levels of the same items; items that one of both did not rate (NaN) are left out.
    levels : array of shape (L,)
        The scale. Distances are differences of levels, so half levels count as half a step.

    Returns
    -------
    float or None
        At most 1; 0 is what chance gives. None without items, or where both gave one and the same level throughout.

    Raises
    ------
    InputError
        If a rating is not on the scale, or the raters' arrays differ in length.
    """
    first, second = _pairs(a, b, levels)
    return _one(_kappas(np.ones((1, len(first))), _moments(first, second)))


def bootstrap_kappa(a: ArrayLike, b: ArrayLike, levels: ArrayLike, *, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """The weighted kappa of ``draws`` resamples of the items, shape (draws,), NaN where one has none."""
    first, second = _pairs(a, b, levels)
    moments = _moments(first, second)
    values = [_kappas(weights, moments) for weights in _resamples(len(first), draws, seed)]
    return np.concatenate(values) if values else np.empty(0)


def confusion(a: ArrayLike, b: ArrayLike, levels: ArrayLike) -> np.ndarray:
    """How often the first rater gave one level and the second another.

    Returns
    -------
    ndarray of shape (L, L), int64
        ``[i, j]``: items to which ``a`` gave ``levels[i]`` and ``b`` gave ``levels[j]``; the levels in the order
        in which they are given.

    Raises
    ------
    InputError
        As :func:`quadratic_weighted_kappa`.
    """
    first, second = _pairs(a, b, levels)
    scale = np.asarray(levels, dtype=np.float64)
    order = np.argsort(scale, kind="stable")
    places = [order[np.searchsorted(scale[order], values)] for values in (first, second)]
    size = len(scale)
    return np.bincount(places[0] * size + places[1], minlength=size * size).reshape(size, size).astype(np.int64)


def _pairs(a: ArrayLike, b: ArrayLike, levels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise InputError(f"Two raters' levels must be of the same length, not {first.shape} and {second.shape}.")
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    foreign = np.setdiff1d(np.concatenate([first, second]), np.asarray(levels, dtype=np.float64))
    if len(foreign):
        raise InputError(f"The rating {foreign[0]:g} is not a level of the scale.")
    return first, second


def _moments(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What the kappa needs of each item, shape (n, 5)."""
    return np.stack([(a - b) ** 2, a, b, a * a, b * b], axis=1)


def _kappas(weights: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The kappa for each row of item weights (whole numbers), shape (draws,)."""
    sums, n = weights @ moments, weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # n² times the expected squared distance of one rating of each, drawn apart.
        expected = n * (sums[:, 3] + sums[:, 4]) - 2 * sums[:, 1] * sums[:, 2]
        return np.where(expected > 0, 1 - n * sums[:, 0] / expected, np.nan)


# -- any number of raters -----------------------------------------------------------------------


def krippendorff_alpha(ratings: ArrayLike, metric: Metric = "ordinal") -> float | None:
    """Krippendorff's alpha.

    Parameters
    ----------
    ratings : array of shape (raters, items)
        Levels, NaN where a rater did not rate an item.
    metric : {"nominal", "ordinal", "interval"}
        How far two levels are apart: not at all or fully; by how many ratings lie between them; by their difference.

    Returns
    -------
    float or None
        At most 1; 0 is what chance gives. None where fewer than two ratings can be paired, or all of them are equal.

    Raises
    ------
    InputError
        If the metric is unknown or the array has another shape.
    """
    pairs = _coincidences(ratings)
    return _one(_alphas(np.ones((1, len(pairs.tables))), pairs, metric))


def bootstrap_alpha(ratings: ArrayLike, metric: Metric = "ordinal", *, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Alpha of ``draws`` resamples of the items, shape (draws,), NaN where one has none.

    Only items with two ratings or more are drawn. O(draws · items · L²) for L levels.
    """
    pairs = _coincidences(ratings)
    values = [_alphas(weights, pairs, metric) for weights in _resamples(len(pairs.tables), draws, seed)]
    return np.concatenate(values) if values else np.empty(0)


@dataclass(frozen=True, eq=False)
class _Coincidences:
    """Pairs of ratings of the same item, item by item.

    ``values`` of shape (V,), the levels that occur; ``tables`` of shape (items, V * V), the coincidences of each item
    that has two ratings or more.
    """

    values: np.ndarray
    tables: np.ndarray


def _coincidences(ratings: ArrayLike) -> _Coincidences:
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise InputError(f"Ratings are a table of raters by items, not of shape {table.shape}.")
    table = table[:, (~np.isnan(table)).sum(axis=0) >= 2]
    values = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == values).sum(axis=0).astype(np.float64)  # (items, V)
    paired = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(len(values))
    paired[:, diagonal, diagonal] -= counts
    paired /= np.maximum(counts.sum(axis=1) - 1, 1)[:, None, None]
    return _Coincidences(values, paired.reshape(len(counts), len(values) ** 2))


def _alphas(weights: np.ndarray, pairs: _Coincidences, metric: Metric) -> np.ndarray:
    """Alpha for each row of item weights, shape (draws,)."""
    size = len(pairs.values)
    observed = (weights @ pairs.tables).reshape(len(weights), size, size)
    totals = observed.sum(axis=2)
    n = totals.sum(axis=1)
    apart = _distances(pairs.values, totals, metric)
    expected = np.einsum("dc,dk,dck->d", totals, totals, apart)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (n - 1) * (observed * apart).sum(axis=(1, 2)) / expected, np.nan)


def _distances(values: np.ndarray, totals: np.ndarray, metric: Metric) -> np.ndarray:
    """Squared distances of the levels, shape (draws, V, V)."""
    size, draws = len(values), len(totals)
    if metric == "nominal":
        return np.broadcast_to(1.0 - np.eye(size), (draws, size, size))
    if metric == "interval":
        return np.broadcast_to((values[:, None] - values) ** 2, (draws, size, size))
    if metric == "ordinal":
        # The middle of a level in the row of all ratings; two middles are as far apart as ratings lie between.
        middles = np.cumsum(totals, axis=1) - totals / 2
        return (middles[:, :, None] - middles[:, None, :]) ** 2
    raise InputError(f"'{metric}' is no distance of levels; say nominal, ordinal or interval.")


# -- one rater against the others ---------------------------------------------------------------


def differences(ratings: ArrayLike, reference: ArrayLike | None = None) -> np.ndarray:
    """Each rating less what it is held against, shape (raters, items), NaN where one of both is missing.

    Parameters
    ----------
    ratings : array of shape (raters, items)
    reference : array of shape (items,), optional
        What to hold ratings against, the labels say; else the mean of the other raters of the same item.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if reference is not None:
        return table - np.asarray(reference, dtype=np.float64)
    there = ~np.isnan(table)
    values = np.where(there, table, 0.0)
    others = there.sum(axis=0) - there
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there & (others > 0), table - (values.sum(axis=0) - values) / others, np.nan)


def bias(
    ratings: ArrayLike, reference: ArrayLike | None = None, *, draws: int = 1000, seed: int = 0
) -> list[AgreementEstimate]:
    """How many levels each rater is above (or, negative, below) the others on the same items, on average.

    Parameters
    ----------
    ratings, reference
        As :func:`differences` takes them.

    Returns
    -------
    list of AgreementEstimate
        One a rater, in levels; the interval resamples the rater's items.
    """
    estimates = []
    for row in differences(ratings, reference):
        own = row[~np.isnan(row)]
        resampled = [weights @ own / len(own) for weights in _resamples(len(own), draws, seed)]
        estimates.append(
            AgreementEstimate(
                float(own.mean()) if len(own) else None,
                percentile_interval(np.concatenate(resampled)) if len(own) > 1 and resampled else None,
                len(own),
            )
        )
    return estimates


def drift(
    ratings: ArrayLike,
    times: ArrayLike,
    reference: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> list[AgreementEstimate]:
    """How each rater's bias changes over the course of the audit, in levels per 100 ratings.

    The slope of a straight line through the differences in the order in which the rater gave them, all of the
    rater's ratings counted.

    Parameters
    ----------
    ratings, reference
        As :func:`differences` takes them.
    times : array of shape (raters, items)
        When each rating was given.

    Returns
    -------
    list of AgreementEstimate
        One a rater; no value with fewer than three differences.
    """
    table, when = np.asarray(ratings, dtype=np.float64), np.asarray(times, dtype=np.float64)
    estimates = []
    for row, given, moments in zip(differences(table, reference), table, when, strict=True):
        rated = ~np.isnan(given)
        place = np.full(len(given), np.nan)
        place[rated] = np.argsort(np.argsort(moments[rated], kind="stable"), kind="stable") / PER
        used = ~np.isnan(row)
        estimates.append(_slope(place[used], row[used], draws, seed))
    return estimates


def _slope(x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> AgreementEstimate:
    if len(x) < 3:
        return AgreementEstimate(None, None, len(x))
    moments = np.stack([np.ones_like(x), x, y, x * y, x * x], axis=1)
    value = _one(_slopes(np.ones((1, len(x))), moments))
    resampled = [_slopes(weights, moments) for weights in _resamples(len(x), draws, seed)]
    values = np.concatenate(resampled) if resampled else np.empty(0)
    return AgreementEstimate(value, percentile_interval(values[np.isfinite(values)]), len(x))


def _slopes(weights: np.ndarray, moments: np.ndarray) -> np.ndarray:
    n, x, y, xy, xx = (weights @ moments).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n * xx - x * x > 1e-12, (n * xy - x * y) / (n * xx - x * x), np.nan)


# -- helpers ------------------------------------------------------------------------------------


def _one(values: np.ndarray) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None


def _resamples(n: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """How often each item is drawn, float64 of shape (some draws, n)."""
    if not n:
        return
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // n)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        flat = (rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]).ravel()
        yield np.bincount(flat, minlength=rows * n).reshape(rows, n).astype(np.float64)
