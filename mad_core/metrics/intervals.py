"""Bootstrap draws of the rank metrics, stratified by level, for what has no closed form.

The intervals of the metrics themselves need no draws: :mod:`mad_core.metrics.uncertainty`.

Images are drawn with replacement within each level, so level sizes stay as they are. A draw is a
table of counts on the distinct scores, which are sorted once for all draws. Images of a group are drawn together,
within the groups of the same highest level; the sizes of other levels vary then.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mad_core.metrics.ranking import cross_pairs, told_apart
from mad_core.metrics.special import NORMAL, student_quantile
from mad_core.metrics.units import held, strata_of

_AT_ONCE = 2_000_000
"""Counts that are held at a time, about."""
METRICS = ("c_index", "kendall_tau_b", "auroc_whole", "abnormal_c_index", "abnormal_kendall_tau_b")


def seed_of(subset: str, seed: int = 0) -> int:
    """A seed for the draws of a subset: subsets are independent, whatever the order of their rows."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{subset}".encode(), digest_size=4).digest())


def bootstrap(
    levels: np.ndarray, scores: np.ndarray, *, draws: int = 1000, seed: int = 0, groups: Any = None
) -> dict[str, np.ndarray]:
    """Metrics of ``draws`` stratified resamples.

    Parameters
    ----------
    levels, scores : ndarray of shape (n,)
        Scores are finite.
    draws, seed : int
    groups : array of shape (n,), optional
        What images belong to; those of one are drawn together.

    Returns
    -------
    dict
        For each of ``METRICS`` an array of shape (draws,), NaN where a draw has no value.
    """
    present = np.unique(told_apart(levels))
    result = {name: np.full(draws, np.nan) for name in METRICS}
    for draw, table in enumerate(drawn_tables(levels, scores, draws, seed, groups)):
        for name, value in _metrics(table, present).items():
            result[name][draw] = value
    return result


def drawn_tables(
    levels: np.ndarray, scores: np.ndarray, draws: int, seed: int, groups: Any = None
) -> Iterator[np.ndarray]:
    """How often each distinct score was drawn in each level, int64 of shape (L, U), a table for each draw."""
    present, rows = np.unique(told_apart(levels), return_inverse=True)
    values, ranks = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    if held(told_apart(levels), groups) is None:
        ranks_of = [ranks[rows == i] for i in range(len(present))]
        rng = np.random.default_rng(seed)
        for _ in range(draws):
            yield np.stack([np.bincount(r[rng.integers(0, len(r), len(r))], minlength=len(values)) for r in ranks_of])
        return
    shape = len(present), len(values)
    for counts in stratified_counts(told_apart(levels), draws, seed, groups):
        for row in counts:
            table = np.bincount(rows * shape[1] + ranks, weights=row, minlength=shape[0] * shape[1])
            yield table.astype(np.int64).reshape(shape)


def stratified_counts(levels: np.ndarray, draws: int, seed: int, groups: Any = None) -> Iterator[np.ndarray]:
    """Bootstrap draws within levels, as how often each image is drawn: int64 of shape (some draws, n) at a time.

    Parameters
    ----------
    levels : ndarray of shape (n,)
    draws, seed : int
    groups : array of shape (n,), optional
        What images belong to; those of one are drawn together, within the groups of the same highest level.
    """
    n = len(levels)
    together = held(levels, groups)
    units = np.arange(n) if together is None else together
    tops = strata_of(levels, units)
    strata, size = [np.flatnonzero(tops == level) for level in np.unique(tops)], len(tops)
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // max(n, 1))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        chosen = np.concatenate([own[rng.integers(0, len(own), (rows, len(own)))] for own in strata], axis=1)
        flat = (chosen + size * np.arange(rows)[:, None]).ravel()
        counts = np.bincount(flat, minlength=rows * size).reshape(rows, size)
        yield counts if together is None else counts[:, units]


def counted_c_index(levels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The C-index where each image counts so many times, for many such counts at once.

    Parameters
    ----------
    levels, scores : ndarray of shape (n,)
        Scores are finite.
    counts : ndarray of shape (draws, n)
        As :func:`stratified_counts` gives them.

    Returns
    -------
    ndarray of shape (draws,)
        NaN where fewer than two levels are there.
    """
    order = np.argsort(scores, kind="stable")
    at, ranks = np.asarray(scores)[order], np.asarray(levels)[order]
    starts = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    drawn = counts[:, order].astype(np.float64)
    lower = np.zeros((len(drawn), len(starts)))  # images of lower levels at each score
    wins2, pairs = np.zeros(len(drawn)), np.zeros(len(drawn))
    for level in np.unique(ranks):
        of_level = np.add.reduceat(np.where(ranks == level, drawn, 0.0), starts, axis=1)
        wins2 += (of_level * (2 * np.cumsum(lower, axis=1) - lower)).sum(axis=1)
        pairs += of_level.sum(axis=1) * lower.sum(axis=1)
        lower += of_level
    return np.where(pairs > 0, wins2 / np.maximum(2 * pairs, 1), np.nan)


def percentile_interval(values: np.ndarray, confidence: float = 0.95) -> list[float] | None:
    """The percentile interval of bootstrap values; None if any of them is missing."""
    if not len(values) or not np.isfinite(values).all():
        return None
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, (tail, 100 - tail))
    return [float(low), float(high)]


def expanded(confidence: float, images: int) -> float:
    """What to ask of :func:`percentile_interval` so that it holds ``confidence`` in spite of few images.

    Percentile intervals of small samples are too narrow as those of a normal distribution are beside Student's, and by
    the factor n / (n - 1) in the variance (Hesterberg 2015, the expanded percentile interval).

    Parameters
    ----------
    images : int
        Of the smallest level; with fewer than two, 1.0 comes back.
    """
    if images < 2:
        return 1.0
    reach = student_quantile((1 + confidence) / 2, images - 1) * (images / (images - 1)) ** 0.5
    return 1 - 2 * NORMAL.cdf(-reach)


def _metrics(table: np.ndarray, present: np.ndarray) -> dict[str, float]:
    """The metrics of one table of counts, shape (L, U), float64-exact below 2**53 pairs."""
    sizes = table.sum(axis=1)
    lower = np.cumsum(table, axis=0) - table  # images of lower levels at each score
    below2 = 2 * (np.cumsum(lower, axis=1) - lower) + lower
    wins2 = (below2 * table).sum()
    normal = present[0] == 0
    result = _ordering(wins2, sizes, table.sum(axis=0), "")
    if normal and len(present) > 1:
        below2_normal = 2 * (np.cumsum(table[0]) - table[0]) + table[0]
        abnormal = table[1:].sum(axis=0)
        detected2 = (below2_normal * abnormal).sum()
        apart = 2 * int(sizes[0]) * int(sizes[1:].sum())
        result["auroc_whole"] = detected2 / apart if apart else float("nan")  # a draw of groups may miss a level
        result |= _ordering(wins2 - detected2, sizes[1:], abnormal, "abnormal_")
    elif not normal:
        result |= {f"abnormal_{name}": value for name, value in result.items()}
    return result


def _ordering(wins2: int, sizes: np.ndarray, total: np.ndarray, prefix: str) -> dict[str, float]:
    pairs, n = cross_pairs(sizes), int(sizes.sum())
    untied = n * (n - 1) // 2 - int((total * (total - 1) // 2).sum())
    if not pairs:
        return {}
    result = {f"{prefix}c_index": wins2 / (2 * pairs)}
    if untied:
        result[f"{prefix}kendall_tau_b"] = (int(wins2) - pairs) / (pairs**0.5 * untied**0.5)
    return result
