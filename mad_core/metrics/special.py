"""Ranks and quantiles in numpy alone: without SciPy the package is a third smaller."""

from functools import lru_cache
from math import cos, pi, sin, sqrt
from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()
_EXACT = 2000
"""Degrees of freedom up to which Student's distribution is summed; beyond, its expansion is right to 1e-12."""


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean rank.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite.

    >>> mean_ranks(np.array([0.2, 0.9, 0.2])).tolist()
    [1.5, 3.0, 1.5]
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[places]


def monotone(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nondecreasing values nearest to ``means`` in weighted squares (pool adjacent violators, Barlow 1972).

    >>> monotone(np.array([1.0, 3.0, 2.0]), np.ones(3)).tolist()
    [1.0, 2.5, 2.5]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, entries
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        size = 1
        while blocks and blocks[-1][0] >= mean:
            before, heavy, many = blocks.pop()
            mean, weight, size = (before * heavy + mean * weight) / (heavy + weight), heavy + weight, size + many
        blocks.append((mean, weight, size))
    return np.repeat([mean for mean, _, _ in blocks], [size for _, _, size in blocks])


@lru_cache(maxsize=256)
def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's distribution with a whole number of degrees of freedom.

    Parameters
    ----------
    probability : float
        0.5 to 1, both excluded.
    freedom : int
        At least 1.

    >>> round(student_quantile(0.975, 9), 4)
    2.2622
    """
    if freedom > _EXACT:
        return _expansion(NORMAL.inv_cdf(probability), freedom)
    low, high = 0.0, pi / 2
    for _ in range(80):  # of the angle whose tangent is t / sqrt(freedom)
        middle = (low + high) / 2
        low, high = (middle, high) if _central(middle, freedom) < 2 * probability - 1 else (low, middle)
    return sqrt(freedom) * sin(low) / cos(low)


def _central(angle: float, freedom: int) -> float:
    """P(|t| < sqrt(freedom) tan(angle)) (Abramowitz & Stegun 26.7.3, 26.7.4)."""
    odd = freedom % 2
    steps = np.arange(1 + odd, freedom - 2 + odd, 2)
    terms = np.cumprod(steps / (steps + 1) * cos(angle) ** 2)
    total = sin(angle) * (1 + float(terms.sum()))
    if not odd:
        return total
    return 2 / pi * (angle + (total * cos(angle) if freedom > 1 else 0.0))


def _expansion(z: float, freedom: int) -> float:
    """Student's quantile from the normal one (Abramowitz & Stegun 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
