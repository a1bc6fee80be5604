"""Numbers with their bootstrap draws, so that differences and means keep the pairing, and what they say in words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mad_core.metrics.intervals import bootstrap, percentile_interval, seed_of
from mad_core.metrics.levelwise import bootstrap_level_aurocs
from mad_core.metrics.macro import measure
from mad_core.metrics.ranking import level_name, told_apart

Key = TypeVar("Key")
RISK = 0.025
"""Chance of a claim without effect in a study's sentence, all that it may claim together: well below 5 %, so that of
200 trials without effect more than 10 with a claim are no accident."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value and what it is in each bootstrap draw.

    Parameters
    ----------
    value : float
    draws : ndarray of shape (draws,)
        Draw ``k`` belongs to the same resampled images in every estimate that is to be compared.
    """

    value: float
    draws: np.ndarray

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.draws - other.draws)

    def interval(self, confidence: float = 0.95) -> list[float] | None:
        """The percentile interval, or None where a draw has no value."""
        return percentile_interval(self.draws, confidence)

    def sign(self, confidence: float = 0.95) -> int:
        """1 or -1 where the interval lies above or below 0; 0 where it does not tell."""
        ends = self.interval(confidence)
        return 0 if ends is None else int(ends[0] > 0) - int(ends[1] < 0)

    def columns(self, name: str) -> dict[str, float | None]:
        """``name``, ``name_low`` and ``name_high`` for a table's row."""
        low, high = self.interval() or (None, None)
        return {name: self.value, f"{name}_low": low, f"{name}_high": high}

    def in_words(self, digits: int = 2, confidence: float = 0.95) -> str:
        """``0.12 (0.08 to 0.17)``."""
        ends = self.interval(confidence)
        number = f"{self.value:.{digits}f}"
        return number if ends is None else f"{number} ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"


def mean(estimates: Sequence[Estimate]) -> Estimate | None:
    """The mean, draw by draw; None of nothing."""
    if not estimates:
        return None
    return Estimate(float(np.mean([e.value for e in estimates])), np.mean([e.draws for e in estimates], axis=0))


def of_subset(
    levels: ArrayLike,
    scores: ArrayLike,
    subset: str,
    *,
    draws: int,
    seed: int,
    by_level: bool = False,
    groups: Any = None,
) -> dict[str, Estimate]:
    """The rank metrics of one subset that can be computed; with ``by_level`` also ``auroc_<level>``.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        Scores are finite.
    subset : str
        With ``seed`` it seeds the draws: independent between subsets, the same for every scorer.
    groups : array of shape (n,), optional
        What images belong to; those of one are drawn together.
    """
    levels, scores = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    result, own = measure(levels, scores), seed_of(subset, seed)
    told: dict[str, Any] = {"draws": draws, "seed": own, "groups": groups}
    drawn = bootstrap(levels, scores, **told) if len(np.unique(told_apart(levels))) > 1 else {}
    if by_level:
        parts = bootstrap_level_aurocs(levels, scores, **told)
        drawn |= {f"auroc_{level_name(level)}": values for level, values in parts.items()}
    return {
        name: Estimate(value, values)
        for name, values in drawn.items()
        if (value := result.values.get(name)) is not None
    }


def over_subsets(parts: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """The plain mean of each metric over the subsets that have it."""
    names = dict.fromkeys(name for part in parts for name in part)
    means = {name: mean([part[name] for part in parts if name in part]) for name in names}
    return {name: value for name, value in means.items() if value is not None}


def clearly_above(estimates: Mapping[Key, Estimate], confidence: float = 0.95) -> list[Key]:
    """Those that lie above 0 when all are asked at once, in their order.

    A two-sided band over all of them holds with this confidence: each is put in its own bootstrap deviations, and the
    band's reach is the quantile of the largest deviation of a draw, so estimates that move together cost little
    (Romano and Wolf 2005, Exact and approximate stepdown methods for multiple hypothesis testing, first step). Its
    own interval must lie above 0, too.
    """
    finite = {key: e for key, e in estimates.items() if len(e.draws) and np.isfinite(e.draws).all()}
    if not finite:
        return []
    values = np.array([e.value for e in finite.values()])
    draws = np.stack([e.draws for e in finite.values()])
    spread = draws.std(axis=1)
    moving = spread > 0
    apart = (draws[moving] - values[moving, None]) / spread[moving, None]
    reach = float(np.quantile(apart.max(axis=0), (1 + confidence) / 2)) if moving.any() else 0.0
    lows = zip(finite.items(), values - reach * spread, strict=True)
    return [key for (key, one), low in lows if low > 0 and one.sign(confidence) > 0]


@dataclass(frozen=True)
class Ranking:
    """How some estimates stand to each other, the largest first.

    Parameters
    ----------
    leader : str
        Name of the largest.
    alone : bool
        Whether it is clearly larger than every other one.
    widest : (str, str, Estimate) or None
        The pair that clearly differs most, larger one first, and its difference; None where no pair clearly differs.
    pairs : int
        How many pairs were compared.
    confidence : float
        Of each interval that decides.
    """

    leader: str
    alone: bool
    widest: tuple[str, str, Estimate] | None
    pairs: int
    confidence: float


def order_of(estimates: Mapping[str, Estimate], risk: float = 0.05) -> Ranking | None:
    """What can be said of an order that was not fixed beforehand: intervals are widened for all pairs (Bonferroni).

    None of fewer than two. ``risk`` is the chance that any of them leaves out what is so.
    """
    if len(estimates) < 2:
        return None
    names = sorted(estimates, key=lambda name: -estimates[name].value)
    pairs = list(itertools.combinations(names, 2))
    confidence = 1 - risk / len(pairs)
    clear = {pair: gap for pair in pairs if (gap := estimates[pair[0]] - estimates[pair[1]]).sign(confidence) > 0}
    widest = max(clear, key=lambda pair: clear[pair].value) if clear else None
    return Ranking(
        names[0],
        all((names[0], other) in clear for other in names[1:]),
        (*widest, clear[widest]) if widest else None,
        len(pairs),
        confidence,
    )
