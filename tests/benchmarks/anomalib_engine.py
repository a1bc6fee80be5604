"""Fit and score with a conventional detector: anomalib's own ``Engine``, and the scorer here.

    python -m tests.benchmarks.anomalib_engine [--normals 50] [--tests 50] [--rounds 5]

Both build the model, fit it on the same normals and score the same test images, raw scores and anomaly maps
included: the same model class, backbone, weights file, seed, side of 256 pixels and share of the coreset.

The Engine does no needless work: ``barebones=True`` (no checkpoint, logger, progress bar or model summary), no
validation, no metrics, no visualizer, and no post-processor, which would clamp scores. It gets the batch size and
number of loader workers with which it is fastest on a few of the images, tried first in the same run. Importing
counts for neither.

The images are drawn and stored at 256 pixels, so that both read the same pixels (anomalib resizes in float,
the scorer here in 8 bit, as published). Raw scores must agree to 1e-4: PaDiM's as they come; PatchCore's on
the Engine's memory bank, because the coreset starts from random numbers and no two fits keep the same patches.

Expected from reading both: the networks cost the same; the Engine adds little of its own; PatchCore's coreset costs
anomalib several times more (``coreset.py``). So well above 1.5 for PatchCore on a small network, less on a wide one,
and about 1 for PaDiM, whose fit here is anomalib's own.
What came: PatchCore on the backbone that ships 2.2 times faster, PaDiM 0.99. Profiled, a third of PaDiM was
convolutions; the rest enlarged 448 channels to keep 100 of them, and estimated 4,096 covariances one by one. Channels
last, channels kept first and covariances in blocks (``padim.py``) made that 1.4 (1.8 on another day), and PatchCore
2.9. On a wide network 1.4: its convolutions are most of the time, and both compute them. The goal of 1.5 is reached
where the app's own backbone is used.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.model_scorer import HALVES, IMAGENET, BuiltScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.backbones import local_weights
from tests.benchmarks.pairs import Row, arguments, hand_over, paired, timed

SIDE, SHARE, NEIGHBOURS, TRIED, TOLERANCE = 256, 0.01, 9, 16, 1e-4
BATCHES, WORKERS = (8, 32), (0, 2)


@dataclass(frozen=True)
class Case:
    """A detector with a backbone: the scorer's parameters here, and the class of the Engine's model."""

    scorer: str
    backbone: str
    weights: Path

    @property
    def title(self) -> str:
        kind = "weights that ship" if self.backbone == weights.FORMULA else "random weights"
        return f"{self.scorer}, {self.backbone.partition('.')[0]} ({kind})"

    def parameters(self) -> dict[str, Any]:
        given = {"backbone": self.backbone, "weights": str(self.weights), "size": SIDE}
        more = {"positions": "anywhere", "coreset": SHARE} if self.scorer == "patchcore" else {}
        return given | more


def cases(folder: Path) -> list[Case]:
    """The backbone that ships, and those of the papers with random weights, the same file for both sides."""
    shipped = weights.resolve("patchcore", {"backbone": weights.FORMULA, "weights": weights.PRETRAINED}, folder)
    assert shipped is not None
    drawn = {name: random_weights(name, folder) for name in ("resnet18", "wide_resnet50_2")}
    return [
        Case("patchcore", weights.FORMULA, shipped),
        Case("patchcore", "wide_resnet50_2.tv_in1k", drawn["wide_resnet50_2"]),
        Case("padim", "resnet18.tv_in1k", drawn["resnet18"]),
    ]


def random_weights(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    save_file(timm.create_model(name, pretrained=False).state_dict(), path)
    return path


def draw(folder: Path, count: int, seed: int, scratched: bool) -> list[Item]:
    """Brushed plates with four bolts; every other one of the ``scratched`` has a scratch."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    items = []
    for number in range(count):
        plate = 130 + 18 * rng.normal(size=(SIDE, 1)) + 8 * rng.normal(size=(SIDE, SIDE)) + 0.1 * columns
        for y, x in itertools.product((48, 208), (48, 208)):
            plate[np.hypot(rows - y, columns - x) < 20] = 70
        if scratched and number % 2:
            y, x = rng.integers(60, 190, 2)
            plate[np.abs(rows - y - (columns - x) // 3) + (np.abs(columns - x) > 30) * SIDE < 4] = 230
        path = folder / f"{number:04d}.png"
        Image.fromarray(plate.clip(0, 255).astype(np.uint8)).convert("RGB").save(path)
        items.append(Item(path.stem, str(path)))
    return items


# -- the scorer here ----------------------------------------------------------------------------


def fit_and_score(case: Case, normals: Sequence[Item], tests: Sequence[Item]) -> tuple[BuiltScorer, np.ndarray]:
    tiled: Any = catalog.scorer(case.scorer).create(case.parameters())
    scorer = tiled.inner  # pictures of this size are seen whole
    assert isinstance(scorer, BuiltScorer)
    scorer.fit(normals, Context(subset="plates"))
    return scorer, raw(scorer, tests)


def raw(scorer: BuiltScorer, tests: Sequence[Item]) -> np.ndarray:
    """Raw scores; an image that failed ends the benchmark."""
    scored = list(scorer.score(tests, Context(subset="plates")))
    assert all(one.map is not None for one in scored)
    return np.array([one.score for one in scored], dtype=float)


# -- the Engine ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """What the Engine may choose."""

    batch: int
    workers: int


def engine_fit_and_score(
    case: Case, normals: Path, tests: Path, settings: Settings
) -> tuple[torch.nn.Module, np.ndarray]:
    from anomalib.engine import Engine

    model = engine_model(case)
    with tempfile.TemporaryDirectory() as folder, quiet():
        engine = Engine(logger=False, barebones=True, accelerator="cpu", default_root_dir=folder)
        engine.fit(model, train_dataloaders=loader(normals, settings))
        found = engine.predict(model, dataloaders=loader(tests, settings))
    batches: Any = found
    assert all(batch.anomaly_map is not None for batch in batches)
    return model.model, torch.cat([batch.pred_score.flatten() for batch in batches]).numpy().astype(float)


def engine_model(case: Case) -> Any:
    from anomalib.models import Padim, Patchcore
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    known = HALVES if case.backbone == weights.FORMULA else IMAGENET
    transform = Compose([Resize((SIDE, SIDE), antialias=True), Normalize(*known)])
    left_out: Mapping[str, Any] = {"post_processor": False, "evaluator": False, "visualizer": False}
    backbone = case.backbone.partition(".")[0]
    Context().seed_libraries()
    with local_weights(case.weights):
        if case.scorer == "padim":
            return Padim(backbone, n_features=100, pre_processor=PreProcessor(transform), **left_out)
        return Patchcore(
            backbone,
            coreset_sampling_ratio=SHARE,
            num_neighbors=NEIGHBOURS,
            pre_processor=PreProcessor(transform),
            **left_out,
        )


def loader(folder: Path, settings: Settings) -> torch.utils.data.DataLoader:
    """Images in the order of their names: a shuffle changes neither model but the bank's order."""
    from anomalib.data import PredictDataset

    dataset = PredictDataset(folder)
    return torch.utils.data.DataLoader(
        dataset, batch_size=settings.batch, num_workers=settings.workers, collate_fn=dataset.collate_fn
    )


def best_settings(case: Case, few: Path) -> Settings:
    """What the Engine is fastest with on a few images."""
    tried = [Settings(batch, workers) for batch, workers in itertools.product(BATCHES, WORKERS)]
    seconds = {one: timed(lambda one=one: engine_fit_and_score(case, few, few, one))[1].clock for one in tried}
    return min(seconds, key=seconds.__getitem__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Progress bars and advice would come between the rows of the table."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


# -- both ---------------------------------------------------------------------------------------


def difference(case: Case, normals: Sequence[Item], tests: Sequence[Item], settings: Settings) -> float:
    """The largest relative difference of a raw score; PatchCore's on the Engine's memory bank."""
    scorer, found = fit_and_score(case, normals, tests)
    peer, wanted = engine_fit_and_score(case, folder_of(normals), folder_of(tests), settings)
    if case.scorer == "patchcore":
        bank: Any = peer.memory_bank
        assert abs(len(scorer.model.memory_bank) - len(bank)) <= 1, "the banks differ in size"
        scorer.model.memory_bank = bank
        found = raw(scorer, tests)
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def folder_of(items: Sequence[Item]) -> Path:
    return Path(items[0].path).parent


def compare(case: Case, normals: Sequence[Item], tests: Sequence[Item], few: Path, rounds: int) -> Row:
    settings = best_settings(case, few)
    apart = difference(case, normals, tests, settings)
    if apart > TOLERANCE:
        raise SystemExit(f"{case.title}: raw scores differ by {apart:.1e}; no speed is compared.")
    theirs: Callable[[], Any] = lambda: engine_fit_and_score(case, folder_of(normals), folder_of(tests), settings)  # noqa: E731
    return paired(
        f"fit on {len(normals)} and score {len(tests)} images: {case.title}",
        f"anomalib Engine, batch {settings.batch}, {settings.workers} workers",
        f"raw scores to {apart:.0e}",
        theirs,
        lambda: fit_and_score(case, normals, tests),
        rounds,
    )


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--normals", type=int, default=50)
    parser.add_argument("--tests", type=int, default=50)
    parser.add_argument("--only", help="cases whose title holds this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        normals = draw(folder / "normals", given.normals, 0, scratched=False)
        tests = draw(folder / "tests", given.tests, 1, scratched=True)
        draw(folder / "few", TRIED, 2, scratched=False)
        chosen = [case for case in cases(folder) if (given.only or "") in case.title]
        hand_over([compare(case, normals, tests, folder / "few", given.rounds) for case in chosen], given.rows)


if __name__ == "__main__":
    main()
