"""What the printed intervals cover, and what the studies claim of data without effect, by simulation with known truth.

    python -m tests.statistics [--write] [--workers N] [--trials N] [--study-trials N]

``make truth`` runs it with ``--write``, which puts the tables between the marks in docs/metrics.md. It ends with an
error where a figure misses its goal, allowing for the trials that there are.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from mad_core.metrics.decisions import wilson
from tests import reaper
from tests.statistics.coverage import Best, Covered, best_of, coverage, macro_coverage
from tests.statistics.decided import Kept, decided
from tests.statistics.designs import Design
from tests.statistics.studies import EFFECTS, NULLS
from tools.marked import put_between

OPEN, CLOSE = "<!-- truth -->", "<!-- /truth -->"
TARGET = Path(__file__).parents[2] / "docs" / "metrics.md"
TRIALS, STUDY_TRIALS = 400, 200
PER_LEVEL = (5, 10, 25, 100)
TRUTHS = (0.5, 0.7, 0.9, 0.97, 0.995)
LEAST, MOST = 0.93, 0.98
NAMES = {
    "auroc_whole": "AUROC",
    "c_index": "C-index",
    "kendall_tau_b": "tau-b",
    "abnormal_c_index": "C-index, abnormal",
}
KINDS = {
    "2 levels": lambda n, truth: Design((n, n), truth),
    "2 levels, ties": lambda n, truth: Design((n, n), truth, grid=0.5),
    "4 levels": lambda n, truth: Design((n,) * 4, truth),
    "4 levels, ties": lambda n, truth: Design((n,) * 4, truth, grid=1.0),
    "3 levels, heavy tails": lambda n, truth: Design((n,) * 3, truth, "t3"),
    "3 unequal levels": lambda n, truth: Design((4 * n, n, 2 * n), truth),
    "2 levels, Cauchy": lambda n, truth: Design((n, n), truth, "cauchy"),
}


def _covered(task: tuple[str, int, float], trials: int) -> list[Covered]:
    kind, per_level, truth = task
    return coverage(KINDS[kind](per_level, truth), trials, seed=zlib.crc32(repr(task).encode()))


def _null(place: int, trials: int) -> int:
    return NULLS[place].count(trials)


def _effect(place: int, trials: int) -> int:
    return EFFECTS[place].count(trials)


BEST = (
    ((1.0, 1.0), 0.0, 25),
    ((1.0, 1.0), 0.9, 25),
    ((1.0,) * 5, 0.5, 25),
    ((3.0, 3.0), 0.5, 10),
    ((1.15, 1.0), 0.9, 100),
    ((1.15, 1.0, 1.0, 1.0, 1.0), 0.9, 100),
)


def _best(place: int, trials: int) -> Best:
    return best_of(*BEST[place], trials=trials, seed=place)


def _macro(per_level: int, trials: int) -> list[Covered]:
    designs = tuple(Design((per_level,) * 3, truth) for truth in (0.6, 0.8, 0.95, 0.995))
    return macro_coverage(designs, trials, seed=per_level)


def _kept(place: int) -> Kept:
    return decided()[place]()


def _outside(missed: Sequence[str]) -> str:
    """The sentence below the tables: what misses its goal."""
    return f"Outside its goal: {'; '.join(missed)}." if missed else "Every figure is inside its goal."


def _shares(found: Sequence[Covered]) -> str:
    return ", ".join(f"{NAMES[one.metric]} {100 * one.share:.1f}" for one in found if one.metric in NAMES)


def _with_interval(count: int, trials: int) -> str:
    low, high = wilson(count, trials)
    return f"{100 * count / trials:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def tables(run: Callable[..., list], trials: int, study_trials: int) -> tuple[str, list[str]]:
    """The Markdown of all tables, and in sentences what misses its goal."""
    missed: list[str] = []
    tasks = list(itertools.product(KINDS, PER_LEVEL, TRUTHS))
    found = dict(zip(tasks, run(partial(_covered, trials=trials), tasks), strict=True))
    lines = [
        f"What printed 95 % intervals cover, in % of {trials} trials a figure: the least and the most over "
        f"{', '.join(map(str, PER_LEVEL))} images a level. Goal: 93 to 98, and more near a perfect order and with few "
        "images: there samples have so few different values that an interval holds nearly always or too seldom.",
        "",
        "| design | metric | " + " | ".join(f"truth {truth:g}" for truth in TRUTHS) + " |",
        "|---|---|" + "---:|" * len(TRUTHS),
    ]
    for kind in KINDS:
        for metric, name in NAMES.items():
            cells = []
            for truth in TRUTHS:
                own = [one for n in PER_LEVEL for one in found[kind, n, truth] if one.metric == metric]
                cells.append(" to ".join(f"{100 * f([o.share for o in own]):.1f}" for f in (min, max)) if own else "")
                missed += [
                    f"{name}, {kind}, truth {truth:g}, {n} a level: {100 * one.share:.1f} %"
                    for n in PER_LEVEL
                    for one in found[kind, n, truth]
                    if one.metric == metric and wilson(one.holding, one.trials)[1] < LEAST
                ]
            if any(cells):
                lines.append(f"| {kind} | {name} | " + " | ".join(cells) + " |")
    lines += ["", "| images a level | " + " | ".join(NAMES.values()) + " |", "|---:|" + "---:|" * len(NAMES)]
    lines.insert(-2, "Coverage by level size, the mean over all designs and truths, in %:\n")
    for n in PER_LEVEL:
        means = []
        for metric in NAMES:
            own = [o.share for (_, size, _), ones in found.items() if size == n for o in ones if o.metric == metric]
            means.append(f"{100 * sum(own) / len(own):.1f}")
        lines.append(f"| {n} | " + " | ".join(means) + " |")
    lines += ["", "Averages over four subsets of C-index .6 to .995, in %:", ""]
    for n, ones in zip(PER_LEVEL, run(partial(_macro, trials=trials), PER_LEVEL), strict=True):
        lines.append(f"- {n} images a level: {_shares(ones)}.")
        missed += [f"average, {o.metric}" for o in ones if wilson(o.holding, o.trials)[1] < LEAST]
    lines += ["", f"The best of several scorers, {study_trials} trials:", ""]
    lines += ["| scorers | called clearly the best | paired interval holds the truth |", "|---|---:|---:|"]
    for (steps, alike, n), one in zip(BEST, run(partial(_best, trials=study_trials), range(len(BEST))), strict=True):
        real = steps[0] > steps[-1]
        about = f"{len(steps)}, {'the first 15 % better' if real else 'all as good'}, alike {alike:g}, {n} a level"
        holds = "" if real else f"{100 * one.holding / one.trials:.1f} %"
        lines.append(f"| {about} | {_with_interval(one.called, one.trials)} | {holds} |")
        if not real and wilson(one.called, one.trials)[0] > 0.05:
            missed.append(f"false best: {about}")
    for title, count_of, chosen, do in (
        ("Claims of studies on data without effect", study_trials, NULLS, _null),
        ("The same on data with an effect (power)", max(study_trials // 4, 1), EFFECTS, _effect),
    ):
        lines += ["", f"{title}, {count_of} trials:", "", "| study | data | claims |", "|---|---|---:|"]
        for trial, count in zip(chosen, run(partial(do, trials=count_of), range(len(chosen))), strict=True):
            lines.append(f"| {trial.study} | {trial.about} | {_with_interval(count, count_of)} |")
            if chosen is NULLS and count / count_of > 0.05:
                missed.append(f"{trial.study}, {trial.about}: claims in {100 * count / count_of:.1f} %")
    lines += ["", "Promises to people who decide:", "", "| promise | kept |", "|---|---:|"]
    for one in run(_kept, range(len(decided()))):
        lines.append(f"| {one.promise} | {one.figure} |")
        missed += [] if one.good else [one.promise]
    return "\n".join(lines), missed


def main() -> None:
    reaper.guard()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/metrics.md")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trials", type=int, default=TRIALS, help="a figure of coverage")
    parser.add_argument("--study-trials", type=int, default=STUDY_TRIALS, help="a study, and who is best")
    chosen = parser.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(chosen.workers) as pool:
        text, missed = tables(lambda do, tasks: list(pool.map(do, tasks)), chosen.trials, chosen.study_trials)
    minutes = (time.monotonic() - began) / 60
    made = f"`make truth` made these tables in {minutes:.0f} minutes with {chosen.workers} processes."
    text = f"{text}\n\n{_outside(missed)}\n\n{made}"
    print(text)
    if chosen.write:
        put_between(TARGET, OPEN, CLOSE, text)
    if missed:
        raise SystemExit(_outside(missed))


if __name__ == "__main__":
    main()
