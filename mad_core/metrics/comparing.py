"""Metrics of several scorers beside each other: what to set them against, and what they say in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mad_core.labelled import labelled, unlabelled_notes
from mad_core.metrics import names as metric_names
from mad_core.metrics.differences import clear_best
from mad_core.metrics.intervals import METRICS
from mad_core.metrics.names import ABNORMAL_C_INDEX, ABNORMAL_TAU, Flat
from mad_core.metrics.ranking import count_pairs, inversion_matrix, told_apart
from mad_core.metrics.summary import AS_IS_NOTE, ROUNDED_UP_NOTE, evaluate, ordered
from mad_core.metrics.units import groups_of

_MANY_TIES = 0.05
READ_METRICS = (
    "Each row is a scorer, or one scorer on one subset. Higher is better, but for tied pairs. AUROC: how often an "
    "abnormal image scores above a normal one; 0.5 is chance. C-index: how often the more severe of two images scores "
    "higher, ties counting half. Kendall's tau-b: agreement of the two orders, from -1 to 1. Below each value stands "
    "its 95 % interval: how far it would move with other images of the same kind. Intervals that overlap do not by "
    "themselves show that two scorers are equal. Where rows of made-up scorers stand at the end: a C-index at the "
    "level of perfect detection with severity at random can be had without any sense of severity."
)


def summarize(
    levels: ArrayLike,
    scores: ArrayLike,
    subsets: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
    groups: Any = None,
) -> dict[str, Any]:
    """As :func:`evaluate`, with intervals of the abnormal-only metrics as well.

    Also ``reference["abnormal_kendall_tau_b_max_untied"]``: the highest tau-b that scores without
    ties can reach among abnormal images alone.
    """
    levels, scores = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    names = None if subsets is None else np.asarray(subsets, dtype=object)
    result = evaluate(levels, scores, names, draws=draws, seed=seed, intervals=METRICS, groups=groups)
    above = levels > 0
    alone = evaluate(levels[above], scores[above], None if names is None else names[above], draws=0)
    result["reference"]["abnormal_kendall_tau_b_max_untied"] = alone["reference"]["kendall_tau_b_max_untied"]
    return result


def reference_rows(result: Mapping[str, Any]) -> dict[str, Flat]:
    """What three made-up scorers would get on the same images, by what they do.

    Empty where there are no normals. ``None`` where such a scorer has no value: tau-b of equal
    scores, and anything about severity where there is one abnormal level only.
    """
    points = result["reference"]
    random = points["c_index_random_severity"]
    if random is None:
        return {}
    perfect: Flat = dict.fromkeys(metric_names.AUROC.columns(result), metric_names.AUROC.best)
    ceiling = points.get("abnormal_kendall_tau_b_max_untied")
    several = ceiling is not None

    def row(c: float, tau: float | None, abnormal_c: float | None, abnormal_tau: float | None, tied: float) -> Flat:
        alone = {"abnormal_c_index": abnormal_c, "abnormal_kendall_tau_b": abnormal_tau} if several else {}
        return {**perfect, "c_index": c, "kendall_tau_b": tau, **alone, "tied_pairs": tied}

    by_chance, no_tau = ABNORMAL_C_INDEX.chance, ABNORMAL_TAU.chance
    tau = points["kendall_tau_b_random_severity"]
    return {
        "Perfect detection, severity at random": row(random, tau, by_chance, no_tau, 0.0),
        "Perfect 0/1 score": row(random, points["kendall_tau_b_perfect_binary"], by_chance, None, 2 - 2 * random),
        "Perfect order without ties": row(1.0, points["kendall_tau_b_max_untied"], 1.0, ceiling, 0.0),
    }


def best(
    results: Mapping[str, Mapping[str, Any]], differences: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, tuple[str, bool]]:
    """The best of several scorers in each column of the metrics, and whether it is clearly better than every other one.

    A column in which the best value stands twice, or that fewer than two scorers have, has no best. Metrics that are
    neither good nor bad are left out.

    Parameters
    ----------
    differences : mapping of metric to :func:`mad_core.metrics.differences.to_the_best`, optional
        Without it nothing is clear.
    """
    winners = {}
    for metric in metric_names.judged():
        rows = {name: metric.columns(result) for name, result in results.items()}
        for column in dict.fromkeys(column for row in rows.values() for column in row):
            values = {name: value for name, row in rows.items() if (value := row.get(column)) is not None}
            leaders = [name for name, value in values.items() if value == metric.best_of(values.values())]
            if len(values) > 1 and len(leaders) == 1:
                winners[column] = leaders[0], clear_best((differences or {}).get(column, {})) == leaders[0]
    return winners


def mean_inversion_matrix(
    levels: ArrayLike, scores: ArrayLike, subsets: ArrayLike
) -> tuple[np.ndarray, list[float], list[int]]:
    """The inversion matrix, averaged over the subsets that have both levels of a pair.

    Returns
    -------
    matrix : ndarray of shape (L, L)
        As :func:`mad_core.metrics.ranking.inversion_matrix` gives it.
    levels : list of L float
    counts : list of L int
        Their scored images.
    """
    scores = np.asarray(scores, dtype=np.float64)
    usable = np.isfinite(scores)
    scores, at = scores[usable], told_apart(levels)[usable]
    names = np.asarray(subsets, dtype=object)[usable]
    counts = [count_pairs(at[names == name], scores[names == name]) for name in np.unique(names)]
    present = np.unique(at)
    stacked = np.full((len(counts), len(present), len(present)), np.nan)
    sizes = np.zeros(len(present), dtype=int)
    for layer, part in zip(stacked, counts, strict=True):
        places = np.searchsorted(present, part.levels)
        layer[np.ix_(places, places)] = inversion_matrix(part)
        sizes[places] += part.sizes
    seen = np.isfinite(stacked).sum(axis=0)
    matrix = np.where(seen > 0, np.nansum(stacked, axis=0) / np.maximum(seen, 1), np.nan)
    return matrix, present.tolist(), sizes.tolist()


def summarize_rows(rows: pd.DataFrame, *, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """As :func:`summarize`, of the labelled images of a run's table.

    Its levels are taken as its subsets ask for; the notes say how, and how many images have none. Images of a group are
    taken together.
    """
    with_level = labelled(rows)
    levels, notes = ordered(with_level)
    result = summarize(
        levels, with_level["score"], with_level["subset"], draws=draws, seed=seed, groups=groups_of(with_level)
    )
    return result | {"notes": list(dict.fromkeys([*unlabelled_notes(rows), *notes, *result["notes"]]))}


def levels_in_words(result: Mapping[str, Any]) -> str:
    """Whether levels with fractions count as they are or are rounded up; empty where all are whole."""
    return " ".join(note for note in result["notes"] if note in (AS_IS_NOTE, ROUNDED_UP_NOTE))


def reference_in_words(result: Mapping[str, Any]) -> str:
    """What the reference points mean for the reader; empty where there are none."""
    points = result["reference"]
    random, tau = points["c_index_random_severity"], points["kendall_tau_b_random_severity"]
    if random is None:
        return ""
    return (
        f"{_percent(2 * random - 1)} of the pairs behind the C-index only ask for normal against abnormal. Perfect "
        f"detection with severity at random already reaches a C-index of {random:.3f} and a tau-b of {tau:.3f}; "
        f"a perfect 0/1 score reaches a tau-b of {points['kendall_tau_b_perfect_binary']:.3f}; no score without ties "
        f"gets beyond {points['kendall_tau_b_max_untied']:.3f}."
    )


def in_words(result: Mapping[str, Any]) -> list[str]:
    """What the numbers of one scorer say about severity, ties and missing scores, in sentences."""
    sentences = []
    alone, interval = result["abnormal_only"]["c_index"], result["intervals"].get("abnormal_c_index")
    if alone is not None and interval:
        sentences.append(_severity(alone, *interval))
    whole, random = result["intervals"].get("c_index"), result["reference"]["c_index_random_severity"]
    if alone is not None and whole and random is not None and whole[0] <= random:
        under = "below" if whole[1] < random else "not clearly above"
        sentences.append(f"Its C-index is {under} that of perfect detection with random severity ({random:.3f}).")
    tied = result["ties"]["share_of_pairs"]
    if tied is not None and tied >= _MANY_TIES:
        sentences.append(f"{_percent(tied)} of the pairs of different levels have equal scores, which flatters tau-b.")
    lacking = result["n"] - result["n_scored"]
    if lacking:
        sentences.append(f"{lacking:,} of {result['n']:,} images have no score and enter none of its numbers.")
    return sentences


def _severity(c: float, low: float, high: float) -> str:
    verdict = "better than chance" if low > 0.5 else "worse than chance" if high < 0.5 else "not told from chance"
    between = f"{100 * low:.0f} to {_percent(high)}"
    return f"Puts {_percent(c)} of the pairs of abnormal images in order of severity ({between}): {verdict}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"
