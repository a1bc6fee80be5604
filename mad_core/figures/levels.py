"""The scores of each level, as figures draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mad_core.figures.words import level_label
from mad_core.palette import Theme, level_colour, outline

CLOUD_FROM = 15  # images a level; below it only the points are drawn
_CLOUD_SAMPLE = 2000
_GRID = np.linspace(0, 1, 129)


@dataclass(frozen=True)
class Level:
    """The images of one level.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Finite scores, ascending.
    rows : ndarray of shape (n,)
        Where they stand in the arrays given.
    total : int
        Images of the level, with a score or without.
    """

    level: float
    label: str
    colour: str
    line: str
    scores: np.ndarray
    rows: np.ndarray
    total: int

    @property
    def count_text(self) -> str:
        n = len(self.scores)
        return f"n = {n:,}" if n == self.total else f"n = {n:,} of {self.total:,}"


def by_level(levels: ArrayLike, scores: ArrayLike, level_names: Mapping[float, str], theme: Theme) -> list[Level]:
    """Images of each level, ascending; NaN and infinite scores are left out.

    Raises
    ------
    ValueError
        If levels and scores differ in length.
    """
    levels = np.asarray(levels, dtype=np.float64)
    scores = np.asarray(scores, dtype=np.float64)
    if levels.shape != scores.shape or levels.ndim != 1:
        raise ValueError(f"levels and scores differ in shape: {levels.shape} and {scores.shape}")
    distinct = np.unique(levels).tolist()
    groups = []
    for level in distinct:
        everyone = np.flatnonzero(levels == level)
        rows = everyone[np.isfinite(scores[everyone])]
        rows = rows[np.argsort(scores[rows], kind="stable")]
        colour = level_colour(level, distinct, theme)
        label = level_label(level, level_names)
        groups.append(Level(level, label, colour, outline(colour, theme), scores[rows], rows, len(everyone)))
    return groups


def spans_decades(groups: Sequence[Level]) -> bool:
    """Whether a linear axis would squash positive scores: half the levels have their middle half within 2 %."""
    scored = [g.scores for g in groups if len(g.scores) > 1]
    if len(scored) < 2 or min(s[0] for s in scored) <= 0:
        return False
    low, high = np.percentile(np.concatenate(scored), (1, 99))
    squashed = [_middle_half(s) < 0.02 * (high - low) for s in scored]
    return bool(high > 100 * low) and sum(squashed) >= max(2, len(scored) / 2)


def evenly(n: int, limit: int) -> np.ndarray:
    """At most ``limit`` of ``n`` places, the first and the last among them."""
    return np.arange(n) if n <= limit else np.linspace(0, n - 1, limit).round().astype(np.int64)


def cloud(group: Level, log: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Kernel density of the scores between their extremes, on a linear or a logarithmic axis.

    Gaussian kernels of Silverman's robust width, on at most 2,000 scores spaced evenly by rank.

    Returns
    -------
    scores, density : ndarray of shape (129,)
        The highest density is 1. None for fewer than ``CLOUD_FROM`` images and for constant scores.
    """
    values = np.log10(group.scores) if log else group.scores
    span = values[-1] - values[0] if len(values) >= CLOUD_FROM else 0.0
    if not 0 < span < np.inf:
        return None
    sample = ((values - values[0]) / span)[evenly(len(values), _CLOUD_SAMPLE)]
    spread = min(float(sample.std()), _middle_half(sample) / 1.34 or np.inf)
    width = max(0.9 * spread * len(values) ** -0.2, float(_GRID[1]))
    density = np.exp(-0.5 * ((_GRID[:, None] - sample) / width) ** 2).sum(axis=1)
    at = values[0] + span * _GRID
    return (10**at if log else at), density / density.max()


def _middle_half(values: np.ndarray) -> float:
    low, high = np.percentile(values, (25, 75))
    return float(high - low)
