"""A toy scorer for tests of runs: the score is the image's mean grey, without any model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Item, Parameter, Scored, Scorer

if TYPE_CHECKING:
    import torch


class Toy(Scorer):
    """Distance of the mean grey to the normals' mean grey; images are ``.npy`` files of numbers."""

    mean: float = 0.0

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        values = []
        for done, item in enumerate(normals):
            time.sleep(self.parameters["pause"])
            values.append(float(np.load(item.path).mean()))
            context.step(done + 1, len(normals))
        self.mean = float(np.mean(values))
        fits = Path(normals[0].path).parent / "fits.txt"
        fits.write_text(fits.read_text() + "x" if fits.exists() else "x")

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            time.sleep(self.parameters["wait"])
            try:
                values = np.load(item.path)
            except (OSError, ValueError):
                yield Scored.failed(item.image_id, "unreadable", f"{Path(item.path).name} cannot be read.")
                continue
            yield Scored.of(item.image_id, float(values.mean()) - self.mean, np.abs(values - self.mean), 0.001)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        import torch  # here: a process that scores alone starts two seconds sooner without

        return {"mean": torch.tensor([self.mean], dtype=torch.float64)}, {"kind": "toy"}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.mean = float(tensors["mean"][0])


TOY = ScorerInfo(
    id="toy",
    title="Toy",
    family="filter bank",
    entry="tests.engine.toy:Toy",
    paper="none",
    summary="Mean grey.",
    needs="nothing",
    cost="nothing",
    parameters=(
        Parameter("wait", "float", 0.0, "Seconds an image.", 0, 10),
        Parameter("pause", "float", 0.0, "Seconds a normal, in the fit.", 0, 10),
    ),
)


def register_toy() -> None:
    """Put the toy into the catalogue of this process, once."""
    from mad_core.scorers import catalog

    catalog.scorers()
    if "toy" not in catalog._CATALOG:
        catalog.register(TOY)


if __name__ == "__main__":  # a worker process that knows the toy
    import sys

    from mad_core.runs.worker import run_worker
    from mad_core.settings import Settings

    register_toy()
    sys.exit(0 if run_worker(Settings.from_environment(), "cpu") else 3)
