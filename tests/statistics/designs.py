"""Score files whose truth is known: distributions, level sizes, ties, and what the metrics tend to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

Draw = Callable[[np.random.Generator, int], np.ndarray]
SHAPES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "t3": lambda rng, n: rng.standard_t(3, n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "lognormal": lambda rng, n: np.exp(rng.normal(size=n)),
}
_MANY = 40_000


@dataclass(frozen=True)
class Design:
    """Images of each level, and how their scores are made.

    Parameters
    ----------
    sizes : tuple of int
        Images a level, from level 0.
    truth : float
        The C-index; with two levels the AUROC.
    shape : str
        One of :data:`SHAPES`.
    grid : float
        Scores are rounded to multiples of this, which makes ties; 0 for none.
    """

    sizes: tuple[int, ...]
    truth: float
    shape: str = "normal"
    grid: float = 0.0

    @property
    def levels(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.sizes), dtype=np.float64), self.sizes)

    def scores(self, rng: np.random.Generator) -> np.ndarray:
        levels = self.levels
        return self.rounded(SHAPES[self.shape](rng, len(levels)) + step(self) * levels)

    def rounded(self, scores: np.ndarray) -> np.ndarray:
        return np.round(scores / self.grid) * self.grid if self.grid else scores


@cache
def step(design: Design) -> float:
    """How far a level lies above the one before for the C-index to be as asked, by bisection."""
    low, high = 0.0, 10_000.0 if design.shape == "cauchy" else 100.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _c_index(design, middle) < design.truth else (low, middle)
    return high


@cache
def _base(shape: str, levels: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [SHAPES[shape](rng, _MANY) for _ in range(levels)]


def _c_index(design: Design, apart: float) -> float:
    won, pairs = 0.0, 0
    for i, j, above, _ in _pairs(design, apart):
        weight = design.sizes[i] * design.sizes[j]
        won, pairs = won + weight * above, pairs + weight
    return won / pairs


def _pairs(design: Design, apart: float) -> list[tuple[int, int, float, float]]:
    """Two levels, P(above) + half P(equal), and P(equal)."""
    base = _base(design.shape, len(design.sizes))
    scores = [np.sort(design.rounded(values + apart * level)) for level, values in enumerate(base)]
    found = []
    for i, lower in enumerate(scores):
        for j in range(i + 1, len(scores)):
            left, right = (np.searchsorted(lower, scores[j], side) for side in ("left", "right"))
            found.append((i, j, float((left + right).mean()) / 2 / _MANY, float((right - left).mean()) / _MANY))
    return found


@cache
def truths(design: Design) -> dict[str, float]:
    """C-index, tau-b and AUROC that test sets of this design tend to, its level sizes held."""
    sizes, apart = np.array(design.sizes), step(design)
    pairs = _pairs(design, apart)
    every = {
        "c_index": [(i, j, p) for i, j, p, _ in pairs],
        "auroc_whole": [(i, j, p) for i, j, p, _ in pairs if i == 0],
        "abnormal_c_index": [(i, j, p) for i, j, p, _ in pairs if i > 0],
    }
    found = {}
    for name, own in every.items():
        weights = [sizes[i] * sizes[j] for i, j, _ in own]
        if own:
            found[name] = float(np.average([p for *_, p in own], weights=weights))
    cross = sum(sizes[i] * sizes[j] for i, j, *_ in pairs)
    untied = sum(sizes[i] * sizes[j] * (1 - equal) for i, j, _, equal in pairs)
    for level, values in enumerate(_base(design.shape, len(sizes))):
        counts = np.unique(design.rounded(values + apart * level), return_counts=True)[1]
        equal = float((counts * (counts - 1)).sum()) / (_MANY * (_MANY - 1))
        untied += sizes[level] * (sizes[level] - 1) / 2 * (1 - equal)
    return found | {"kendall_tau_b": (2 * found["c_index"] - 1) * cross / float(np.sqrt(cross * untied))}
