"""How many grades the chosen pictures save against a random order, for the same C-index, on real pictures.

``python -m tools.learning.active --leaves FOLDER`` grades the pictures of one half from scratch in both orders, as a
person would who is shown one batch after the other, and judges by the pictures of that half that are held back.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mad_core.learning.learner import learn
from mad_core.learning.selection import next_to_grade
from mad_core.metrics.ranking import c_index, count_pairs
from tools.eyes.halves import HELD_OUT, TUNING
from tools.learning.collections import Collection, collection, folder_pictures, solar_cells

BATCH, MOST, DRAWS = 5, 60, 20
JUDGED = 0.5
"""Share of the pictures that judge and are never graded."""

Chooser = Callable[[Collection, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def at_random(pictures: Collection, graded: np.ndarray, pool: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The next batch, whatever is known."""
    return rng.permutation(pool)[:BATCH]


def most_useful(pictures: Collection, graded: np.ndarray, pool: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The next batch as the learner asks for it, out of a random half of the pool, so that draws differ."""
    some = rng.permutation(pool)[: max(4 * BATCH, len(pool) // 2)]
    evidence = pictures.evidence
    rows = next_to_grade(
        evidence.rows(some), pictures.scale, BATCH, evidence.rows(graded), pictures.levels[graded].tolist()
    )
    return some[rows]


def curve(pictures: Collection, choose: Chooser, rng: np.random.Generator) -> np.ndarray:
    """C-index of the judged pictures after each batch; NaN while one level only is graded."""
    order = rng.permutation(len(pictures.levels))
    judged, pool = np.split(order, [round(JUDGED * len(order))])
    graded, agreements = np.zeros(0, dtype=np.int64), []
    while len(graded) < min(MOST, len(order) - len(judged) - BATCH):
        graded = np.concatenate([graded, choose(pictures, graded, pool, rng)])
        pool = np.setdiff1d(pool, graded)
        agreements.append(_agreement(pictures, graded, judged))
    return np.array(agreements)


def _agreement(pictures: Collection, graded: np.ndarray, judged: np.ndarray) -> float:
    levels = pictures.levels[graded]
    if len(levels) < 4 or len(np.unique(levels)) < 2:
        return float("nan")
    learner = learn(pictures.evidence.rows(graded), levels, pictures.scale)
    value = c_index(count_pairs(pictures.levels[judged], learner.predict(pictures.evidence.rows(judged)).severity))
    return float("nan") if value is None else value


def saved(useful: np.ndarray, random: np.ndarray) -> float:
    """Grades that the useful order needs for what the random one has at its end, as a share of these."""
    target = float(random[-1])
    reached = np.flatnonzero(useful >= target)
    return (int(reached[0]) + 1) / len(random) if len(reached) else float("inf")


def main(arguments: Sequence[str]) -> None:
    """Print both curves and the share, with an interval over resampled draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=Path)
    parser.add_argument("--half", choices=(TUNING, HELD_OUT), default=HELD_OUT)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args(arguments)
    sources = {"leaves": folder_pictures(asked.leaves)} if asked.leaves else {}
    if importlib.util.find_spec("elpv_dataset"):
        sources["cells mono"] = solar_cells("mono")
    for name, pictures in sources.items():
        loaded = collection(name, pictures, asked.half, asked.cache, lambda done, total: None)
        both = [
            np.array([curve(loaded, choose, np.random.default_rng([7, draw])) for draw in range(asked.draws)])
            for choose in (most_useful, at_random)
        ]
        means = [np.nanmean(each, axis=0) for each in both]
        rng = np.random.default_rng(0)
        shares = [
            saved(*(np.nanmean(each[drawn], axis=0) for each in both))
            for drawn in rng.integers(0, asked.draws, (500, asked.draws))
        ]
        low, high = np.quantile(shares, (0.025, 0.975), method="nearest")
        print(f"{name}: share of grades {saved(*means):.2f} [{low:.2f}, {high:.2f}]")
        for label, values in zip(("useful", "random"), means, strict=True):
            print(f"  {label}: {' '.join(f'{value:.3f}' for value in values)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
