"""The nearest of many rows: anomalib's search of PatchCore's memory bank, and the one here.

    python -m tests.benchmarks.neighbours [--rows-of-bank 100000] [--rounds 5]

Both get the same patch features of drawn pictures by a frozen network (that of a package where it is installed, else
the one that ships), a bank of 100,000 rows, and look up the patches of one picture, 1,024 of them, on the CPU. Both are
exact; before anything is timed the distances are compared.

Expected: anomalib writes a matrix of 1,024 x 100,000 numbers and goes over it six more times; here a block of it stays
near the processor and is gone over once. So the fewer the channels, the more is saved; with many channels the product
itself counts, most of which lower bounds spare.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from PIL import Image

from mad_core.scorers.features import weights
from mad_core.scorers.features.frozen import FrozenBackbone, patches
from mad_core.scorers.features.neighbours import RowBank
from mad_core.settings import Settings
from tests.benchmarks.anomalib_engine import draw
from tests.benchmarks.pairs import Row, arguments, hand_over, paired

QUERIES, TOLERANCE = 1024, 1e-4
CASES = ((2, 3), (3, 4))
"""Layers of the network that make a patch: PatchCore's, and those of the default detector."""


def features(layers: tuple[int, ...], count: int, folder: Path) -> torch.Tensor:
    """Patch features (count, C) of drawn pictures."""
    lite = weights.find(weights.LITE, Settings.from_environment().weights) is not None
    name = weights.LITE if lite else weights.FORMULA
    net = FrozenBackbone(name, layers if lite else (2, 3), Settings.from_environment().weights)
    found: list[torch.Tensor] = []
    rows, seed = 0, 0
    while rows < count:
        for item in draw(folder / f"{'-'.join(map(str, layers))} {seed}", 8, seed, scratched=True):
            pixels = np.asarray(Image.open(item.path).convert("RGB").resize((512, 512)))
            image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
            found.append(patches(net.layers(image))[0].flatten(1).T)
            rows += len(found[-1])
        seed += 1
    return torch.cat(found)[:count].contiguous()


def theirs(queries: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    return PatchcoreModel.euclidean_dist(queries, bank).min(1)[0]


def compare(layers: tuple[int, ...], size: int, rounds: int, folder: Path) -> Row:
    rows = features(layers, size + QUERIES, folder)
    bank, queries = rows[QUERIES:].clone(), rows[:QUERIES].clone()
    ours = RowBank(bank)
    expected, found = theirs(queries, bank), ours.nearest(queries)
    apart = float((expected - found).abs().max() / expected.max())
    if apart > TOLERANCE:
        raise SystemExit(f"The distances differ by {apart:.1e}; no speed is compared.")
    return paired(
        f"{QUERIES:,} patches among {size:,} of {bank.shape[1]} channels, nearest one",
        "anomalib's PatchCore",
        f"distances to {apart:.0e}",
        lambda: theirs(queries, bank),
        lambda: ours.nearest(queries),
        rounds,
    )


def main() -> None:
    parser: argparse.ArgumentParser = arguments(__doc__, rounds=5)
    parser.add_argument("--rows-of-bank", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [compare(layers, given.rows_of_bank, given.rounds, Path(folder)) for layers in CASES]
    hand_over(found, given.rows)


if __name__ == "__main__":
    main()
