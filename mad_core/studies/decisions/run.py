"""From scores to decisions: cuts between levels by cost and by isotonic fit, measured on images they have not seen.

Cuts are placed on the calibration images where the dataset has some, scored by each run's kept fit, and measured on
all test images. Otherwise half of the test images of each level are set aside for placing the cuts, drawn by seed and
image id and the same for every run, and everything is measured on the other half.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.metrics.decisions import (
    Conformal,
    Isotonic,
    OverkillCut,
    conformal,
    cuts_by_cost,
    distance_cost,
    isotonic_fit,
    miss_rates,
    normals_needed,
    ordinal_confusion,
    overkill_cut,
    wilson,
    worth,
)
from mad_core.metrics.intervals import percentile_interval
from mad_core.metrics.units import strata_of, units_of
from mad_core.runs.store.cuts import COST, HAND, ISOTONIC
from mad_core.studies.decisions.calibration import calibration_scores, has_calibration
from mad_core.studies.estimates import RISK
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, sample_of
from mad_core.studies.study import Work

HALF, CALIBRATION = "half of the scored images", "the calibration images"
"""What cuts are placed on."""
QUICK_CALIBRATION = 80
"""Calibration images a subset in quick mode."""
WAYS = (COST, ISOTONIC)


@dataclass(frozen=True, eq=False)
class Parts:
    """Scored images of one subset: those that cuts are placed on, and those that they are measured on.

    Parameters
    ----------
    scale : ndarray of shape (L,)
    fit, held : (levels, scores)
        No image is in both.
    placed_on : str
        :data:`HALF` or :data:`CALIBRATION`.
    """

    scale: np.ndarray
    fit: tuple[np.ndarray, np.ndarray]
    held: tuple[np.ndarray, np.ndarray]
    placed_on: str = HALF


def halves(images: pd.DataFrame, seed: int = 0) -> Parts:
    """Part scored images in two, level by level; the same image falls on the same side for every run.

    Images of a group fall on one side; a level that is on one side alone is left out.

    Parameters
    ----------
    images : DataFrame
        ``image_id``, ``level`` and ``score`` of one subset; ``group`` where known.

    Raises
    ------
    InputError
        If fewer than two levels have two scored images each.
    """
    shuffled = _shuffled(images, seed)
    first = _sides(shuffled)
    both = np.intersect1d(shuffled["level"][first], shuffled["level"][~first])
    kept = shuffled["level"].isin(both).to_numpy()
    shuffled, first = shuffled[kept], first[kept]
    levels, scores = shuffled["level"].to_numpy(np.float64), shuffled["score"].to_numpy(np.float64)
    scale = np.unique(levels)
    if len(scale) < 2:
        raise InputError("Cut-points need two levels with two scored images each; score more images first.")
    return Parts(scale, (levels[first], scores[first]), (levels[~first], scores[~first]))


def _sides(shuffled: Any) -> np.ndarray:
    """Which images fall on the first side: every other one of a level, or group of the same highest level."""
    levels = shuffled["level"].to_numpy(np.float64)
    units = units_of(shuffled.get("group"), len(levels))
    if units is None:
        return (shuffled.groupby("level").cumcount() % 2 == 0).to_numpy(dtype=bool)
    tops = pd.DataFrame({"unit": units, "top": strata_of(levels, units)[units]}).drop_duplicates("unit")
    sides = dict(zip(tops["unit"], tops.groupby("top").cumcount() % 2 == 0, strict=True))
    return np.array([sides[unit] for unit in units.tolist()], dtype=bool)


def by_calibration(images: pd.DataFrame, calibration: pd.DataFrame, seed: int = 0) -> Parts | None:
    """Cuts on the calibration images, every scored test image to measure them; None where a level has none of them.

    Parameters
    ----------
    images, calibration : DataFrame
        ``image_id``, ``level`` and ``score`` of one subset.
    """
    parts = []
    for rows in (calibration, images):
        shuffled = _shuffled(rows, seed)
        parts.append((shuffled["level"].to_numpy(np.float64), shuffled["score"].to_numpy(np.float64)))
    fit, held = parts
    scale = np.unique(held[0])
    if len(scale) < 2 or not np.isin(scale, fit[0]).all():
        return None
    tested = np.isin(fit[0], scale)
    return Parts(scale, (fit[0][tested], fit[1][tested]), held, CALIBRATION)


def parts_of(images: pd.DataFrame, calibration: pd.DataFrame | None = None, seed: int = 0) -> Parts:
    """By calibration images where these have every level, else halves.

    Raises
    ------
    InputError
        As :func:`halves`.
    """
    parts = None if calibration is None else by_calibration(images, calibration, seed)
    return parts or halves(images, seed)


def _shuffled(images: Any, seed: int) -> Any:
    """The images with a score, in an order that depends on seed and ids alone, which is left as ``key``."""
    scored = images[np.isfinite(images["score"].to_numpy(dtype=np.float64))]
    key = [hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).hexdigest() for name in scored["image_id"]]
    return scored.assign(key=key).sort_values("key", kind="stable")


def place(parts: Parts, way: str, cost: np.ndarray) -> np.ndarray:
    """Cuts on the images set aside, by cost or by isotonic fit; shape (L - 1,)."""
    return _placed(*parts.fit, parts.scale, way, cost)


def _placed(levels: np.ndarray, scores: np.ndarray, scale: np.ndarray, way: str, cost: np.ndarray) -> np.ndarray:
    return cuts_by_cost(levels, scores, scale, cost) if way == COST else isotonic_fit(levels, scores).cuts(scale)


def run(work: Work) -> Finding:
    """Do the study."""
    sample = sample_of(work)
    by_hand = {
        run.id: {subset: np.array(kept.cuts) for subset, kept in work.store.cuts.of_run(run.id).items()}
        for run in work.runs
    }
    calibration, why_not = _calibration(work)
    finding = decisions(sample, work.parameters, by_hand, calibration, quick=work.quick, seed=work.seed, work=work)
    return replace(finding, caveat=" ".join([finding.caveat, *why_not]))


def _calibration(work: Work) -> tuple[dict[str, dict[str, pd.DataFrame]], list[str]]:
    """Scored calibration images by run and subset, and in sentences why some cannot be used."""
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    why_not: list[str] = []
    wanted = [(one, s) for one in work.runs for s in one.subsets if has_calibration(work.dataset, s)]
    for done, (one, subset) in enumerate(wanted):
        work.check_cancel()
        work.progress(done, len(wanted) + 1)
        table, why = calibration_scores(work, one, subset, QUICK_CALIBRATION if work.quick else None)
        tables.setdefault(one.id, {})[subset] = table
        if why:
            why_not.append(f"{why} So cuts are placed on half of the test images there.")
    return tables, list(dict.fromkeys(why_not))


def decisions(
    sample: Sample,
    parameters: Mapping[str, Any],
    by_hand: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    calibration: Mapping[str, Mapping[str, pd.DataFrame]] | None = None,
    *,
    quick: bool = False,
    seed: int = 0,
    work: Work | None = None,
) -> Finding:
    """The finding, from scores and levels.

    Parameters
    ----------
    sample : Sample
    parameters : mapping
        ``under`` and ``over`` (costs a level), ``overkill`` (share of normals), ``confidence`` (of the intervals).
    by_hand : mapping of run id to subset to cuts, optional
        Those saved with the runs.
    calibration : mapping of run id to subset to DataFrame, optional
        Scored calibration images. Cuts are placed on them in a subset where every run has some of each level, else on
        half of the test images, so that all runs are measured on the same images.
    work : Work, optional
        Who says when to stop.

    Raises
    ------
    InputError
        If no run has enough scored images.
    """
    rows, tables, misses, coverage, drawn, places = [], [], [], [], {}, {}
    compared = WAYS if len(sample.tables) == 1 else (COST,)
    for run_id, subset, parts in _parted(sample, calibration or {}, seed):
        if work is not None:
            work.check_cancel()
        name = sample.names[run_id]
        cost = distance_cost(parts.scale, parameters["under"], parameters["over"])
        ways = {way: place(parts, way, cost) for way in WAYS}
        kept = (by_hand or {}).get(run_id, {}).get(subset)
        if kept is not None and len(kept) == len(parts.scale) - 1:
            ways[HAND] = kept
        for way, cuts in ways.items():
            counts = ordinal_confusion(*parts.held, cuts, parts.scale)
            worths = worth(counts, parts.scale, cost, draws=sample.draws, seed=seed)
            row: dict[str, Any] = {"scorer": name, "subset": subset, "way": way, "images": int(counts.sum())}
            for metric, (value, interval) in worths.items():
                low, high = interval or (None, None)
                row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
            rows.append(row | {"cuts": ", ".join(f"{cut:.6g}" for cut in cuts)})
            tables += _cells(name, subset, way, parts.scale, counts)
            if way in compared:
                drawn.setdefault((name, way), {})[subset] = _cost_draws(parts, way, cost, sample.draws, seed)
        head = {"scorer": name, "subset": subset}
        misses += [head | row for row in misses_at(parts, parameters["overkill"])]
        coverage.append({"scorer": name, "subset": subset, **covered(parts, parameters["confidence"])})
        places[subset] = {"placed_on": parts.placed_on, "placed": len(parts.fit[0]), "measured": len(parts.held[0])}
    if not rows:
        raise InputError("Cut-points need two levels with two scored images each; score more images first.")
    start = f"On a sample of {sample.in_words()}: " if quick else ""
    return Finding(
        "decisions",
        "Decisions",
        start + " ".join([*_compared(drawn), _in_words(places)]),
        "The cuts hold for images like these and for this scorer's units, and the cost for this mix of levels. The "
        "interval of a difference in cost also holds that other images would place other cuts; those of the tables "
        "keep the cuts as they are.",
        {
            "ways": pd.DataFrame(rows),
            "confusion": pd.DataFrame(tables),
            "misses": pd.DataFrame(misses),
            "intervals": pd.DataFrame(coverage),
        },
        {**sample.facts(), "seed": seed, "parameters": dict(parameters), "cuts": places},
    )


def _parted(
    sample: Sample, calibration: Mapping[str, Mapping[str, pd.DataFrame]], seed: int
) -> Iterator[tuple[str, str, Parts]]:
    """Run, subset and its parts: by calibration images where all runs have them, else halves."""
    tables = [(run_id, str(s), rows) for run_id, table in sample.tables.items() for s, rows in table.groupby("subset")]
    by_subset: dict[str, dict[str, Parts | None]] = {}
    for run_id, subset, rows in tables:
        there = calibration.get(run_id, {}).get(subset)
        by_subset.setdefault(subset, {})[run_id] = None if there is None else by_calibration(rows, there, seed)
    for run_id, subset, rows in tables:
        parts = by_subset[subset][run_id]
        if parts is not None and all(by_subset[subset].values()):
            yield run_id, subset, parts
            continue
        try:
            yield run_id, subset, halves(rows, seed)
        except InputError:
            continue


def _in_words(places: Mapping[str, Mapping[str, Any]]) -> str:
    """What cuts were placed on, and on how many images they were measured."""
    counts = []
    for placed_on in (CALIBRATION, HALF):
        same = [place for place in places.values() if place["placed_on"] == placed_on]
        if same:
            placed, measured = (f"{sum(place[name] for place in same):,}" for name in ("placed", "measured"))
            counts.append(
                f"on {placed} calibration images and measured on {measured} test images"
                if placed_on == CALIBRATION
                else f"on half of the test images ({placed}) and measured on the other half ({measured})"
            )
    return f"Cuts are placed {'; elsewhere '.join(counts)}."


def _cells(name: str, subset: str, way: str, scale: np.ndarray, counts: np.ndarray) -> list[dict[str, Any]]:
    head = {"scorer": name, "subset": subset, "way": way}
    return [
        {**head, "level": float(scale[i]), "called": float(scale[j]), "images": int(counts[i, j])}
        for i in range(len(scale))
        for j in range(len(scale))
    ]


def _cost_draws(parts: Parts, way: str, cost: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The mean cost in resamples within levels: cuts placed on redrawn images, measured on redrawn others.

    Row 0 is the mean cost of the images themselves. The same images are drawn for every scorer and way.
    """
    fit, held = np.random.default_rng((seed, 1)), np.random.default_rng((seed, 2))
    costs = np.empty(draws + 1)
    placed, measured = _of_levels(parts.fit[0], parts.scale), _of_levels(parts.held[0], parts.scale)
    for k in range(draws + 1):
        on, at = (
            np.concatenate(groups) if not k else np.concatenate([g[rng.integers(0, len(g), len(g))] for g in groups])
            for groups, rng in ((placed, fit), (measured, held))
        )
        cuts = _placed(parts.fit[0][on], parts.fit[1][on], parts.scale, way, cost)
        called = np.searchsorted(cuts, parts.held[1][at], side="right")
        costs[k] = cost[np.searchsorted(parts.scale, parts.held[0][at]), called].mean()
    return costs


def _of_levels(levels: np.ndarray, scale: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(levels == level) for level in scale if (levels == level).any()]


def misses_at(parts: Parts, overkill: float) -> list[dict[str, Any]]:
    """Miss rate of each level at a cut that promises an overkill, placed on the normals set aside; a row each.

    None without normals.

    Returns
    -------
    list of dict
        ``cut`` (infinite where the normals are too few for the promise), ``overkill`` (on the measured images),
        ``normals`` (that the cut was placed on), ``normals_needed`` (for the promise; None for an overkill of 0),
        ``level``, ``images``, ``miss_rate``, ``low`` and ``high``.
    """
    if parts.scale[0] != 0:
        return []
    placed = parts.fit[1][parts.fit[0] == 0]
    cut = overkill_cut(placed, overkill)
    normals = parts.held[1][parts.held[0] == 0]
    promise = {"normals": len(placed), "normals_needed": normals_needed(overkill) if overkill > 0 else None}
    head = {"cut": cut, "overkill": float((normals >= cut).mean()), **promise}
    misses = []
    for level, (count, n) in miss_rates(*parts.held, cut).items():
        low, high = wilson(count, n)
        misses.append({**head, "level": level, "images": n, "miss_rate": count / n, "low": low, "high": high})
    return misses


def group_cut_in_words(cut: OverkillCut) -> str:
    """What a cut on the normals of some groups promises."""
    asked = f"{100 * cut.overkill:g} %"
    if not np.isfinite(cut.cut):
        return (
            f"No cut promises an overkill of {asked}: that needs {cut.needed:,} normal images, and these groups have "
            f"{cut.normals:,}, which can promise {100 * cut.least:.1f} %."
        )
    return (
        f"The cut {cut.cut:.6g} is reached by at most {asked} of new normals of these groups on average; it is "
        f"placed on {cut.normals:,}. Of other groups it may catch more:"
    )


def conformal_of(parts: Parts, confidence: float) -> tuple[Isotonic, Conformal]:
    """Isotonic fit on every second image of each level set aside, and by the others how far a level may lie from it."""
    levels, scores = parts.fit
    first = np.zeros(len(levels), dtype=bool)
    for level in parts.scale:
        first[np.flatnonzero(levels == level)[::2]] = True
    fit = isotonic_fit(levels[first], scores[first])
    return fit, conformal(fit(scores[~first]), levels[~first], confidence, parts.scale)


def covered(parts: Parts, confidence: float) -> dict[str, Any]:
    """What split-conformal intervals do on the images that are measured.

    Returns
    -------
    dict
        ``confidence``, ``radius`` (levels to each side, of the widest level; None where so few images leave a level
        open), ``covered``
        (share of the ``images`` whose level lies within) and ``levels_within`` (mean number of levels that do).
    """
    fit, reach = conformal_of(parts, confidence)
    at, values = parts.held
    sets = reach.sets(fit(values))
    within = sets[np.arange(len(at)), np.searchsorted(parts.scale, at)]
    low, high = wilson(int(within.sum()), len(at))
    return {
        "confidence": confidence,
        "radius": reach.radius if np.isfinite(reach.radius) else None,
        "covered": float(within.mean()),
        "covered_low": low,
        "covered_high": high,
        "levels_within": float(sets.sum(axis=1).mean()),
        "images": len(at),
    }


def _compared(drawn: Mapping[tuple[str, str], Mapping[str, np.ndarray]]) -> list[str]:
    """The cheapest scorer against each other one, or the two ways of a single scorer, by paired differences.

    Which one is the cheapest was not fixed beforehand, so intervals are widened for all pairs (Bonferroni).
    """
    scorers = list(dict.fromkeys(name for name, _ in drawn))
    options = {name: drawn[name, COST] for name in scorers}
    kind, of = "Cuts by cost", "of"
    if len(scorers) == 1:
        options = {way: drawn[scorers[0], way] for way in WAYS}
        kind, of = f"Of {scorers[0]}, cuts", "by"
    means = {name: float(np.mean([values[0] for values in parts.values()])) for name, parts in options.items()}
    best, *others = sorted(means, key=lambda name: means[name])
    confidence = 1 - RISK / max(len(options) * (len(options) - 1) / 2, 1)
    sentences = []
    for other in others:
        shared = [subset for subset in options[best] if subset in options[other]]
        if not shared:
            continue
        apart = np.mean([options[other][s][1:] - options[best][s][1:] for s in shared], axis=0)
        interval = percentile_interval(apart, confidence)
        best_cost, other_cost = (float(np.mean([options[name][s][0] for s in shared])) for name in (best, other))
        numbers = f"{best_cost:.2f} against {other_cost:.2f} an image"
        if interval:
            numbers += f"; {_less(*interval)}"
        if interval and interval[0] > 0:
            sentences.append(f"{kind} {of} {best} cost less than those {of} {other} ({numbers}).")
        elif len(scorers) == 1:
            sentences.append(f"No clear difference in expected cost between cuts by {best} and by {other} ({numbers}).")
        else:
            sentences.append(f"No clear difference in expected cost between {best} and {other} ({numbers}).")
    return sentences or [f"{kind} {of} {best} cost {means[best]:.2f} an image."]


def _less(low: float, high: float) -> str:
    """How much less something costs, from an interval of the difference, without a sign for more."""
    if high <= 0:
        return f"{-high:.2f} to {-low:.2f} more"
    return f"{low:.2f} to {high:.2f} less" if low >= 0 else f"{-low:.2f} more to {high:.2f} less"
