"""First stage: teach the tower which fault lies where, on crops of difference views and photographs.

``python -m tools.mllm.tower --pictures FOLDER --out tower.pt --steps 7000``. Stopped, it goes on where it
was; the same steps and seed give the same weights on the same machine.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tools.mllm.faults import FAMILIES, OF_PARTS
from tools.mllm.model import PATCH, TOWER_WIDTH, cells_of, make_tower
from tools.mllm.pictures import CELLS, Shard, decode
from tools.mllm.training import Course, say

CROP = 4
"""Cells a side of a crop: a quarter of a picture, so four times as many pictures an hour."""
NOTHING = len(FAMILIES)
LEAST, MOST_UNSURE = 0.0005, 0.004


class Tower(nn.Module):
    """The tower with a head that names the fault of each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = make_tower().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = nn.Linear(TOWER_WIDTH, len(FAMILIES) + 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of shape (N, cells, families + 1)."""
        with torch.autocast("cpu", torch.bfloat16):
            return self.head(cells_of(self.tower, pixels)).float()


class Pictures:
    """All photographs of some shards, decoded when they are asked for."""

    def __init__(self, folder: Path, few: int | None = None) -> None:
        shards = [Shard.read(path) for path in sorted(folder.glob("[0-9]*.npz"))[:few]]
        if not shards:
            raise SystemExit(f"{folder} holds no shards; draw them with tools.mllm.pictures.")
        self.images = [blob for shard in shards for blob in shard.images]
        self.views = [blob for shard in shards for blob in shard.views]
        self.families = np.concatenate([shard.families for shard in shards])
        self.cells = np.concatenate([shard.cells for shard in shards])

    def __len__(self) -> int:
        return len(self.images)


def to_pixels(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    """Pictures as the tower takes them: (N, 3, H, W), -1 to 1."""
    stack = torch.from_numpy(np.stack(pictures).astype(np.float32) / 127.5 - 1)
    return stack.permute(0, 3, 1, 2)  # channels last in memory


def labels_of(family: int, cells: np.ndarray) -> np.ndarray:
    """The family of each cell, NOTHING where there is none, -1 where so little is covered that nobody could tell."""
    labels = np.full(cells.shape, NOTHING)
    if family >= 0:
        labels[cells > LEAST] = -1
        labels[cells > min(MOST_UNSURE, 0.5 * float(cells.max()))] = family
    return labels


def batch_of(pictures: Pictures, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random crops, turned and mirrored, and the labels of their cells."""
    crops, labels = [], []
    for _ in range(size):
        k = int(rng.integers(len(pictures)))
        view = rng.random() < 0.85 or FAMILIES[pictures.families[k]] in OF_PARTS  # parts look right by themselves
        photograph = decode(pictures.images[k])
        image = decode(pictures.views[k]) if view else photograph
        residue = residue_of(photograph, rng) if view else None
        cells = pictures.cells[k]
        top, left = _corner(cells, int(pictures.families[k]), rng)
        window = np.s_[top * PATCH : (top + CROP) * PATCH, left * PATCH : (left + CROP) * PATCH]
        image = varied(image[window], rng, residue[window] if residue is not None else None)
        marks = labels_of(int(pictures.families[k]), cells)[top : top + CROP, left : left + CROP]
        turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
        image, marks = np.rot90(image, turns), np.rot90(marks, turns)
        if mirrored:
            image, marks = image[:, ::-1], marks[:, ::-1]
        crops.append(np.ascontiguousarray(image))
        labels.append(np.ascontiguousarray(marks).reshape(-1))
    return to_pixels(crops), torch.from_numpy(np.stack(labels))


def varied(image: np.ndarray, rng: np.random.Generator, residue: np.ndarray | None = None) -> np.ndarray:
    """Another contrast, grain and sharpness, and traces that sound pieces leave in a view.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
    residue : ndarray of shape (H, W, 3), optional
        What :func:`residue_of` found; laid over it now and then.
    """
    pixels = (np.ascontiguousarray(image).astype(np.float32) - 128) * rng.uniform(0.6, 1.5)
    if residue is not None and rng.random() < 0.4:
        pixels += rng.uniform(6, 40) * residue
    if rng.random() < 0.4:
        pixels += rng.uniform(1, 9) * rng.standard_normal(pixels.shape, np.float32)
    if rng.random() < 0.45:
        pixels += rng.uniform(2, 22) * _grain(pixels.shape[:2], rng)[..., None]
    if rng.random() < 0.2:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 0.9)))
    return np.clip(pixels + 128, 0, 255)


def _grain(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Grain along one direction, spread about 1, in places stronger than in others."""
    grain = cv2.GaussianBlur(
        rng.standard_normal(shape).astype(np.float32), (0, 0), float(rng.uniform(2, 12)), None, 0.6
    )
    places = cv2.resize(rng.standard_normal((4, 4)).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return grain / (grain.std() + 1e-6) * np.clip(0.7 + 0.6 * places, 0, 1.5)


def residue_of(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a piece that lies a little askew leaves along its edges, about -1 to 1, of the image's shape."""
    side = image.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.normal(0, 0.4)), float(1 + rng.normal(0, 0.004)))
    turn[:, 2] += rng.normal(0, 0.6, 2)
    moved = cv2.warpAffine(image, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    step = image.astype(np.float32) - moved.astype(np.float32)
    return np.clip(step / (np.quantile(np.abs(step), 0.98) + 4), -1.5, 1.5)


def _corner(cells: np.ndarray, family: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where the crop begins: mostly so that it holds some of the fault."""
    free = CELLS - CROP + 1
    if family < 0 or rng.random() < 0.2 or cells.max() <= 0:
        return int(rng.integers(free)), int(rng.integers(free))
    ys, xs = np.nonzero(cells > 0.5 * cells.max())
    k = int(rng.integers(len(ys)))
    return tuple(int(np.clip(at[k] - rng.integers(CROP), 0, free - 1)) for at in (ys, xs))  # type: ignore[return-value]


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy over cells; cells without a fault weigh a quarter."""
    weight = torch.ones(NOTHING + 1, device=logits.device)
    weight[NOTHING] = 0.25
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), weight=weight, ignore_index=-1)


@torch.no_grad()
def judged(model: Tower, pictures: Pictures, rng: np.random.Generator) -> str:
    """Shares of cells named rightly, among cells with a fault and without."""
    model.eval()
    right: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(6):
        pixels, labels = batch_of(pictures, rng, 64)
        guess = model(pixels).argmax(2)
        for faulty in (True, False):
            chosen = (labels != NOTHING if faulty else labels == NOTHING) & (labels >= 0)
            right[faulty] += (guess == labels)[chosen].float().tolist()
    model.train()
    return f"cells with a fault {np.mean(right[True]):.3f}, without {np.mean(right[False]):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    torch.manual_seed(chosen.seed)
    model = Tower()
    course = Course(model, chosen.out, chosen.steps, chosen.rate, chosen.seed)
    pictures = Pictures(chosen.pictures)
    say(f"{len(pictures)} pictures, from step {course.step}")
    while not course.over:
        pixels, labels = batch_of(pictures, course.rng(), chosen.batch)
        course.learn(loss_of(model(pixels), labels))
        if course.step % 200 == 0:
            say(f"step {course.step}: loss {course.loss:.3f}, {judged(model, pictures, course.rng())}")
            course.save()
    course.save()


if __name__ == "__main__":
    main()
