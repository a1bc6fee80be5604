"""How often the intervals that are printed hold the truth, and how often the wrong scorer is called the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mad_core.metrics.differences import clear_best, difference, to_the_best
from mad_core.metrics.intervals import METRICS
from mad_core.metrics.macro import measure
from mad_core.metrics.summary import evaluate
from tests.statistics.designs import Design, truths

SUBSETS = ("a", "b", "c")


@dataclass(frozen=True)
class Covered:
    """Intervals of one metric: how many of ``trials`` hold the truth, and their mean width."""

    metric: str
    trials: int
    holding: int
    width: float

    @property
    def share(self) -> float:
        return self.holding / self.trials


def coverage(design: Design, trials: int, seed: int = 0) -> list[Covered]:
    """Of one subset, through ``evaluate``."""
    rng, known = np.random.default_rng(seed), truths(design)
    ends = {name: [] for name in known}
    for _ in range(trials):
        found = evaluate(design.levels, design.scores(rng), intervals=METRICS)["intervals"]
        for name, own in ends.items():
            own.append(found[name])
    return [_covered(name, own, known[name]) for name, own in ends.items()]


def macro_coverage(designs: tuple[Design, ...], trials: int, seed: int = 0) -> list[Covered]:
    """Of the average over subsets of these designs."""
    rng = np.random.default_rng(seed)
    known = [truths(design) for design in designs]
    means = {name: float(np.mean([one[name] for one in known])) for name in known[0]}
    levels = np.concatenate([design.levels for design in designs])
    names = np.repeat([f"s{k}" for k in range(len(designs))], [len(design.levels) for design in designs])
    ends = {name: [] for name in means}
    for _ in range(trials):
        scores = np.concatenate([design.scores(rng) for design in designs])
        found = evaluate(levels, scores, names, intervals=METRICS)["intervals"]
        for name, own in ends.items():
            own.append(found[name])
    return [_covered(name, own, means[name]) for name, own in ends.items()]


def _covered(metric: str, ends: list[list[float] | None], truth: float) -> Covered:
    known = [(end[0], end[1]) for end in ends if end is not None]
    assert len(known) == len(ends), f"{metric} has no interval"
    holding = sum(low - 1e-9 <= truth <= high + 1e-9 for low, high in known)
    return Covered(metric, len(known), holding, float(np.mean([high - low for low, high in known])))


@dataclass(frozen=True)
class Best:
    """Of ``trials``: in how many one was called clearly the best, and how many paired intervals held the truth."""

    trials: int
    called: int
    holding: int


def best_of(steps: tuple[float, ...], alike: float, per_level: int, trials: int, seed: int = 0) -> Best:
    """Scorers that put each level so far above the one before, their noise this much alike; four levels.

    ``called`` counts the first of them where it is better than the others, else anyone; ``holding`` the intervals of
    the difference of the first two where both are as good.
    """
    rng, levels = np.random.default_rng(seed), np.repeat(np.arange(4.0), per_level)
    wanted = "0" if steps[0] > max(steps[1:]) else None
    called = holding = 0
    for _ in range(trials):
        shared = rng.normal(size=len(levels))
        scorers = {}
        for place, up in enumerate(steps):
            noise = alike**0.5 * shared + (1 - alike) ** 0.5 * rng.normal(size=len(levels))
            scorers[str(place)] = {"s": measure(levels, up * levels + noise)}
        name = clear_best(to_the_best(scorers, "c_index"))
        called += name == wanted if wanted else name is not None
        gap = difference(scorers["0"], scorers["1"], "c_index")
        assert gap is not None and gap.interval is not None
        holding += gap.interval[0] - 1e-12 <= 0 <= gap.interval[1] + 1e-12
    return Best(trials, called, holding)
