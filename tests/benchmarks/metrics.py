"""How fast the metrics are, against the published way on the same arrays in the same run.

``make bench`` runs it. The published way (lifelines, scipy, scikit-learn) gets an environment of its
own in ``.venv-bench``, made on the first run. Rounds of both alternate; the best of each counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mad_core.metrics.summary import evaluate

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / ".venv-bench"
PEER_PACKAGES = ("lifelines>=0.30,<1", "scipy", "scikit-learn", "numpy")
ROUNDS = 3


def main() -> None:
    peer = _peer_python()
    _compare(peer, 10_000)
    _compare(peer, 100_000)
    levels, scores = _arrays(1_000_000)
    print(f"1,000,000 images, all metrics without intervals: {_best(lambda: evaluate(levels, scores, draws=0)):.2f} s")
    levels, scores = _arrays(10_000)
    seconds = _best(lambda: evaluate(levels, scores, draws=1000))
    print(f"   10,000 images, all metrics with 1,000 bootstrap draws: {seconds:.2f} s")


def _compare(peer: Path, images: int) -> None:
    levels, scores = _arrays(images)
    ours, theirs, found, published = [], [], {}, {}
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        np.savez(arrays, levels=levels, scores=scores)
        for _ in range(ROUNDS):
            published = _published(peer, arrays)
            theirs.append(published["seconds"])
            start = time.perf_counter()
            found = evaluate(levels, scores, draws=0)
            ours.append(time.perf_counter() - start)
    worst = _largest_difference(found, published["values"])
    print(
        f"{images:>9,} images: published way {min(theirs):.3f} s, MAD Inspector {min(ours):.4f} s, "
        f"ratio {min(theirs) / min(ours):.0f}; largest difference of a metric {worst:.1e}"
    )


def _arrays(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Five levels, continuous scores that follow them loosely, one in ten rounded so that there are ties."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 5, images).astype(np.float64)
    scores = levels + rng.normal(0, 1.5, images)
    return levels, np.where(rng.random(images) < 0.1, scores.round(1), scores)


def _best(work: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _largest_difference(found: dict[str, Any], published: dict[str, float]) -> float:
    ours = {**found["auroc"], "c_index": found["c_index"], "kendall_tau_b": found["kendall_tau_b"]}
    return max(abs(ours[name] - value) for name, value in published.items())


def _published(peer: Path, arrays: Path) -> dict[str, Any]:
    script = Path(__file__).with_name("published_way.py")
    done = subprocess.run([peer, script, arrays], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _peer_python() -> Path:
    python, ready = PEER / "bin" / "python", PEER / "ready"
    if not ready.exists():
        print("Installing lifelines, scipy and scikit-learn into .venv-bench ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEER_PACKAGES], check=True)
        ready.touch()
    return python


if __name__ == "__main__":
    main()
