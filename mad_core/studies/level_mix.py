"""What the metrics would be where levels are as frequent as in the field, not as in the test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.metrics.decisions import cuts_by_cost, distance_cost, ordinal_confusion, rates_of
from mad_core.metrics.intervals import percentile_interval
from mad_core.metrics.level_mix import (
    METRICS,
    LevelPairs,
    bootstrap_level_pairs,
    checked_mix,
    expected_cost,
    level_pairs,
    reweighted,
)
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, sample_of
from mad_core.studies.study import Work

TITLES = {
    "c_index": "C-index",
    "abnormal_c_index": "C-index, abnormal only",
    "kendall_tau_b": "Kendall's tau-b",
    "auroc_whole": "AUROC",
}


@dataclass(frozen=True, eq=False)
class Prepared:
    """One scorer on one subset, ready for any mix of levels: moving a slider is a few sums.

    Parameters
    ----------
    pairs, drawn : LevelPairs
        Of the scores, and of their resamples.
    rates : ndarray of shape (L, L)
        How often images of a level (row) are called another, at the cuts of the lowest cost on the test set's own mix.
    cost : ndarray of shape (L, L)
    """

    pairs: LevelPairs
    drawn: LevelPairs
    rates: np.ndarray
    cost: np.ndarray

    def under(self, shares: Any) -> dict[str, tuple[float, list[float] | None]]:
        """Each metric and ``cost`` under a mix of levels, metrics with 95 % intervals; NaN where there is none."""
        values, draws = reweighted(self.pairs, shares), reweighted(self.drawn, shares)
        found: dict[str, tuple[float, list[float] | None]] = {
            name: (float(values[name][0]), percentile_interval(draws[name])) for name in METRICS
        }
        return found | {"cost": (float(expected_cost(self.rates, shares, self.cost)), None)}


def prepare(
    levels: Any, scores: Any, *, draws: int = 300, seed: int = 0, under: float = 5.0, over: float = 1.0
) -> Prepared:
    """Count and resample once, for any number of mixes.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        Half levels are rounded up; images without a finite score are left out.
    under, over : float
        What each level too low, or too high, costs.

    Raises
    ------
    InputError
        If fewer than two levels have scores.
    """
    at, values = np.ceil(np.asarray(levels, dtype=np.float64)), np.asarray(scores, dtype=np.float64)
    at, values = at[np.isfinite(values)], values[np.isfinite(values)]
    pairs = level_pairs(at, values)
    if len(pairs.levels) < 2:
        raise InputError("A mix of levels needs scored images of two levels at least.")
    cost = distance_cost(pairs.levels, under, over)
    cuts = cuts_by_cost(at, values, pairs.levels, cost)
    rates = rates_of(ordinal_confusion(at, values, cuts, pairs.levels))
    return Prepared(pairs, bootstrap_level_pairs(at, values, draws=draws, seed=seed), rates, cost)


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
    rows, fixed, shifts = [], [], {}
    for run_id, table in sample.tables.items():
        name, moved, of_run = sample.names[run_id], [], []
        for subset, images in table.groupby("subset"):
            if len(np.unique(np.ceil(images["level"]))) < 2:
                continue
            ready = prepare(
                images["level"],
                images["score"],
                draws=sample.draws,
                seed=seed,
                under=parameters["under"],
                over=parameters["over"],
            )
            mix = checked_mix(field_mix(ready.pairs.levels, parameters["normal"]), len(ready.pairs.levels))
            for label, shares in (("test set", ready.pairs.shares), ("field", mix)):
                found = ready.under(shares)
                of_run.append({"mix": label, "subset": subset, **{k: v for k, (v, _) in found.items()}})
            draws = [reweighted(ready.drawn, shares)["c_index"] for shares in (mix, ready.pairs.shares)]
            moved.append(draws[0] - draws[1])
            fixed += [
                {"scorer": name, "subset": subset, "level": level, "auroc": value}
                for level, value in ready.pairs.aurocs().items()
            ]
        if of_run:
            means: Any = pd.DataFrame(of_run).groupby("mix", sort=False)[[*METRICS, "cost"]].mean()
            rows += [{"scorer": name, **row} for row in means.reset_index().to_dict("records")]
            shifts[name] = percentile_interval(np.mean(moved, axis=0))
    if not rows:
        raise InputError("A mix of levels needs scored images of two levels at least; finish a run first.")
    start = f"On a sample of {sample.in_words()}: " if quick else ""
    return Finding(
        "level-mix",
        "Levels as in the field",
        start + said(shifts, parameters["normal"]),
        "Only the shares of the levels change: images of a level in the field are taken to be like those of the test "
        "set, and the cuts behind the cost are placed on the same images.",
        {"metrics": pd.DataFrame(rows), "auroc_per_level": pd.DataFrame(fixed)},
        {**sample.facts(), "seed": seed, "parameters": dict(parameters), "c_index_change": shifts},
    )


def said(shifts: Mapping[str, list[float] | None], normal: float) -> str:
    """What the mix does to the C-index, from the intervals of the change."""
    sides: dict[str, list[str]] = {"rises": [], "falls": [], "unclear": []}
    for name, interval in shifts.items():
        side = (
            "unclear" if interval is None else "rises" if interval[0] > 0 else "falls" if interval[1] < 0 else "unclear"
        )
        sides[side].append(name)
    parts = [f"the C-index {side} for {', '.join(names)}" for side in ("rises", "falls") if (names := sides[side])]
    if sides["unclear"]:
        parts.append(f"there is no clear difference in the C-index for {', '.join(sides['unclear'])}")
    share = f"With {100 * normal:.0f} % normal images and each worse level half as frequent, "
    return f"{share}{'; '.join(parts)}. The AUROC of each level stays as it is."
