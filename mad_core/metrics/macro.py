"""Macro averages of the rank metrics over any group of subsets, with intervals.

Raw scores of different subsets are never pooled: each subset is measured for itself, and a macro average
is the plain mean of its subsets' values. Subsets are independent samples, so each is resampled for itself
with a generator of its own (:func:`measure`), and the interval of an average is the percentile interval of
the averages of those draws, draw by draw (:func:`macro`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mad_core.metrics import names as metric_names
from mad_core.metrics.intervals import bootstrap, percentile_interval
from mad_core.metrics.names import Flat, flat
from mad_core.metrics.summary import evaluate


@dataclass(frozen=True, eq=False)
class Measured:
    """One scorer on one subset.

    Parameters
    ----------
    n, n_scored : int
        Images asked for, and those with a finite score.
    values : mapping of metric to fraction or None
        As :func:`mad_core.metrics.names.flat` gives them.
    draws : mapping of metric to ndarray of shape (draws,)
        Bootstrap values, NaN where a draw has none; empty where none were drawn.
    """

    n: int
    n_scored: int
    values: Flat
    draws: Mapping[str, np.ndarray]


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
        For each of :data:`mad_core.metrics.names.METRICS` the mean over the subsets that have it.
    intervals : mapping of metric to [low, high] or None
        95 %; None where a subset that enters the mean has no draws.
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


def measure(levels: ArrayLike, scores: ArrayLike, subset: str, *, draws: int = 1000, seed: int = 0) -> Measured:
    """The metrics of one subset and their bootstrap values.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        Severity levels, half levels are rounded up; raw scores, NaN and infinities count as unscored.
    subset : str
        With ``seed`` it seeds the draws: independent between subsets, the same for every scorer.
    draws : int
        0 for none.
    """
    levels, scores = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    found = evaluate(levels, scores, draws=0)
    usable = np.isfinite(scores)
    several = len(np.unique(np.ceil(levels[usable]))) > 1
    own = int.from_bytes(hashlib.blake2b(f"{seed}\0{subset}".encode(), digest_size=4).digest())
    values = bootstrap(levels[usable], scores[usable], draws=draws, seed=own) if draws and several else {}
    return Measured(len(levels), int(usable.sum()), flat(found), values)


def macro(parts: Sequence[Measured | None]) -> Macro:
    """The averages over some subsets; None stands for a subset without scores (not run, or failed)."""
    there = [part for part in parts if part is not None]
    scored = [part for part in there if part.n_scored]
    return Macro(
        n=sum(part.n for part in there),
        n_scored=sum(part.n_scored for part in there),
        subsets=len(scored),
        of=len(parts),
        values={metric.id: _mean(scored, metric.id) for metric in metric_names.METRICS},
        intervals={metric.id: _interval(scored, metric.id) for metric in metric_names.METRICS},
    )


def _having(parts: Sequence[Measured], metric: str) -> list[Measured]:
    return [part for part in parts if part.values.get(metric) is not None]


def _mean(parts: Sequence[Measured], metric: str) -> float | None:
    known = [value for part in parts if (value := part.values.get(metric)) is not None]
    return sum(known) / len(known) if known else None


def _interval(parts: Sequence[Measured], metric: str) -> list[float] | None:
    draws = [part.draws.get(metric) for part in _having(parts, metric)]
    known = [values for values in draws if values is not None]
    return percentile_interval(np.mean(known, axis=0)) if known and len(known) == len(draws) else None
