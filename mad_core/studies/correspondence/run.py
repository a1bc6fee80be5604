"""Does good detection mean good severity order? Scorers and subsets as points: detection against order.

Detection is the AUROC of normals against all abnormal images. The order of severity is the C-index among abnormal
images alone: the C-index over all images holds the detection pairs too, so it rises with detection by itself. A
subset that is easy to detect may also be easy to order, so both are compared within a subset, scorer against scorer.

Only stored scores are read: the full mode takes seconds, so a study that was stopped begins anew.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mad_core.metrics.differences import difference
from mad_core.metrics.intervals import seed_of
from mad_core.metrics.macro import Measured, macro, measure, uncertainties_of
from mad_core.metrics.ranking import reference_points, told_apart
from mad_core.metrics.uncertainty import interval
from mad_core.metrics.units import dealt, units_of
from mad_core.studies.estimates import RISK
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, measured, sample_of
from mad_core.studies.study import Work

DETECTION, ORDER, WHOLE = "auroc_whole", "abnormal_c_index", "c_index"
WELL = 0.9
"""AUROC from which a scorer is said to detect well."""
FEWEST = 6
"""Scorers below which no correlation is claimed."""
_CERTAIN = 0.999
_ORDERS = 5040

Places = Mapping[str, Mapping[str, Measured]]
"""Run id to subset to what was measured."""


def run(work: Work) -> Finding:
    """Do the study."""
    sample = sample_of(work)
    return correspondence(measured(work, sample), sample, quick=work.quick)


def correspondence(places: Places, sample: Sample, *, quick: bool) -> Finding:
    """The finding, from what was measured of each run on each subset.

    Parameters
    ----------
    places : mapping of run id to subset to Measured
        On the same images.
    sample : Sample
        Names the runs and says on how many images.
    """
    points = points_of(places, sample.names)
    scorers = scorers_of(places, sample.names)
    correlation = correlated(places)
    reversals = reversals_of(places, sample.names)
    facts = {**sample.facts(), "correlation": correlation, "reversals": reversals, "reference": _reference(sample)}
    start = f"On a sample of {sample.in_words()}, " if quick else ""
    sentences = [start + _lower(_association(correlation), start), *_alone(places), *_reversed(reversals)]
    return Finding(
        "correspondence",
        "Detection and severity order",
        " ".join(sentences),
        "The interval holds for other scorers like these on these subsets; with few of them it is wide, and scorers "
        "that build on the same features do not count as independent. Detection and order are measured on different "
        "halves of the images. Pairs are named only where intervals that are widened for the number of pairs leave 0 "
        "out.",
        {"points": points, "scorers": scorers},
        facts,
    )


# -- tables ---------------------------------------------------------------------------------------


def points_of(places: Places, names: Mapping[str, str]) -> pd.DataFrame:
    """A row for each scorer and subset, fractions; 95 % bootstrap intervals as ``…_low`` and ``…_high``."""
    rows = [
        {"scorer": names[run_id], "subset": subset, "images": measured.n_scored, **_values(measured)}
        for run_id, subsets in places.items()
        for subset, measured in subsets.items()
    ]
    return pd.DataFrame(rows)


def _values(measured: Measured) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for metric in (DETECTION, ORDER, WHOLE):
        low, high = measured.interval(metric) or (None, None)
        row |= {metric: measured.values.get(metric), f"{metric}_low": low, f"{metric}_high": high}
    return row


def scorers_of(places: Places, names: Mapping[str, str]) -> pd.DataFrame:
    """A row for each scorer, averaged over its subsets, those whose two places lie furthest apart first.

    ``detection_place`` and ``order_place`` are 1 for the best; scorers with equal values share their mean place.
    """
    rows = []
    for run_id, subsets in places.items():
        means = macro(list(subsets.values()))
        row: dict[str, Any] = {"scorer": names[run_id], "subsets": means.subsets}
        for metric in (DETECTION, ORDER, WHOLE):
            low, high = means.intervals.get(metric) or (None, None)
            row |= {metric: means.values.get(metric), f"{metric}_low": low, f"{metric}_high": high}
        rows.append(row)
    table = pd.DataFrame(rows)
    for metric, place in ((DETECTION, "detection_place"), (ORDER, "order_place")):
        table[place] = table[metric].astype("float64").rank(ascending=False, method="average")
    table["places_apart"] = (table["detection_place"] - table["order_place"]).abs()
    return table.sort_values("places_apart", ascending=False, kind="stable", ignore_index=True)


def _reference(sample: Sample) -> dict[str, Any]:
    """What perfect detection with severity at random reaches, averaged over the subsets."""
    levels: Any = pd.concat([table[["image_id", "subset", "level"]] for table in sample.tables.values()])
    values = []
    for _, rows in levels.drop_duplicates("image_id").groupby("subset"):
        at, counts = np.unique(told_apart(rows["level"]), return_counts=True)
        value = reference_points(dict(zip(at.tolist(), counts.tolist(), strict=True)))["c_index_random_severity"]
        values += [value] if value is not None else []
    return {WHOLE: float(np.mean(values)) if values else None, ORDER: 0.5}


# -- the correlation ------------------------------------------------------------------------------


def correlated(places: Places, *, seed: int = 0) -> dict[str, Any]:
    """Rank correlation of detection with severity order over scorers and subsets.

    Both values are taken as distances to the subset's mean over the scorers. They are measured on two different halves
    of the images, each way round: an image that was scored by mistake moves both values of a scorer, and would make
    a correlation of its own. How far chance reaches is found by giving each scorer's order of severity to another one,
    whole scorers over all subsets at once, for the subsets of one scorer are not independent.

    Returns
    -------
    dict
        ``value``, ``interval`` (97.5 %, on Fisher's scale as far to both sides as chance reaches; None with fewer than
        :data:`FEWEST` scorers), ``points`` (scorers on subsets), ``independent`` (scorers).
    """
    runs, subsets = list(places), sorted({name for own in places.values() for name in own})
    halves = [_half_values(places, runs, subsets, seed, half) for half in (0, 1)]
    finite = np.isfinite(np.stack([table for half in halves for table in half])).all(axis=0)
    finite &= finite.sum(axis=0) > 1
    scorers = finite.any(axis=1)
    facts = {"value": None, "interval": None, "points": int(finite.sum()), "independent": int(scorers.sum())}
    if finite.sum() < 3:
        return facts
    ways = [(halves[0][0], halves[1][1]), (halves[1][0], halves[0][1])]
    scaled = [(_scaled(x, finite)[scorers], _scaled(y, finite)[scorers]) for x, y in ways]
    table = np.mean([x @ y.T for x, y in scaled], axis=0)
    value = float(np.trace(table))
    facts["value"] = value
    if scorers.sum() < FEWEST:
        return facts
    chance = np.abs(table[np.arange(len(table)), _orders(len(table), seed)].sum(axis=1))
    reach = float(np.arctanh(min(np.quantile(chance, 1 - RISK, method="higher"), _CERTAIN)))
    centre = float(np.arctanh(np.clip(value, -_CERTAIN, _CERTAIN)))
    return facts | {"interval": [float(np.tanh(centre - reach)), float(np.tanh(centre + reach))]}


def _half_values(
    places: Places, runs: Sequence[str], subsets: Sequence[str], seed: int, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """Detection and order on one half of each level's images, (runs, subsets) each; NaN where there is none."""
    values = np.full((2, len(runs), len(subsets)), np.nan)
    for column, subset in enumerate(subsets):
        for row, run_id in enumerate(runs):
            one = places[run_id].get(subset)
            if one is None:
                continue
            rows = _halved(one, seed_of(subset, seed)) == half
            own = measure(one.levels[rows], one.scores[rows], with_intervals=False).values
            for place, metric in enumerate((DETECTION, ORDER)):
                value = own.get(metric)
                values[place, row, column] = np.nan if value is None else value
    return values[0], values[1]


def _halved(one: Measured, seed: int) -> np.ndarray:
    """0 or 1 for each image, level by level; the same for every scorer that was asked for the same images.

    Images of a group are in one half.
    """
    units = units_of(one.groups, one.n)
    if units is not None:
        return dealt(one.levels, units, 2, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(one.n)
    order = order[np.argsort(one.levels[order], kind="stable")]
    half = np.empty(one.n, dtype=np.int64)
    half[order] = np.arange(one.n) % 2
    return half


def _scaled(values: np.ndarray, finite: np.ndarray) -> np.ndarray:
    """Ranks of the distances to the subset's mean, of mean 0 and length 1; 0 where there is no value."""
    there = np.where(finite, values, np.nan)
    apart = np.round(there - _column_means(there), 12)
    ranks = np.zeros(values.shape)
    ranks[finite] = rankdata(apart[finite])
    ranks[finite] -= ranks[finite].mean()
    return ranks / max(float(np.sqrt((ranks**2).sum())), 1e-12)


def _column_means(values: np.ndarray) -> np.ndarray:
    count = np.isfinite(values).sum(axis=0)
    return np.nansum(values, axis=0) / np.maximum(count, 1)


def _orders(count: int, seed: int) -> np.ndarray:
    """Orders of so many scorers, the given one first: all there are, or :data:`_ORDERS` random ones."""
    if math.factorial(count) <= _ORDERS:
        return np.array(list(itertools.permutations(range(count))))
    rng = np.random.default_rng(seed)
    return np.stack([np.arange(count), *(rng.permutation(count) for _ in range(_ORDERS - 1))])


def reversals_of(places: Places, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Pairs of scorers of which one clearly detects better and clearly orders severity worse.

    Differences are averaged over the subsets that both have; clear: their paired interval leaves 0 out, widened for the
    number of pairs (Bonferroni).
    """
    reversals = []
    confidence = 1 - RISK / max(1, math.comb(len(places), 2))
    for first in places:
        for second in places:
            gaps = {m: difference(places[first], places[second], m, confidence) for m in (DETECTION, ORDER)}
            detection, order = gaps[DETECTION], gaps[ORDER]
            if detection and order and detection.sign > 0 and order.sign < 0:
                reversals.append(
                    {
                        "detects_better": names[first],
                        "orders_better": names[second],
                        "auroc_difference": [detection.value, *(detection.interval or ())],
                        "order_difference": [order.value, *(order.interval or ())],
                    }
                )
    return reversals


# -- in words -------------------------------------------------------------------------------------


def _association(correlation: Mapping[str, Any]) -> str:
    interval = correlation["interval"]
    if interval is None:
        return (
            f"Nothing can be said about detection and severity order together: scorers that can be compared are "
            f"{correlation['independent']}, and {FEWEST} are needed; add scorers."
        )
    low, high = interval
    value, scorers = correlation["value"], correlation["independent"]
    number = f"rank correlation {value:.2f}, {low:.2f} to {high:.2f} (97.5 %), {scorers} scorers"
    if low > 0:
        return f"Scorers that detect better also order severity better ({number})."
    if high < 0:
        return f"Scorers that detect better order severity worse ({number})."
    return f"No clear difference: how well a scorer detects does not tell how well it orders severity ({number})."


def _alone(places: Places) -> list[str]:
    """How many detect well and yet are not told from random severity; intervals are widened for their number."""
    every = [measured for subsets in places.values() for measured in subsets.values()]
    well = [measured for measured in every if (measured.values.get(DETECTION) or 0.0) >= WELL]
    if not well:
        return [f"None of the {len(every)} detects with an AUROC of {WELL:.2f} or more."]
    ends = [interval(uncertainties_of([measured], ORDER), 1 - RISK / len(well)) for measured in well]
    unknown = sum(end is None or end[0] <= 0.5 for end in ends)
    if unknown == 0:
        verdict = "all order abnormal images better than at random"
    elif unknown == len(well):
        verdict = "none is told from a random order among abnormal images"
    else:
        verdict = f"{unknown} {'is' if unknown == 1 else 'are'} not told from a random order among abnormal images"
    return [f"Of the {len(well)} that detect with an AUROC of {WELL:.2f} or more, {verdict}."]


def _reversed(reversals: list[dict[str, Any]]) -> list[str]:
    if not reversals:
        return []
    first = reversals[0]
    more = f" ({len(reversals)} such pairs in all)" if len(reversals) > 1 else ""
    return [
        f"{first['detects_better']} detects better than {first['orders_better']} but orders severity worse, "
        f"both clearly{more}."
    ]


def _lower(sentence: str, start: str) -> str:
    return sentence[0].lower() + sentence[1:] if start else sentence
