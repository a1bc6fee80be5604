"""Does a score follow severity, or the area of the defect? Rank correlations with an area, and what they say.

Severity and area are often related themselves; a score that follows the area orders severity well where the
larger defect is the worse one, and badly where a small one is. So both stand beside each other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mad_core.metrics.comparing import summarize
from mad_core.metrics.intervals import expanded, percentile_interval, seed_of, stratified_counts
from mad_core.metrics.special import mean_ranks
from mad_core.metrics.units import fewest_units

FEWEST = 4
"""Abnormal images with an area below which no correlation is made."""


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation, ties sharing their mean rank; None where one of both is constant.

    Parameters
    ----------
    first, second : ndarray of shape (n,)
        Finite.
    """
    if len(first) < 2:
        return None
    a, b = (mean_ranks(values) - (len(values) + 1) / 2 for values in (first, second))
    spread = float(a @ a) * float(b @ b)
    return float(a @ b) / spread**0.5 if spread else None


def bootstrap_rank_correlation(
    levels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    draws: int = 1000,
    seed: int = 0,
    groups: Any = None,
) -> np.ndarray:
    """Spearman's rank correlation of ``draws`` resamples, drawn with replacement within each level, groups whole.

    Returns
    -------
    ndarray of shape (draws,)
        Ranks are made anew in every resample; NaN where one of both is constant in it.
    """
    by_first, by_second = _Ranks(first), _Ranks(second)
    values = []
    for counts in stratified_counts(levels, draws, seed, groups):
        a, b = by_first.centred(counts), by_second.centred(counts)
        spread = (counts * a * a).sum(axis=1) * (counts * b * b).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            values.append(np.where(spread > 0, (counts * a * b).sum(axis=1) / np.sqrt(spread), np.nan))
    return np.concatenate(values) if values else np.empty(0)


class _Ranks:
    """Mean ranks of a fixed set of values in resamples of it, from how often each value was drawn."""

    def __init__(self, values: np.ndarray) -> None:
        _, self.place = np.unique(values, return_inverse=True)
        self.order = np.argsort(self.place, kind="stable")
        self.starts = np.flatnonzero(np.diff(self.place[self.order], prepend=-1))

    def centred(self, counts: np.ndarray) -> np.ndarray:
        """Rank of each value less the mean rank; ``counts`` and result of shape (draws, n)."""
        of_value = np.add.reduceat(counts[:, self.order], self.starts, axis=1)
        ranks = np.cumsum(of_value, axis=1) - (of_value - 1) / 2
        return (ranks - (counts.sum(axis=1, keepdims=True) + 1) / 2)[:, self.place]


def severity_and_area(
    levels: ArrayLike,
    scores: ArrayLike,
    areas: ArrayLike,
    subsets: ArrayLike,
    *,
    draws: int = 1000,
    seed: int = 0,
    groups: Any = None,
) -> dict[str, Any]:
    """As :func:`mad_core.metrics.comparing.summarize`, with the rank correlation of score and area.

    Parameters
    ----------
    levels, scores, subsets : array of shape (n,)
    areas : array of shape (n,)
        Area of the defect, in any unit; NaN where it is not known. Only abnormal images enter.
    groups : array of shape (n,), optional
        What images belong to; those of one count together.

    Returns
    -------
    dict
        Also ``"area"``: ``rank_correlation`` (the mean over the subsets that have one), ``interval`` (95 %), ``n``
        (images) and ``subsets`` (their number).
    """
    levels, scores = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    areas, names = np.asarray(areas, dtype=np.float64), np.asarray(subsets, dtype=object)
    result = summarize(levels, scores, names, draws=draws, seed=seed, groups=groups)
    belong = None if groups is None else np.asarray(groups, dtype=object)
    usable = (levels > 0) & np.isfinite(scores) & np.isfinite(areas)
    values, resampled, n, fewest = [], [], 0, len(levels)
    for name in sorted(set(names.tolist()), key=str):
        rows = usable & (names == name)
        if rows.sum() < FEWEST:
            continue
        value = rank_correlation(scores[rows], areas[rows])
        if value is None:
            continue
        n += int(rows.sum())
        values.append(value)
        at, own = levels[rows], seed_of(str(name), seed)
        together = None if belong is None else belong[rows]
        fewest = min(fewest, fewest_units(at, together))
        drawn = bootstrap_rank_correlation(at, scores[rows], areas[rows], draws=draws, seed=own, groups=together)
        resampled.append(drawn)
    result["area"] = {
        "rank_correlation": sum(values) / len(values) if values else None,
        "interval": percentile_interval(np.mean(resampled, axis=0), expanded(0.95, fewest))
        if draws and values
        else None,
        "n": n,
        "subsets": len(values),
    }
    return result


# -- what it says -------------------------------------------------------------------------------

Estimate = tuple[float, list[float]]
"""A value with its interval."""


def severity_of(result: Mapping[str, Any]) -> Estimate | None:
    """The abnormal-only C-index with its interval."""
    return _estimate(result["abnormal_only"]["c_index"], result["intervals"].get("abnormal_c_index"))


def area_of(result: Mapping[str, Any]) -> Estimate | None:
    """The rank correlation with the area, with its interval."""
    return _estimate(result["area"]["rank_correlation"], result["area"]["interval"])


def _estimate(value: float | None, interval: list[float] | None) -> Estimate | None:
    return None if value is None or interval is None else (value, interval)


def leaders(estimates: Mapping[str, Estimate]) -> list[str]:
    """The highest, then all whose interval overlaps its interval, highest first."""
    order = sorted(estimates, key=lambda name: -estimates[name][0])
    if not order:
        return []
    low = estimates[order[0]][1][0]
    return [order[0], *(name for name in order[1:] if estimates[name][1][1] >= low)]


def in_words(results: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str], area: str) -> list[str]:
    """Which reduction follows severity and which follows the area, in sentences computed from the numbers.

    Parameters
    ----------
    results : mapping of name to the result of :func:`severity_and_area`
    titles : mapping of name to str
    area : str
        What the area is called, such as ``"the mask's area"``.
    """
    severity = {name: value for name, result in results.items() if (value := severity_of(result))}
    extent = {name: value for name, result in results.items() if (value := area_of(result))}
    sentences = []
    if len(severity) > 1:
        sentences.append(_leading(severity, titles, "severity", "C-index among abnormal images"))
        if all(low <= 0.5 for _, (low, _) in severity.values()):
            sentences.append("None of them is told from chance in its order of severity.")
    else:
        sentences.append("Nothing can be said about severity: that needs two abnormal levels and intervals.")
    if len(extent) > 1:
        sentences.append(_leading(extent, titles, area, "rank correlation"))
    else:
        sentences.append(f"Nothing can be said about {area}: too few abnormal images have one.")
    if len(severity) > 1 and len(extent) > 1:
        sentences += _together(leaders(severity), leaders(extent), len(severity), titles, area)
    return sentences


def _leading(estimates: Mapping[str, Estimate], titles: Mapping[str, str], what: str, metric: str) -> str:
    first, *rivals = leaders(estimates)
    value, (low, high) = estimates[first]
    number = f"{metric} {value:.2f}, {low:.2f} to {high:.2f}"
    if not rivals:
        return f"{_capital(titles[first])} follows {what} best ({number}), its interval above those of all others."
    if len(rivals) + 1 == len(estimates):
        return (
            f"No clear difference in how they follow {what}: all intervals overlap that of the highest, "
            f"{titles[first]} ({number})."
        )
    return (
        f"{_capital(titles[first])} follows {what} most closely ({number}), with no clear difference from "
        f"{_listed([titles[name] for name in rivals])}, whose intervals overlap."
    )


def _together(severity: Sequence[str], area: Sequence[str], of: int, titles: Mapping[str, str], what: str) -> list[str]:
    both = [name for name in severity if name in area]
    if not both:
        return [f"What follows severity here is not what follows {what}."]
    if len(both) == of:
        return []
    return [f"Among the leading ones for severity and for {what} alike: {_listed([titles[name] for name in both])}."]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
