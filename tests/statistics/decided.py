"""Promises to people who decide, kept or not: overkill on new normals, and levels under another mix of levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mad_core.metrics.decisions import conformal, isotonic_fit, normals_needed, overkill_cut

TRIALS = 2000


@dataclass(frozen=True)
class Kept:
    """A promise, what came of it in simulation, and whether it was kept."""

    promise: str
    figure: str
    good: bool


def decided(trials: int = TRIALS) -> Sequence[Callable[[], Kept]]:
    """Every simulation."""
    return [
        *(partial(overkill, n, 0.05, trials) for n in (3, 5, 10, 19, 60, 200)),
        *(partial(levels, mix, trials // 4) for mix in ((0.25, 0.25, 0.5), (0.9, 0.08, 0.02), (0.0, 0.0, 1.0))),
    ]


def overkill(normals: int, asked: float, trials: int) -> Kept:
    """The share of new normals that reach a cut placed on so many; heavy-tailed scores."""
    rng = np.random.default_rng(normals)
    shares = [
        float((rng.standard_t(3, 200) >= overkill_cut(rng.standard_t(3, normals), asked)).mean()) for _ in range(trials)
    ]
    few = f"; {normals_needed(asked)} are needed, so no cut is given" if normals < normals_needed(asked) else ""
    error = float(np.std(shares)) / trials**0.5
    return Kept(
        f"overkill {100 * asked:g} % with {normals} normals{few}",
        f"{100 * np.mean(shares):.1f} %",
        bool(np.mean(shares) <= asked + 3 * error),
    )


def levels(mix: Sequence[float], trials: int) -> Kept:
    """The share of images of the field, with this mix of levels, whose level is in its set; calibrated on another."""
    rng, scale, held = np.random.default_rng(1), np.arange(3.0), []
    for _ in range(trials):
        fit_at, calm, field = (rng.choice(scale, n, p=p) for n, p in ((80, None), (150, (0.5, 0.3, 0.2)), (200, mix)))
        fit = isotonic_fit(fit_at, fit_at + rng.normal(size=80))
        found = conformal(fit(calm + rng.normal(size=150)), calm, 0.9, scale)
        sets = found.sets(fit(field + rng.normal(size=200)))
        held.append(sets[np.arange(200), field.astype(int)].mean())
    shares = ", ".join(f"{100 * share:g}" for share in mix)
    error = float(np.std(held)) / trials**0.5
    return Kept(
        f"90 % of levels within, field of {shares} % of levels 0 to 2",
        f"{100 * np.mean(held):.1f} %",
        bool(np.mean(held) >= 0.9 - 3 * error),
    )
