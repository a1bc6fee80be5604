"""How well the order agrees with people after a few grades, on real pictures, by repeated draws.

``python -m tools.learning.figures --leaves FOLDER --tiles FOLDER`` prints a table of the pictures that nothing was
chosen on; ``--half tuning`` prints that of the others. Solar cells join where ``elpv-dataset`` is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mad_core.learning.learner import learn
from mad_core.metrics.ranking import aurocs, c_index, count_pairs
from tools.eyes.halves import HELD_OUT, TUNING
from tools.learning.collections import Collection, collection, folder_pictures, solar_cells

GRADES = (2, 5, 10)
DRAWS = 20
COLUMNS = ("c_index", "abnormal only", "auroc")


def draw(levels: np.ndarray, per_level: int, rng: np.random.Generator) -> np.ndarray:
    """Rows to grade: so many of each level, but at most half of them."""
    of = [rng.permutation(np.flatnonzero(levels == level)) for level in np.unique(levels)]
    return np.concatenate([rows[: min(per_level, len(rows) // 2)] for rows in of])


def measures(levels: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    """C-index of all, of the abnormal ones, and the AUROC."""
    counts, abnormal = count_pairs(levels, scores), levels > 0
    values = c_index(counts), c_index(count_pairs(levels[abnormal], scores[abnormal])), aurocs(counts)["whole"]
    return tuple(float("nan") if value is None else value for value in values)  # type: ignore[return-value]


def compared(pictures: Collection, per_level: int, draws: int, seed: int) -> dict[str, np.ndarray]:
    """:func:`measures` of the detector and of the learner on the ungraded pictures of each draw, (draws, 3)."""
    by_way: dict[str, list[tuple[float, float, float]]] = {"detector": [], "graded": []}
    for number in range(draws):
        taught = draw(pictures.levels, per_level, np.random.default_rng([seed, per_level, number]))
        rest = np.setdiff1d(np.arange(len(pictures.levels)), taught)
        learner = learn(pictures.evidence.rows(taught), pictures.levels[taught], pictures.scale)
        images = pictures.evidence.rows(rest)
        by_way["detector"].append(measures(pictures.levels[rest], images.detector))
        by_way["graded"].append(measures(pictures.levels[rest], learner.predict(images).severity))
    return {name: np.array(values) for name, values in by_way.items()}


def lines(pictures: Collection, draws: int, seed: int) -> list[str]:
    """Rows of the table: means over draws, and the learner's gain in C-index with the standard error of its mean."""
    rows = []
    for per_level in GRADES:
        started = time.process_time()
        by_way = compared(pictures, per_level, draws, seed)
        seconds = (time.process_time() - started) / draws
        gain = by_way["graded"][:, 0] - by_way["detector"][:, 0]
        means = " | ".join(
            " ".join(f"{value:.3f}" for value in by_way[name].mean(axis=0)) for name in ("detector", "graded")
        )
        error = gain.std(ddof=1) / draws**0.5
        rows.append(
            f"{pictures.name} | {per_level} | {means} | {gain.mean():+.3f} ± {error:.3f} | {seconds:.2f} s a draw"
        )
    return rows


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=Path)
    parser.add_argument("--tiles", type=Path)
    parser.add_argument("--half", choices=(TUNING, HELD_OUT), default=HELD_OUT)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args(arguments)
    sources: Mapping[str, Path | None] = {"leaves": asked.leaves, "tiles": asked.tiles}
    pictures = {name: folder_pictures(folder) for name, folder in sources.items() if folder}
    if importlib.util.find_spec("elpv_dataset"):
        pictures |= {f"cells {kind}": solar_cells(kind) for kind in ("mono", "poly")}
    print(
        f"{asked.half} half, {asked.draws} draws; columns: {', '.join(COLUMNS)}, of the detector, then of the learner"
    )
    for name, of in pictures.items():
        loaded = collection(name, of, asked.half, asked.cache, lambda done, total: None)
        print("\n".join(lines(loaded, asked.draws, asked.seed)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
