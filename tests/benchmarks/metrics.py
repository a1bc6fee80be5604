"""How fast the metrics are, against the published way on the same arrays in the same run.

``make bench`` runs it. The published way (lifelines, scipy, scikit-learn) gets an environment of its
own in ``.venv-bench``, made on the first run; it times itself, so its start and imports do not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mad_core.metrics.summary import evaluate
from tests.benchmarks.pairs import Cost, Row, alone, arguments, hand_over, timed

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / ".venv-bench"
PEER_PACKAGES = ("lifelines>=0.30,<1", "scipy", "scikit-learn", "numpy")
TOLERANCE = 1e-12


def main() -> None:
    given = arguments(__doc__, rounds=5).parse_args()
    peer = _peer_python()
    rows = [_compare(peer, images, given.rounds) for images in (10_000, 100_000)]
    many, some = _arrays(1_000_000), _arrays(10_000)
    rows += [
        alone("all metrics of 1,000,000 images, without intervals", lambda: evaluate(*many, draws=0), given.rounds),
        alone("all metrics of 10,000 images, 1,000 draws", lambda: evaluate(*some, draws=1000), given.rounds),
    ]
    hand_over(rows, given.rows)


def _compare(peer: Path, images: int, rounds: int) -> Row:
    levels, scores = _arrays(images)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        np.savez(arrays, levels=levels, scores=scores)
        worst = _largest_difference(evaluate(levels, scores, draws=0), _published(peer, arrays)["values"])
        if worst > TOLERANCE:
            raise SystemExit(f"A metric differs by {worst:.1e}; no speed is compared.")
        for _ in range(rounds):
            published = _published(peer, arrays)
            theirs.append(Cost(published["seconds"], published["processor"]))
            ours.append(timed(lambda: evaluate(levels, scores, draws=0))[1])
    against = "lifelines, scipy, scikit-learn"
    return Row(f"all metrics of {images:,} images, without intervals", against, f"to {worst:.0e}", theirs, ours)


def _arrays(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Five levels, continuous scores that follow them loosely, one in ten rounded so that there are ties."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 5, images).astype(np.float64)
    scores = levels + rng.normal(0, 1.5, images)
    return levels, np.where(rng.random(images) < 0.1, scores.round(1), scores)


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
