"""The rank metrics as they would be with other shares of the levels, such as those in the field.

A test set often holds as many images of each level as could be had. How a scorer orders two levels does not depend
on how many images they have; how often such a pair occurs does. So all metrics are made of two tables, a value for
each pair of levels, and weighted anew:

- ``above[i, j]``: P(score of level j > score of level i) + half P(tie), for i < j; ``above[0, j]`` is the AUROC of
  level j, the part that never moves;
- ``tied[i, j]``: P(tie), within a level of two different images.

A mix of levels is turned into a test set of the same size n with n · share images of each level (not rounded). With
the test set's own shares this gives exactly the metrics of :mod:`mad_core.metrics.ranking`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mad_core.errors import InputError
from mad_core.metrics.intervals import drawn_tables
from mad_core.metrics.ranking import score_table, told_apart
from mad_core.metrics.units import held

METRICS = ("c_index", "abnormal_c_index", "kendall_tau_b", "auroc_whole")


@dataclass(frozen=True, eq=False)
class LevelPairs:
    """Pairs of levels, of one set of scores or of many resamples of it.

    Parameters
    ----------
    levels : ndarray of shape (L,)
        Ascending.
    sizes : ndarray of shape (L,), int64
    above, tied : ndarray of shape (draws, L, L)
        As the module says; ``above`` is 0 outside the upper triangle, ``tied`` is symmetric.
    """

    levels: np.ndarray
    sizes: np.ndarray
    above: np.ndarray
    tied: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The test set's own shares of the levels, shape (L,)."""
        return self.sizes / self.sizes.sum()

    def aurocs(self) -> dict[float, float]:
        """AUROC of level 0 against each other level, of the first draw; the shares of levels have no part in it."""
        if not len(self.levels) or self.levels[0] != 0:
            return {}
        return {float(level): float(self.above[0, 0, j]) for j, level in enumerate(self.levels) if j}


def level_pairs(levels: ArrayLike, scores: ArrayLike) -> LevelPairs:
    """The tables of a set of scored images; arrays of one draw.

    Parameters
    ----------
    levels : array of shape (n,)
        Non-negative.
    scores : array of shape (n,)
        Finite.
    """
    table, present = score_table(np.asarray(levels), np.asarray(scores))
    above, tied = _pairs(table)
    return LevelPairs(present, table.sum(axis=1), above[None], tied[None])


def bootstrap_level_pairs(
    levels: ArrayLike, scores: ArrayLike, *, draws: int = 300, seed: int = 0, groups: Any = None
) -> LevelPairs:
    """The tables of ``draws`` resamples, drawn with replacement within each level; level sizes stay as they are.

    Images of a group are drawn together, as :func:`mad_core.metrics.intervals.stratified_counts` does it.
    """
    at, values = np.asarray(levels), np.asarray(scores)
    table, present = score_table(at, values)
    if held(told_apart(at), groups) is not None:
        return _of_tables(
            present, table.sum(axis=1), [_pairs(one) for one in drawn_tables(at, values, draws, seed, groups)]
        )
    columns = [np.repeat(np.arange(table.shape[1]), row) for row in table]
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(draws):
        rows = [np.bincount(at[rng.integers(0, len(at), len(at))], minlength=table.shape[1]) for at in columns]
        parts.append(_pairs(np.stack(rows)))
    return _of_tables(present, table.sum(axis=1), parts)


def _of_tables(present: np.ndarray, sizes: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]) -> LevelPairs:
    size = len(present)
    above = np.stack([part[0] for part in parts]) if parts else np.empty((0, size, size))
    tied = np.stack([part[1] for part in parts]) if parts else np.empty((0, size, size))
    return LevelPairs(present, sizes, above, tied)


def _pairs(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = table.astype(np.float64)
    sizes = counts.sum(axis=1)
    below2 = 2 * (np.cumsum(counts, axis=1) - counts) + counts
    pairs = np.outer(sizes, sizes)
    equal = counts @ counts.T
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw of groups may miss a level
        above = np.triu(below2 @ counts.T / (2 * pairs), k=1)
        tied = equal / pairs
    within = sizes * (sizes - 1)
    np.fill_diagonal(tied, np.where(within > 0, (np.diagonal(equal) - sizes) / np.maximum(within, 1), 0.0))
    return above, tied


def checked_mix(shares: ArrayLike, count: int) -> np.ndarray:
    """Shares of the levels that sum up to 1, shape (count,).

    Raises
    ------
    InputError
        If there are not as many shares as levels, one is negative or not a number, or all are 0.
    """
    given = np.asarray(shares, dtype=np.float64)
    if given.shape != (count,):
        raise InputError(f"A mix has a share for each of the {count} levels, not {given.size}.")
    if not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
        raise InputError("Shares of levels are numbers from 0 up, and one of them at least is above 0.")
    return given / given.sum()


def reweighted(pairs: LevelPairs, shares: ArrayLike) -> dict[str, np.ndarray]:
    """The metrics under another mix of levels, an array of shape (draws,) for each of :data:`METRICS`.

    NaN where a metric has no pairs: no second level with a share, or one score throughout. O(draws · L²).

    Parameters
    ----------
    shares : array of shape (L,)
        Non-negative, not all 0; brought to a sum of 1.

    Raises
    ------
    InputError
        As :func:`checked_mix`.
    """
    mix = checked_mix(shares, len(pairs.levels))
    images = mix * pairs.sizes.sum()
    cross = np.triu(np.outer(images, images), k=1)
    alone = cross * (pairs.levels > 0)[:, None]
    within = np.maximum(images * (images - 1), 0) / 2
    untied = (cross * (1 - pairs.tied)).sum(axis=(1, 2))
    untied += (within * (1 - np.diagonal(pairs.tied, axis1=1, axis2=2))).sum(axis=1)
    won = (cross * pairs.above).sum(axis=(1, 2))
    total = cross.sum()
    detection = cross * (pairs.levels == 0)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "c_index": _share(won, total),
            "abnormal_c_index": _share((alone * pairs.above).sum(axis=(1, 2)), alone.sum()),
            "kendall_tau_b": np.where(untied * total > 0, (2 * won - total) / np.sqrt(total * untied), np.nan),
            "auroc_whole": _share((detection * pairs.above).sum(axis=(1, 2)), detection.sum()),
        }


def _share(won: np.ndarray, total: float) -> np.ndarray:
    return won / total if total > 0 else np.full(len(won), np.nan)


def expected_cost(rates: ArrayLike, shares: ArrayLike, cost: ArrayLike) -> float | np.ndarray:
    """Mean cost of an image when the levels have the given shares.

    Parameters
    ----------
    rates : array of shape (…, L, K)
        How often images of each level (rows, each with a sum of 1) are called each level.
    shares : array of shape (L,)
    cost : array of shape (L, K)
        What calling an image of a level another costs.

    Raises
    ------
    InputError
        As :func:`checked_mix`.
    """
    table = np.asarray(rates, dtype=np.float64)
    mix = checked_mix(shares, table.shape[-2])
    expected = np.einsum("...lk,l,lk->...", table, mix, np.asarray(cost, dtype=np.float64))
    return float(expected) if expected.ndim == 0 else expected
