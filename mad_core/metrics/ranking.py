"""Rank metrics of severity, from exact pair counts.

Everything follows from one table: how often each distinct score occurs in each level. With levels
``i < j`` let ``W2[i, j]`` be twice the number of pairs (one image of each) in which level ``j``
scores higher, a tie counting one. Then, with ``n_i`` images in level ``i``:

- C-index = sum W2 / (2 sum n_i n_j): share of cross-level pairs ordered rightly, ties one half
  (arXiv 2411.14515, section on metrics; Harrell et al. 1982);
- concordant minus discordant pairs = sum (W2 - n_i n_j), which gives Kendall's tau-b (Kendall 1945);
- AUROC of level 0 against level j = W2[0, j] / (2 n_0 n_j) (Mann-Whitney).

Levels are taken as they are: 1/3 lies between 0 and 1/2. Rounding half levels up is the benchmark's protocol and the
caller's to ask for (:func:`rounded_up`). Counts are integers, so they are exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class PairCounts:
    """Pairs of a set of scored images, counted exactly.

    Parameters
    ----------
    levels : ndarray of shape (L,), float64
        The levels that occur, ascending.
    sizes : ndarray of shape (L,), int64
        Images a level.
    wins2 : ndarray of shape (L, L), int64
        ``wins2[i, j]`` for ``i < j``: twice the pairs in which level ``j`` scores higher, plus the
        tied ones; 0 elsewhere.
    tied_cross : int
        Cross-level pairs with tied scores.
    tied_all : int
        All pairs with tied scores.
    distinct : int
        Distinct scores.
    """

    levels: np.ndarray
    sizes: np.ndarray
    wins2: np.ndarray
    tied_cross: int
    tied_all: int
    distinct: int


def count_pairs(levels: np.ndarray, scores: np.ndarray) -> PairCounts:
    """Count all pairs in O(n log n + L² U) for L levels and U distinct scores.

    Parameters
    ----------
    levels : ndarray of shape (n,)
        Severity levels, non-negative.
    scores : ndarray of shape (n,)
        Finite anomaly scores, higher = more severe.
    """
    return counts_of_table(*score_table(levels, scores))


def counts_of_table(table: np.ndarray, levels: np.ndarray) -> PairCounts:
    """The pairs of images that are given by :func:`score_table`; levels without an image are left out.

    Parameters
    ----------
    table : ndarray of shape (L, U), int64
    levels : ndarray of shape (L,)
        Ascending.
    """
    there = table.any(axis=1)
    table, present = table[there][:, table.any(axis=0)], levels[there]
    below2 = 2 * (np.cumsum(table, axis=1) - table) + table  # [i, u]: twice the i-images below u, plus ties
    wins2 = np.triu(below2 @ table.T, k=1)
    total = table.sum(axis=0)
    tied_all = int((total * (total - 1) // 2).sum())
    tied_within = int((table * (table - 1) // 2).sum())
    return PairCounts(present, table.sum(axis=1), wins2, tied_all - tied_within, tied_all, table.shape[1])


def score_table(levels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each distinct score occurs in each level.

    Returns
    -------
    table : ndarray of shape (L, U), int64
        Columns by ascending score.
    levels : ndarray of shape (L,), float64
    """
    present, rows = np.unique(told_apart(levels), return_inverse=True)
    values, columns = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    flat = np.bincount(rows * len(values) + columns, minlength=len(present) * len(values))
    return flat.reshape(len(present), len(values)).astype(np.int64), present


DIGITS = 6
"""Decimal places in which levels differ: 0.333333 and 1/3 are one level."""


def told_apart(levels: ArrayLike) -> np.ndarray:
    """Levels as float64, those that differ by rounding alone made equal."""
    return np.round(np.asarray(levels, dtype=np.float64), DIGITS)


def rounded_up(levels: ArrayLike) -> np.ndarray:
    """Levels as the benchmark counts them: half levels are rounded up, 0.5 to 1."""
    return np.ceil(told_apart(levels))


def level_name(level: float) -> str:
    """A level as a key: ``1.0`` → ``"1"``, ``0.5`` → ``"0.5"``."""
    return str(int(level)) if float(level).is_integer() else format(float(level), "g")


def as_short(level: float) -> int | float:
    """A level for a table or a sentence: whole ones as integers."""
    return int(level) if float(level).is_integer() else float(level)


def cross_pairs(sizes: np.ndarray) -> int:
    """Pairs of images of different levels."""
    n = [int(s) for s in sizes]
    return (sum(n) ** 2 - sum(s * s for s in n)) // 2


def c_index(counts: PairCounts) -> float | None:
    """Share of cross-level pairs ordered rightly, ties one half; None with fewer than two levels."""
    pairs = cross_pairs(counts.sizes)
    return int(counts.wins2.sum()) / (2 * pairs) if pairs else None


def kendall_tau_b(counts: PairCounts) -> float | None:
    """Kendall's tau-b of level and score; None with fewer than two levels or a constant score."""
    n, pairs = int(counts.sizes.sum()), cross_pairs(counts.sizes)
    untied = n * (n - 1) // 2 - counts.tied_all
    if not pairs or not untied:
        return None
    return (int(counts.wins2.sum()) - pairs) / (pairs**0.5 * untied**0.5)


def aurocs(counts: PairCounts) -> dict[str, float | None]:
    """AUROC of level 0 against each level and, as ``whole``, against all the rest.

    None where level 0 or the other side has no image.
    """
    result: dict[str, float | None] = {"whole": None}
    if not len(counts.levels) or counts.levels[0] != 0:
        return result | {level_name(level): None for level in counts.levels}
    normals, abnormal = int(counts.sizes[0]), int(counts.sizes[1:].sum())
    if abnormal:
        result["whole"] = int(counts.wins2[0].sum()) / (2 * normals * abnormal)
    for j in range(1, len(counts.levels)):
        result[level_name(counts.levels[j])] = int(counts.wins2[0, j]) / (2 * normals * int(counts.sizes[j]))
    return result


def inversion_matrix(counts: PairCounts) -> np.ndarray:
    """P(score of level j > score of level i) + half P(tie), shape (L, L), for i < j; NaN elsewhere."""
    pairs = np.outer(counts.sizes, counts.sizes).astype(np.float64)
    matrix = counts.wins2 / (2 * pairs)
    matrix[np.tril_indices(len(counts.levels))] = np.nan
    return matrix


def reference_points(sizes: Mapping[float, int]) -> dict[str, float | None]:
    """What given level sizes alone make of the metrics.

    Parameters
    ----------
    sizes : mapping of level to number of images

    Returns
    -------
    dict
        ``c_index_random_severity`` and ``kendall_tau_b_random_severity``: expectation for perfect
        detection with untied random order among abnormal images; ``kendall_tau_b_perfect_binary``: a
        perfect 0/1 score; ``kendall_tau_b_max_untied``: the highest that scores without ties reach.
        None where a level 0 or a second level is missing.
    """
    normals, n = sizes.get(0, 0), sum(sizes.values())
    pairs = cross_pairs(np.array(list(sizes.values()), dtype=np.int64))
    detection, everything = normals * (n - normals), n * (n - 1) // 2
    defined = bool(detection)
    return {
        "c_index_random_severity": (detection + 0.5 * (pairs - detection)) / pairs if defined else None,
        "kendall_tau_b_random_severity": detection / (pairs**0.5 * everything**0.5) if defined else None,
        "kendall_tau_b_perfect_binary": (detection / pairs) ** 0.5 if defined else None,
        "kendall_tau_b_max_untied": (pairs / everything) ** 0.5 if pairs else None,
    }
