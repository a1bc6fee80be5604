"""Does good detection mean good severity order? Scorers and subsets as points: detection against order.

Detection is the AUROC of normals against all abnormal images. The order of severity is the C-index among abnormal
images alone: the C-index over all images holds the detection pairs too, so it rises with detection by itself. A
subset that is easy to detect may also be easy to order, so both are compared within a subset, scorer against scorer.

Only stored scores are read: the full mode takes seconds, so a study that was stopped begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from scipy.stats import t as student

from mad_core.metrics.association import rank_correlation
from mad_core.metrics.intervals import percentile_interval
from mad_core.metrics.macro import Measured, macro
from mad_core.metrics.ranking import reference_points
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, measured, sample_of
from mad_core.studies.study import Work

DETECTION, ORDER, WHOLE = "auroc_whole", "abnormal_c_index", "c_index"
WELL = 0.9
"""AUROC from which a scorer is said to detect well."""
FEWEST = 4
"""Independent points below which no correlation is claimed."""
_CERTAIN = 0.99

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
        With draws that are paired between runs.
    sample : Sample
        Names the runs and says on how many images.
    """
    points = points_of(places, sample.names)
    scorers = scorers_of(places, sample.names)
    correlation = correlated(places)
    reversals = reversals_of(places, sample.names)
    facts = {**sample.facts(), "correlation": correlation, "reversals": reversals, "reference": _reference(sample)}
    start = f"On a sample of {sample.in_words()}, " if quick else ""
    said = [start + _lower(_association(correlation), start), *_alone(points), *_reversed(reversals)]
    return Finding(
        "correspondence",
        "Detection and severity order",
        " ".join(said),
        "The interval holds for other images, scorers and subsets like these; with few of them it is wide, and scorers "
        "that build on the same features do not count as independent. Pairs are named only where intervals that are "
        "widened for the number of pairs leave 0 out.",
        {"points": points, "scorers": scorers},
        facts,
    )


# -- tables ---------------------------------------------------------------------------------------


def points_of(places: Places, names: Mapping[str, str]) -> pd.DataFrame:
    """A row for each scorer and subset, fractions; 95 % bootstrap intervals as ``…_low`` and ``…_high``."""
    rows = [
        {"scorer": names[run_id], "subset": subset, "images": found.n_scored, **_values(found)}
        for run_id, subsets in places.items()
        for subset, found in subsets.items()
    ]
    return pd.DataFrame(rows)


def _values(found: Measured) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for metric in (DETECTION, ORDER, WHOLE):
        low, high = percentile_interval(found.draws.get(metric, np.empty(0))) or (None, None)
        row |= {metric: found.values.get(metric), f"{metric}_low": low, f"{metric}_high": high}
    return row


def scorers_of(places: Places, names: Mapping[str, str]) -> pd.DataFrame:
    """A row for each scorer, averaged over its subsets, those whose two places lie furthest apart first.

    ``detection_place`` and ``order_place`` are 1 for the best; scorers with equal values share their mean place.
    """
    rows = []
    for run_id, subsets in places.items():
        found = macro(list(subsets.values()))
        row: dict[str, Any] = {"scorer": names[run_id], "subsets": found.subsets}
        for metric in (DETECTION, ORDER, WHOLE):
            low, high = found.intervals.get(metric) or (None, None)
            row |= {metric: found.values.get(metric), f"{metric}_low": low, f"{metric}_high": high}
        rows.append(row)
    table = pd.DataFrame(rows)
    for metric, place in ((DETECTION, "detection_place"), (ORDER, "order_place")):
        table[place] = table[metric].astype("float64").rank(ascending=False, method="average")
    table["places_apart"] = (table["detection_place"] - table["order_place"]).abs()
    return table.sort_values("places_apart", ascending=False, kind="stable", ignore_index=True)


def _reference(sample: Sample) -> dict[str, Any]:
    """What perfect detection with severity at random reaches, averaged over the subsets."""
    levels: Any = pd.concat([table[["image_id", "subset", "level"]] for table in sample.tables.values()])
    found = []
    for _, rows in levels.drop_duplicates("image_id").groupby("subset"):
        at, counts = np.unique(np.ceil(rows["level"].to_numpy()).astype(int), return_counts=True)
        value = reference_points(dict(zip(at.tolist(), counts.tolist(), strict=True)))["c_index_random_severity"]
        found += [value] if value is not None else []
    return {WHOLE: float(np.mean(found)) if found else None, ORDER: 0.5}


# -- the correlation ------------------------------------------------------------------------------


def correlated(places: Places) -> dict[str, Any]:
    """Rank correlation of detection with severity order over scorers and subsets.

    Where a subset has several scorers, both values are taken as distances to the subset's mean, and subsets with one
    scorer are left out; with one scorer everywhere, the subsets are compared as they are.

    The interval is one on Fisher's scale: the variance of a rank correlation of so many independent points (Bonett
    and Wright 2000) and the bootstrap variance over the images are added, and its reach is a quantile of Student's t:
    the points are few, and those of one scorer on several subsets are akin.

    Returns
    -------
    dict
        ``value``, ``interval`` (95 %; None where there is too little), ``points``, ``independent`` (points less the
        means that were taken off), ``within_subsets`` (bool), and ``plain``: the same without taking means off.
    """
    known = [
        (subset, found)
        for subsets in places.values()
        for subset, found in subsets.items()
        if found.values.get(DETECTION) is not None and found.values.get(ORDER) is not None
    ]
    names = [subset for subset, _ in known]
    shared = {name for name in names if names.count(name) > 1}
    used = [(name, found) for name, found in known if name in shared] or known
    groups = np.unique([name if shared else "" for name, _ in used], return_inverse=True)[1]
    independent = len(used) - (int(groups.max()) if len(used) else 0)
    x, y = (np.array([found.values[metric] for _, found in used], dtype=float) for metric in (DETECTION, ORDER))
    value = rank_correlation(_apart(x, groups), _apart(y, groups)) if len(used) > 1 else None
    facts = {
        "value": value,
        "interval": None,
        "points": len(used),
        "independent": independent,
        "within_subsets": bool(shared),
        "plain": rank_correlation(x, y) if len(used) > 1 else None,
    }
    if value is None or independent < FEWEST:
        return facts
    drawn = _drawn([found for _, found in used], groups)
    variance = (1 + value**2 / 2) / (independent - 3) + (float(np.var(np.arctanh(drawn))) if len(drawn) else 0.0)
    centre = float(np.arctanh(np.clip(value, -_CERTAIN, _CERTAIN)))
    reach = float(student.ppf(0.975, independent - 2)) * variance**0.5
    return facts | {"interval": [float(np.tanh(centre - reach)), float(np.tanh(centre + reach))]}


def _apart(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Distances to the group's mean, rounded so that equal distances tie; shape (points,) or (points, draws)."""
    means = np.stack([values[groups == group].mean(axis=0) for group in range(int(groups.max()) + 1)])
    return np.round(values - means[groups], 12)


def _drawn(founds: list[Measured], groups: np.ndarray) -> np.ndarray:
    """The correlation in every bootstrap draw that has one, kept off ±1."""
    if not all(len(found.draws.get(metric, ())) for found in founds for metric in (DETECTION, ORDER)):
        return np.empty(0)
    ranks = [
        rankdata(_apart(np.stack([found.draws[metric] for found in founds]), groups), axis=0)
        for metric in (DETECTION, ORDER)
    ]
    a, b = (values - values.mean(axis=0) for values in ranks)
    spread = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (a * b).sum(axis=0) / spread
    return np.clip(found[np.isfinite(found)], -_CERTAIN, _CERTAIN)


def reversals_of(places: Places, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Pairs of scorers of which one clearly detects better and clearly orders severity worse.

    Differences are averaged over the subsets that both have; clear: their paired interval leaves 0 out, widened for the
    number of pairs (Bonferroni).
    """
    found = []
    confidence = 1 - 0.05 / max(1, math.comb(len(places), 2))
    for first in places:
        for second in places:
            gaps = {m: paired_gap(places[first], places[second], m, confidence) for m in (DETECTION, ORDER)}
            detection, order = gaps[DETECTION], gaps[ORDER]
            if detection and order and detection[1] > 0 and order[2] < 0:
                found.append(
                    {
                        "detects_better": names[first],
                        "orders_better": names[second],
                        "auroc_difference": list(detection),
                        "order_difference": list(order),
                    }
                )
    return found


def paired_gap(
    first: Mapping[str, Measured], second: Mapping[str, Measured], metric: str, confidence: float = 0.95
) -> tuple[float, float, float] | None:
    """First less second, averaged over the subsets that both have, and the ends of its interval.

    None where there is no such subset, or draws are missing.
    """
    values, draws = [], []
    for name in (name for name in first if name in second):
        a, b = first[name], second[name]
        mine, other = a.values.get(metric), b.values.get(metric)
        if mine is None or other is None or metric not in a.draws or metric not in b.draws:
            continue
        values.append(mine - other)
        draws.append(a.draws[metric] - b.draws[metric])
    interval = percentile_interval(np.mean(draws, axis=0), confidence) if draws else None
    return (float(np.mean(values)), interval[0], interval[1]) if interval else None


# -- in words -------------------------------------------------------------------------------------


def _association(found: Mapping[str, Any]) -> str:
    interval = found["interval"]
    if interval is None:
        return (
            f"Nothing can be said about detection and severity order together: {found['independent']} independent "
            f"points are here, and {FEWEST} are needed; add scorers or subsets."
        )
    low, high = interval
    over = "scorers within subsets" if found["within_subsets"] else "subsets"
    number = f"rank correlation {found['value']:.2f}, {low:.2f} to {high:.2f}, {found['points']} points, {over}"
    if low > 0:
        return f"Scorers that detect better also order severity better ({number})."
    if high < 0:
        return f"Scorers that detect better order severity worse ({number})."
    return f"No clear difference: how well a scorer detects does not tell how well it orders severity ({number})."


def _alone(points: pd.DataFrame) -> list[str]:
    """How many detect well and yet are not told from random severity."""
    well: Any = points[points[DETECTION].astype("float64") >= WELL]
    if not len(well):
        return [f"None of the {len(points)} detects with an AUROC of {WELL:.2f} or more."]
    lows = well[f"{ORDER}_low"].astype("float64")
    unknown = int((lows <= 0.5).sum())
    return [
        f"Of the {len(well)} that detect with an AUROC of {WELL:.2f} or more, {unknown or 'none'} "
        f"{'is' if unknown == 1 else 'are'} not told from a random order among abnormal images."
    ]


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
