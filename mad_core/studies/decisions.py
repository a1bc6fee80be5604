"""From scores to decisions: cuts between levels by cost and by isotonic fit, measured on images they have not seen.

Runs score test images alone, so half of the scored images of each level are set aside for placing the cuts, drawn by
seed and image id and the same for every run; everything is measured on the other half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.metrics.decisions import (
    conformal,
    cuts_by_cost,
    distance_cost,
    isotonic_fit,
    miss_rates,
    ordinal_confusion,
    overkill_cut,
    wilson,
    worth,
)
from mad_core.metrics.intervals import percentile_interval
from mad_core.runs.cuts import COST, HAND, ISOTONIC, saved_cuts
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, sample_of
from mad_core.studies.study import Work


@dataclass(frozen=True, eq=False)
class Halves:
    """Scored images of one subset: those that cuts are placed on, and those that they are measured on.

    Parameters
    ----------
    scale : ndarray of shape (L,)
    fit, held : (levels, scores)
    """

    scale: np.ndarray
    fit: tuple[np.ndarray, np.ndarray]
    held: tuple[np.ndarray, np.ndarray]


def halves(images: pd.DataFrame, seed: int = 0) -> Halves:
    """Part scored images in two, level by level; the same image falls on the same side for every run.

    Parameters
    ----------
    images : DataFrame
        ``image_id``, ``level`` and ``score`` of one subset.

    Raises
    ------
    InputError
        If fewer than two levels have two scored images each.
    """
    known: Any = images[np.isfinite(images["score"])]
    key = known["image_id"].map(lambda name: hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).hexdigest())
    known = known.assign(key=key).sort_values("key", kind="stable")
    size = known.groupby("level")["key"].transform("size")
    known = known[size >= 2]
    first = (known.groupby("level").cumcount() % 2 == 0).to_numpy()
    levels, scores = known["level"].to_numpy(np.float64), known["score"].to_numpy(np.float64)
    scale = np.unique(levels)
    if len(scale) < 2:
        raise InputError("Cut-points need two levels with two scored images each; score more images first.")
    return Halves(scale, (levels[first], scores[first]), (levels[~first], scores[~first]))


def place(parts: Halves, way: str, cost: np.ndarray) -> np.ndarray:
    """Cuts on the half set aside, by cost or by isotonic fit; shape (L - 1,)."""
    levels, scores = parts.fit
    return (
        cuts_by_cost(levels, scores, parts.scale, cost)
        if way == COST
        else isotonic_fit(levels, scores).cuts(parts.scale)
    )


def run(work: Work) -> Finding:
    """Do the study."""
    sample = sample_of(work)
    by_hand = {
        run.id: {subset: np.array(kept.cuts) for subset, kept in saved_cuts(work.store, run.id).items()}
        for run in work.runs
    }
    return decisions(sample, work.parameters, by_hand, quick=work.quick, seed=work.seed)


def decisions(
    sample: Sample,
    parameters: Mapping[str, Any],
    by_hand: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    *,
    quick: bool = False,
    seed: int = 0,
) -> Finding:
    """The finding, from scores and levels.

    Parameters
    ----------
    sample : Sample
    parameters : mapping
        ``under`` and ``over`` (costs a level), ``overkill`` (share of normals), ``confidence`` (of the intervals).
    by_hand : mapping of run id to subset to cuts, optional
        Those saved with the runs.

    Raises
    ------
    InputError
        If no run has enough scored images.
    """
    rows, tables, misses, coverage, drawn = [], [], [], [], {}
    for run_id, table in sample.tables.items():
        name = sample.names[run_id]
        for subset, images in table.groupby("subset"):
            try:
                parts = halves(images, seed)
            except InputError:
                continue
            cost = distance_cost(parts.scale, parameters["under"], parameters["over"])
            ways = {way: place(parts, way, cost) for way in (COST, ISOTONIC)}
            kept = (by_hand or {}).get(run_id, {}).get(str(subset))
            if kept is not None and len(kept) == len(parts.scale) - 1:
                ways[HAND] = kept
            for way, cuts in ways.items():
                counts = ordinal_confusion(*parts.held, cuts, parts.scale)
                found = worth(counts, parts.scale, cost, draws=sample.draws, seed=seed)
                row: dict[str, Any] = {"scorer": name, "subset": subset, "way": way, "images": int(counts.sum())}
                for metric, (value, interval) in found.items():
                    low, high = interval or (None, None)
                    row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
                rows.append(row | {"cuts": ", ".join(f"{cut:.6g}" for cut in cuts)})
                tables += _cells(name, str(subset), way, parts.scale, counts)
                drawn.setdefault((name, way), {})[str(subset)] = _cost_draws(parts, cuts, cost, sample.draws, seed)
            misses += _misses(name, str(subset), parts, parameters["overkill"])
            coverage.append({"scorer": name, "subset": subset, **_covered(parts, parameters["confidence"])})
    if not rows:
        raise InputError("Cut-points need two levels with two scored images each; score more images first.")
    start = f"On a sample of {sample.in_words()}: " if quick else ""
    return Finding(
        "decisions",
        "Decisions",
        start + " ".join(_compared(drawn)),
        "Cuts are placed on half of the scored images and measured on the other half; they hold for images like these "
        "and for this scorer's units, and the cost for this mix of levels.",
        {
            "ways": pd.DataFrame(rows),
            "confusion": pd.DataFrame(tables),
            "misses": pd.DataFrame(misses),
            "intervals": pd.DataFrame(coverage),
        },
        {**sample.facts(), "seed": seed, "parameters": dict(parameters), "placed_on": "half of the scored images"},
    )


def _cells(name: str, subset: str, way: str, scale: np.ndarray, counts: np.ndarray) -> list[dict[str, Any]]:
    head = {"scorer": name, "subset": subset, "way": way}
    return [
        {**head, "level": float(scale[i]), "called": float(scale[j]), "images": int(counts[i, j])}
        for i in range(len(scale))
        for j in range(len(scale))
    ]


def _cost_draws(parts: Halves, cuts: np.ndarray, cost: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The mean cost in resamples of the held-out images within levels: the same images for every scorer and way.

    Row 0 is the mean cost of the images themselves.
    """
    levels, scores = parts.held
    each = cost[np.searchsorted(parts.scale, levels), np.searchsorted(cuts, scores, side="right")]
    rng = np.random.default_rng(seed)
    sums = np.zeros(draws)
    for level in parts.scale:
        own = each[levels == level]
        sums += own[rng.integers(0, len(own), (draws, len(own)))].sum(axis=1)
    return np.concatenate([[each.mean()], sums / len(each)])


def _misses(name: str, subset: str, parts: Halves, overkill: float) -> list[dict[str, Any]]:
    """Miss rate of each level at a cut that is set on the normals set aside."""
    if parts.scale[0] != 0:
        return []
    cut = overkill_cut(parts.fit[1][parts.fit[0] == 0], overkill)
    normals = parts.held[1][parts.held[0] == 0]
    head = {"scorer": name, "subset": subset, "overkill": float((normals >= cut).mean())}
    found = []
    for level, (count, n) in miss_rates(*parts.held, cut).items():
        low, high = wilson(count, n)
        found.append({**head, "level": level, "images": n, "miss_rate": count / n, "low": low, "high": high})
    return found


def _covered(parts: Halves, confidence: float) -> dict[str, Any]:
    """Split-conformal intervals: fitted on one part of the half set aside, their width from the other."""
    levels, scores = parts.fit
    first = np.arange(len(levels)) % 2 == 0
    fit = isotonic_fit(levels[first], scores[first])
    radius = conformal(fit(scores[~first]), levels[~first], confidence)
    at, values = parts.held
    sets = radius.sets(fit(values), parts.scale)
    within = sets[np.arange(len(at)), np.searchsorted(parts.scale, at)]
    return {
        "confidence": confidence,
        "radius": radius.radius if np.isfinite(radius.radius) else None,
        "covered": float(within.mean()),
        "levels_within": float(sets.sum(axis=1).mean()),
        "images": len(at),
    }


def _compared(drawn: Mapping[tuple[str, str], Mapping[str, np.ndarray]]) -> list[str]:
    """The cheapest scorer against each other one, or the two ways of a single scorer, by paired differences."""
    scorers = list(dict.fromkeys(name for name, _ in drawn))
    options = {name: drawn[name, COST] for name in scorers}
    kind = "Cuts by cost"
    if len(scorers) == 1:
        options = {way: drawn[scorers[0], way] for way in (COST, ISOTONIC)}
        kind = f"Of {scorers[0]}, cuts"
    means = {name: float(np.mean([values[0] for values in parts.values()])) for name, parts in options.items()}
    best, *others = sorted(means, key=lambda name: means[name])
    found, of = [], "by" if len(scorers) == 1 else "of"
    for other in others:
        shared = [subset for subset in options[best] if subset in options[other]]
        if not shared:
            continue
        apart = np.mean([options[other][s][1:] - options[best][s][1:] for s in shared], axis=0)
        interval = percentile_interval(apart)
        numbers = f"{means[best]:.2f} against {means[other]:.2f} an image"
        if interval and interval[0] > 0:
            less = f"{interval[0]:.2f} to {interval[1]:.2f} less"
            found.append(f"{kind} {of} {best} cost less than those {of} {other} ({numbers}; {less}).")
        else:
            found.append(f"No clear difference in expected cost between {best} and {other} ({numbers}).")
    return found or [f"{kind} of {best} cost {means[best]:.2f} an image."]
