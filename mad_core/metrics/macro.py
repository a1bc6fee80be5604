"""Macro averages of the rank metrics over any group of subsets, with intervals.

Raw scores of different subsets are never pooled: each subset is measured for itself, and a macro average is the plain
mean of its subsets' values. Subsets are independent samples: their variances add up
(:mod:`mad_core.metrics.uncertainty`). A value and its interval are always over the same subsets. A subset whose scores
are all equal counts with a tau-b of 0, for it orders nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mad_core.metrics import names as metric_names
from mad_core.metrics.names import Flat, flat
from mad_core.metrics.summary import equal_scores, evaluate
from mad_core.metrics.uncertainty import Uncertainty, interval, uncertainties


@dataclass(frozen=True, eq=False)
class Measured:
    """One scorer on one subset.

    Parameters
    ----------
    levels, scores : ndarray of shape (n,)
        As asked for; the scores of images without one are NaN.
    values : mapping of metric to fraction or None
        As :func:`mad_core.metrics.names.flat` gives them.
    images : ndarray of shape (n,) or None
        What the images are called, so that two scorers are compared on the same ones.
    with_intervals : bool
    groups : ndarray of shape (n,) or None
        What images belong to: those of one are no independent ones.
    """

    levels: np.ndarray
    scores: np.ndarray
    values: Flat
    images: np.ndarray | None = None
    with_intervals: bool = True
    groups: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Images asked for."""
        return len(self.levels)

    @cached_property
    def n_scored(self) -> int:
        """Images with a finite score."""
        return int(np.isfinite(self.scores).sum())

    @cached_property
    def uncertainties(self) -> dict[str, Uncertainty]:
        """Of each metric that has an interval here; nothing where none was asked for."""
        usable = np.isfinite(self.scores)
        groups = None if self.groups is None else self.groups[usable]
        return uncertainties(self.levels[usable], self.scores[usable], groups) if self.with_intervals else {}

    def only(self, rows: np.ndarray) -> "Measured":
        """The same on some of its images, by place or by a mask."""
        images, groups = (None if of is None else of[rows] for of in (self.images, self.groups))
        return measure(self.levels[rows], self.scores[rows], images, with_intervals=self.with_intervals, groups=groups)

    def counted(self, metric: str) -> float | None:
        """The value that enters a macro average: 0 for the tau-b of equal scores."""
        value = self.values.get(metric)
        return equal_scores(metric, self.values.get) if value is None else value

    def interval(self, metric: str) -> list[float] | None:
        """95 %, of this subset alone."""
        return macro([self]).intervals[metric]


@dataclass(frozen=True)
class Macro:
    """Averages over subsets.

    Parameters
    ----------
    n, n_scored : int
        Sums over the subsets.
    subsets, of : int
        How many subsets have scores, and how many were asked for.
    values : mapping of metric to fraction or None
        For each of :data:`mad_core.metrics.names.METRICS` the mean over the subsets that have it; Kendall's tau-b of
        equal scores is 0.
    intervals : mapping of metric to [low, high] or None
        95 %, over the same subsets; None where one of them has too few images of a level.
    """

    n: int
    n_scored: int
    subsets: int
    of: int
    values: Flat
    intervals: Mapping[str, list[float] | None]

    @property
    def coverage(self) -> float | None:
        """Share of the images that have a score; None without images."""
        return self.n_scored / self.n if self.n else None

    @property
    def complete(self) -> bool:
        """Whether every subset that was asked for has scores."""
        return self.subsets == self.of


def measure(
    levels: ArrayLike,
    scores: ArrayLike,
    images: ArrayLike | None = None,
    *,
    with_intervals: bool = True,
    groups: Any = None,
) -> Measured:
    """The metrics of one subset.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        Severity levels; raw scores, NaN and infinities count as unscored.
    images : array of shape (n,), optional
        What they are called.
    groups : array of shape (n,), optional
        What they belong to; those of one are taken together in intervals.
    """
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    metrics = flat(evaluate(at, values, draws=0))
    named, belong = (None if of is None else np.asarray(of, dtype=object) for of in (images, groups))
    return Measured(at, values, metrics, named, with_intervals, belong)


def macro(parts: Sequence[Measured | None]) -> Macro:
    """The averages over some subsets; None stands for a subset without scores (not run, or failed)."""
    there = [part for part in parts if part is not None]
    scored = [part for part in there if part.n_scored]
    having = {m.id: [part for part in scored if part.counted(m.id) is not None] for m in metric_names.METRICS}
    return Macro(
        n=sum(part.n for part in there),
        n_scored=sum(part.n_scored for part in there),
        subsets=len(scored),
        of=len(parts),
        values={metric: _mean([part.counted(metric) for part in own]) for metric, own in having.items()},
        intervals={metric: interval(uncertainties_of(own, metric)) for metric, own in having.items()},
    )


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def uncertainties_of(parts: Sequence[Measured], metric: str) -> list[Uncertainty]:
    """The uncertainty of each part; nothing where one has none, so that a value and its interval go together."""
    present = [one for part in parts if (one := part.uncertainties.get(metric)) is not None]
    return present if len(present) == len(parts) else []
