"""What the metrics would be where levels are as frequent as in the field, not as in the test set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.figures.words import listed
from mad_core.metrics.decisions import crossed_confusion, distance_cost, rates_of, redrawn
from mad_core.metrics.intervals import expanded
from mad_core.metrics.level_mix import (
    METRICS,
    LevelPairs,
    bootstrap_level_pairs,
    checked_mix,
    expected_cost,
    level_pairs,
    reweighted,
)
from mad_core.metrics.ranking import level_name, told_apart
from mad_core.metrics.units import fewest_units, groups_of
from mad_core.studies.estimates import RISK, Estimate, over_subsets
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, sample_of
from mad_core.studies.study import Work


@dataclass(frozen=True, eq=False)
class Prepared:
    """One scorer on one subset, ready for any mix of levels: moving a slider is a few sums.

    Parameters
    ----------
    pairs, drawn : LevelPairs
        Of the scores, and of their resamples.
    rates : ndarray of shape (L, L)
        How often images of a level (row) are called another, at cuts of the lowest cost on the test set's own mix; no
        image is called by a cut that was placed on it.
    rates_drawn : ndarray of shape (draws, L, L)
        The same of resamples within levels.
    cost : ndarray of shape (L, L)
    """

    pairs: LevelPairs
    drawn: LevelPairs
    rates: np.ndarray
    rates_drawn: np.ndarray
    cost: np.ndarray

    def under(self, shares: Any) -> dict[str, Estimate]:
        """Each metric and ``cost`` under a mix of levels; NaN where there is none."""
        values, draws = reweighted(self.pairs, shares), reweighted(self.drawn, shares)
        estimates = {name: Estimate(float(values[name][0]), draws[name]) for name in METRICS}
        price, prices = (np.atleast_1d(expected_cost(r, shares, self.cost)) for r in (self.rates, self.rates_drawn))
        return estimates | {"cost": Estimate(float(price[0]), prices)}

    def aurocs(self) -> dict[float, Estimate]:
        """AUROC of level 0 against each other level, which no mix moves."""
        return {
            level: Estimate(value, self.drawn.above[:, 0, place + 1])
            for place, (level, value) in enumerate(self.pairs.aurocs().items())
        }


def prepare(
    levels: Any,
    scores: Any,
    *,
    draws: int = 300,
    seed: int = 0,
    under: float = 5.0,
    over: float = 1.0,
    groups: Any = None,
) -> Prepared:
    """Count and resample once, for any number of mixes.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        Images without a finite score are left out.
    under, over : float
        What each level too low, or too high, costs.
    groups : array of shape (n,), optional
        What images belong to; those of one are drawn and dealt together.

    Raises
    ------
    InputError
        If fewer than two levels have scores.
    """
    at, values = told_apart(levels), np.asarray(scores, dtype=np.float64)
    there = np.isfinite(values)
    at, values, belong = at[there], values[there], None if groups is None else np.asarray(groups, dtype=object)[there]
    pairs = level_pairs(at, values)
    if len(pairs.levels) < 2:
        raise InputError("A mix of levels needs scored images of two levels at least.")
    cost = distance_cost(pairs.levels, under, over)
    counts = crossed_confusion(at, values, pairs.levels, cost, seed=seed, groups=belong)
    drawn = bootstrap_level_pairs(at, values, draws=draws, seed=seed, groups=belong)
    return Prepared(pairs, drawn, rates_of(counts), rates_of(redrawn(counts, draws=draws, seed=seed)), cost)


def field_mix(levels: np.ndarray, normal: float) -> np.ndarray:
    """A field where so large a share is normal and each worse level is half as frequent as the one before."""
    halves = np.where(levels > 0, 0.5 ** np.arange(len(levels)), 0.0)
    if not (levels == 0).any():
        return halves / halves.sum()
    return np.where(levels == 0, normal, (1 - normal) * halves / max(float(halves.sum()), 1e-300))


def run(work: Work) -> Finding:
    """Do the study."""
    sample = sample_of(work)
    return level_mix(sample, work.parameters, quick=work.quick, seed=work.seed)


def level_mix(sample: Sample, parameters: Mapping[str, Any], *, quick: bool = False, seed: int = 0) -> Finding:
    """The finding, from scores and levels.

    Parameters
    ----------
    sample : Sample
    parameters : mapping
        ``normal`` (share of normal images in the field, 0 to 1), ``under`` and ``over`` (costs a level).

    Raises
    ------
    InputError
        If no run has scores of two levels of a subset.
    """
    rows, fixed, still, shifts, fewest = [], [], [], {}, np.inf
    for run_id, table in sample.tables.items():
        name, parts, aurocs = sample.names[run_id], [], []
        for subset, images in table.groupby("subset"):
            if len(np.unique(told_apart(images["level"]))) < 2:
                continue
            ready = prepare(
                images["level"],
                images["score"],
                draws=sample.draws,
                seed=seed,
                under=parameters["under"],
                over=parameters["over"],
                groups=groups_of(images),
            )
            fewest = min(fewest, fewest_units(told_apart(images["level"]), groups_of(images)))
            mix = checked_mix(field_mix(ready.pairs.levels, parameters["normal"]), len(ready.pairs.levels))
            parts.append({"test set": ready.under(ready.pairs.shares), "field": ready.under(mix)})
            aurocs.append({f"L{level_name(level)}": value for level, value in ready.aurocs().items()})
            fixed += [
                {"scorer": name, "subset": subset, "level": level, **value.columns("auroc")}
                for level, value in ready.aurocs().items()
            ]
        if not parts:
            continue
        means = {label: over_subsets([_finite(part[label]) for part in parts]) for label in ("test set", "field")}
        moved = {m: means["field"][m] - value for m, value in means["test set"].items() if m in means["field"]}
        for label, estimates in [*means.items(), ("change", moved)]:
            rows.append(
                {"scorer": name, "mix": label} | {k: v for m, e in estimates.items() for k, v in e.columns(m).items()}
            )
        still += [{"scorer": name, "level": k, **e.columns("auroc")} for k, e in over_subsets(aurocs).items()]
        shifts[name] = moved.get("c_index")
    if not rows:
        raise InputError("A mix of levels needs scored images of two levels at least; finish a run first.")
    start = f"On a sample of {sample.in_words()}: " if quick else ""
    return Finding(
        "level-mix",
        "Levels as in the field",
        start + conclusion(shifts, parameters["normal"], int(fewest)),
        "Only the shares of the levels change: images of a level in the field are taken to be like those of the test "
        "set. The cost is that of cuts placed for the test set's own shares, each image called by cuts that were "
        "placed on others; cuts placed for the field would cost less there.",
        {"metrics": pd.DataFrame(rows), "auroc": pd.DataFrame(still), "auroc_per_level": pd.DataFrame(fixed)},
        {
            **sample.facts(),
            "seed": seed,
            "parameters": dict(parameters),
            "c_index_change": {name: moved.interval() if moved else None for name, moved in shifts.items()},
        },
    )


def _finite(estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Those that have a value."""
    return {name: value for name, value in estimates.items() if np.isfinite(value.value)}


def conclusion(shifts: Mapping[str, Estimate | None], normal: float, images: int) -> str:
    """What the mix does to the C-index, from the intervals of the change.

    They are widened for the number of scorers, and for few images in the smallest level.
    """
    sides: dict[str, list[str]] = {"rises": [], "falls": [], "unclear": []}
    confidence = expanded(1 - RISK / max(len(shifts), 1), images)
    for name, moved in shifts.items():
        sign = 0 if moved is None else moved.sign(confidence)
        ends = moved.interval(confidence) if moved else None
        numbers = f" ({moved.value:+.2f}, {ends[0]:+.2f} to {ends[1]:+.2f})" if moved and ends else ""
        sides["rises" if sign > 0 else "falls" if sign < 0 else "unclear"].append(f"{name}{numbers}")
    parts = [f"the C-index {side} for {listed(names)}" for side in ("rises", "falls") if (names := sides[side])]
    if sides["unclear"]:
        parts.append(f"there is no clear difference in the C-index for {listed(sides['unclear'])}")
    share = f"With {100 * normal:g} % normal images and each worse level half as frequent, "
    return f"{share}{'; '.join(parts)}. The AUROC of each level stays as it is."
