"""Two scorers on the same images: their difference, and who of several is the best.

A difference is paired: what an image does to both scorers mostly cancels, so a difference is known far better than
two intervals beside each other show.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mad_core.metrics.macro import Measured, macro, measure, uncertainties_of
from mad_core.metrics.names import judged, metric_of
from mad_core.metrics.uncertainty import difference_interval


@dataclass(frozen=True)
class Difference:
    """One scorer less another, over the subsets where both have the metric, on the images that both scored.

    Parameters
    ----------
    value : float
    interval : [low, high] or None
        Paired.
    """

    value: float
    interval: list[float] | None

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies above or below 0; 0 where it does not tell."""
        return 0 if self.interval is None else int(self.interval[0] > 0) - int(self.interval[1] < 0)


def difference(
    first: Mapping[str, Measured], second: Mapping[str, Measured], metric: str, confidence: float = 0.95
) -> Difference | None:
    """First less second scorer, subsets by name; None where no subset has the metric of both."""
    pairs = [
        both for name in first if name in second and (both := _common(first[name], second[name], metric)) is not None
    ]
    if not pairs:
        return None
    gap = float(np.mean([(a.counted(metric) or 0.0) - (b.counted(metric) or 0.0) for a, b in pairs]))
    ours, theirs = (uncertainties_of(parts, metric) for parts in zip(*pairs, strict=True))
    return Difference(gap, difference_interval(ours, theirs, confidence) if ours and theirs else None)


def _common(first: Measured, second: Measured, metric: str) -> tuple[Measured, Measured] | None:
    """Both on the images that both scored; None where they have none of the metric there."""
    a, b = _on(first, second), _on(second, first)
    if a.n != b.n or not np.array_equal(a.levels, b.levels):
        return None
    both = np.isfinite(a.scores) & np.isfinite(b.scores)
    a, b = _only(a, both), _only(b, both)
    return (a, b) if a.counted(metric) is not None and b.counted(metric) is not None else None


def _on(one: Measured, other: Measured) -> Measured:
    """Only the images that the other has too, in the order of their names; as it is where images have no names."""
    if one.images is None or other.images is None or np.array_equal(one.images, other.images):
        return one
    _, rows, _ = np.intersect1d(one.images.astype(str), other.images.astype(str), return_indices=True)
    return one.only(rows)


def _only(one: Measured, rows: np.ndarray) -> Measured:
    if rows.all():
        return one
    return one.only(rows)


def to_the_best(
    scorers: Mapping[str, Mapping[str, Measured]], metric: str, confidence: float = 0.95
) -> dict[str, Difference | None]:
    """Each scorer less the one with the best value, its own name with a difference of 0 and no interval.

    Which one is the highest was not known beforehand, so each interval is widened for the number of its rivals
    (Bonferroni): all of them hold together with the confidence that is asked for.

    Parameters
    ----------
    scorers : mapping of name to subset to Measured
        Measured on the same subsets.
    """
    values = {name: macro(list(parts.values())).values[metric] for name, parts in scorers.items()}
    measured = {name: value for name, value in values.items() if value is not None}
    if not measured:
        return {}
    best = metric_of(metric).best_of(measured.values())
    leader = next(name for name, value in measured.items() if value == best)
    each = 1 - (1 - confidence) / max(len(measured) - 1, 1)
    differences = {
        name: difference(scorers[name], scorers[leader], metric, each) for name in measured if name != leader
    }
    return {name: Difference(0.0, None) if name == leader else differences[name] for name in measured}


def every_to_the_best(scorers: Mapping[str, Mapping[str, Measured]]) -> dict[str, dict[str, Difference | None]]:
    """:func:`to_the_best` in each metric by which one scorer can be better."""
    return {metric.id: to_the_best(scorers, metric.id) for metric in judged()}


def clear_best(differences: Mapping[str, Difference | None]) -> str | None:
    """Who is clearly the best by :func:`to_the_best`: every rival's interval lies on one side of 0.

    None of fewer than two.
    """
    leaders = [name for name, gap in differences.items() if gap is not None and not gap.value and gap.interval is None]
    if len(leaders) != 1 or len(differences) < 2:
        return None
    rivals = [gap for name, gap in differences.items() if name != leaders[0]]
    return leaders[0] if all(gap is not None and gap.sign != 0 for gap in rivals) else None


def differences(
    levels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    subsets: ArrayLike,
    groups: Any = None,
    *,
    with_intervals: bool = True,
) -> tuple[int, dict[str, tuple[float | None, list[float] | None]]]:
    """First minus second scorer on the images that both scored, with paired 95 % intervals.

    Images of one of the ``groups`` are taken together.

    Returns
    -------
    n : int
        Images that both scored.
    dict
        For each metric by which one can be better the difference, averaged over the subsets where both have the metric,
        and its interval.
    """
    at, names = np.asarray(levels, dtype=np.float64), np.asarray(subsets, dtype=object)
    scores = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    both = np.isfinite(scores[0]) & np.isfinite(scores[1])
    a, b = (by_subset(at, values, names, groups=groups, with_intervals=with_intervals) for values in scores)
    gaps = {metric.id: difference(a, b, metric.id) for metric in judged()}
    return int(both.sum()), {m: (gap.value, gap.interval) if gap else (None, None) for m, gap in gaps.items()}


def by_subset(
    levels: ArrayLike,
    scores: ArrayLike,
    subsets: ArrayLike,
    images: ArrayLike | None = None,
    *,
    groups: Any = None,
    with_intervals: bool = True,
) -> dict[str, Measured]:
    """Each subset measured for itself; arrays of shape (n,)."""
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    names = np.asarray([str(name) for name in np.asarray(subsets, dtype=object).tolist()], dtype=object)
    called, belong = (None if of is None else np.asarray(of, dtype=object) for of in (images, groups))
    parts = {}
    for name in sorted(set(names.tolist())):
        rows = names == name
        own, together = (None if of is None else of[rows] for of in (called, belong))
        parts[name] = measure(at[rows], values[rows], own, with_intervals=with_intervals, groups=together)
    return parts
