"""The default detector from files to scores and maps: pictures of 512 pixels, PNG, on this machine's processors.

    python -m tests.benchmarks.default_detector [--images 120] [--rounds 5]

Reading and decoding count, the fit does not; the network is compiled before anything is timed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Scorer
from tests.benchmarks.pairs import Row, alone, arguments, hand_over

SIDE, NORMALS = 512, 64


def draw(folder: Path, count: int) -> list[Item]:
    """Brushed plates with grain."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(count):
        plate = 130 + 18 * rng.normal(size=(SIDE, 1)) + 8 * rng.normal(size=(SIDE, SIDE))
        path = folder / f"{number:04d}.png"
        Image.fromarray(plate.clip(0, 255).astype(np.uint8)).convert("RGB").save(path)
        items.append(Item(path.stem, str(path)))
    return items


def rows(images: int, rounds: int, folder: Path) -> list[Row]:
    items, context = draw(folder, NORMALS + images), Context(weights=folder)
    scorer = catalog.scorer(catalog.DEFAULT).create({})
    scorer.fit(items[:NORMALS], context)
    score(scorer, items[:1], context)
    what = f"score {images} images of {SIDE} px with maps: {catalog.DEFAULT}, the default"
    return [alone(what, lambda: score(scorer, items[NORMALS:], context), rounds)]


def score(scorer: Scorer, items: list[Item], context: Context) -> None:
    """Score all of them; an image that failed ends the benchmark."""
    assert all(one.map is not None for one in scorer.score(items, context))


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--images", type=int, default=120)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hand_over(rows(given.images, given.rounds, Path(folder)), given.rows)


if __name__ == "__main__":
    main()
