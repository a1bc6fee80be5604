"""Real pictures with ordered labels as the learner sees them: features once, kept in a folder, for repeated draws."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mad_core.datasets.solar_cells import TRAINING_BELOW
from mad_core.images import read_image
from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.learning.kernels import DETECTOR
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.features import weights
from mad_core.scorers.features.described import LAYERS, described, make_bank
from mad_core.scorers.features.frozen import FrozenBackbone
from mad_core.scorers.features.looks import GROUPS
from mad_core.scorers.image_scorer import scaled
from mad_core.settings import Settings
from tools.eyes.halves import half_of

SIDE, STEP = 320, 32
DETECTOR_ID = "subspace"
MOST_NORMALS, FOLDS = 120, 5


@dataclass(frozen=True)
class Collection:
    """Test pictures of one half, and how the normals look.

    Parameters
    ----------
    name : str
    evidence : Evidence
    levels : ndarray of shape (n,)
    scale : NormalScale
    """

    name: str
    evidence: Evidence
    levels: np.ndarray
    scale: NormalScale


@dataclass(frozen=True)
class Picture:
    """One file: its path, its level, and whether it trains."""

    path: Path
    level: float
    train: bool


def folder_pictures(folder: Path) -> list[Picture]:
    """Of a folder as a benchmark lays out a subset: ``train/good`` and ``test/<defect>_level_<k>``."""
    normals = [Picture(path, 0.0, True) for path in sorted((folder / "train" / "good").iterdir())]
    tests = [
        Picture(path, float(path.parent.name.rpartition("_")[2]), False) for path in sorted(folder.glob("test/*/*"))
    ]
    return normals + tests


def solar_cells(kind: str) -> list[Picture]:
    """Of the package ``elpv-dataset``: ``mono`` or ``poly``; the level is the experts' certainty of a defect."""
    import elpv_dataset  # type: ignore[import-not-found]

    data = Path(str(elpv_dataset.__file__)).parent / "data"
    rows = [line.split() for line in (data / "labels.csv").read_text().splitlines() if line.strip()]
    cells = [(data / path, round(3 * float(chance))) for path, chance, of in rows if of == kind]
    return [Picture(path, float(level), level == 0 and _trains(path)) for path, level in cells]


def collection(
    name: str, pictures: Sequence[Picture], half: str, cache: Path, step: Callable[[int, int], None]
) -> Collection:
    """Features of one half's test pictures and of the normals, computed once and kept in ``cache``.

    The detector is the default one; its scores of normals are by fits without them, as in a run.
    """
    tests = [each for each in pictures if not each.train and half_of(each.path) == half]
    normals = [each for each in pictures if each.train]
    kept = cache / f"{name}-{half.replace(' ', '-')}-{_digest(tests + normals)}.npz"
    if not kept.is_file():
        chosen = np.unique(np.linspace(0, len(normals) - 1, MOST_NORMALS).round().astype(int))
        scores = _detected(normals, tests)
        scores["normals"] = scores["normals"][chosen]
        looks = _looks([normals[number] for number in chosen], tests, step)
        arrays = {f"{split}.{group}": values for split, of in looks.items() for group, values in of.items()}
        np.savez(kept, allow_pickle=False, **arrays, **{f"{split}.{DETECTOR}": of for split, of in scores.items()})
    with np.load(kept) as file:
        looks = {split: {group: file[f"{split}.{group}"] for group in GROUPS} for split in ("normals", "tests")}
        scores = {split: file[f"{split}.{DETECTOR}"] for split in ("normals", "tests")}
    evidence = Evidence(scores["tests"], looks["tests"])
    levels = np.array([each.level for each in tests])
    return Collection(name, evidence, levels, NormalScale.of(looks["normals"], scores["normals"]))


def _detected(normals: Sequence[Picture], tests: Sequence[Picture]) -> dict[str, np.ndarray]:
    """What the default detector says of the normals, each by a fit without its fold, and of the tests."""
    info = catalog.scorer(DETECTOR_ID)
    context = Context(weights=Settings.from_environment().weights)
    items = [Item(str(number), str(each.path)) for number, each in enumerate(normals)]

    def scored(fitted: Sequence[Item], of: Sequence[Item]) -> dict[str, float]:
        scorer = info.create(info.settle(info.defaults()))
        scorer.fit(fitted, context)
        return {one.image_id: float(one.score) for one in scorer.score(of, context) if one.score is not None}

    unseen: dict[str, float] = {}
    for fold in range(FOLDS):
        unseen |= scored([item for place, item in enumerate(items) if place % FOLDS != fold], items[fold::FOLDS])
    of_tests = scored(items, [Item(f"test {number}", str(each.path)) for number, each in enumerate(tests)])
    return {"normals": np.array([unseen[item.image_id] for item in items]), "tests": np.array(list(of_tests.values()))}


def _trains(path: Path) -> bool:
    """Whether a normal solar cell trains, by the rule of the dataset that is offered."""
    return hashlib.sha256(path.read_bytes()).digest()[1] < TRAINING_BELOW


def _looks(
    normals: Sequence[Picture], tests: Sequence[Picture], step: Callable[[int, int], None]
) -> dict[str, dict[str, np.ndarray]]:
    backbone = FrozenBackbone(weights.LITE, LAYERS, Settings.from_environment().weights)

    def layers(picture: Picture) -> list[torch.Tensor]:
        image = read_image(picture.path)
        pixels = scaled(image, SIDE / (image.shape[0] * image.shape[1]) ** 0.5, SIDE, STEP)
        return [layer[0] for layer in backbone.layers(torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None])]

    of_normals = [layers(picture) for picture in normals]
    bank = make_bank(of_normals, Context())
    by_split = {"normals": [described(of, bank, number) for number, of in enumerate(of_normals)], "tests": []}
    for done, picture in enumerate(tests, start=1):
        by_split["tests"].append(described(layers(picture), bank))
        step(done, len(tests))
    return {
        split: {group: np.stack([of[group] for of in each]) for group in GROUPS} for split, each in by_split.items()
    }


def _digest(pictures: Sequence[Picture]) -> str:
    return hashlib.blake2b("\n".join(each.path.name for each in pictures).encode(), digest_size=6).hexdigest()
