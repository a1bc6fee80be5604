"""Small pictures and folders of them, each with content of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from mad_core.datasets.dataset import Imported

SUFFIX_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".tif": "TIFF"}


def draw(path: Path, content: str = "", size: tuple[int, int] = (8, 6)) -> Path:
    """A picture whose pixels follow from ``content``, by default its path; in a folder of masks a small mark."""
    seed = int.from_bytes(hashlib.blake2b((content or str(path)).encode(), digest_size=8).digest())
    rng = np.random.default_rng(seed)
    if {"ground_truth", "masks"} & {part.lower() for part in path.parts}:
        pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
        pixels[rng.integers(1, size[1] - 1), 1 : 2 + rng.integers(1, size[0] - 2)] = 255
    else:
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, SUFFIX_FORMATS[path.suffix.lower()])
    return path


def tree(root: Path, names: Iterable[str]) -> Path:
    """A folder with pictures of these relative paths; their content does not depend on where it lies."""
    for name in names:
        draw(root / name, name)
    return root


def industrial(root: Path) -> Path:
    """A small subset as the benchmark lays out an industrial one: 4 training normals, 2 images a defect type."""
    names = [f"train/good/{i}.png" for i in range(4)]
    for defect in ("good_level_0", "stain_level_1", "scratch,dent_level_2"):
        names += [f"test/{defect}/{i:03d}.png" for i in range(2)]
    names += ["ground_truth/stain_level_1/000_mask.png", "ground_truth/scratch,dent_level_2/001.png"]
    return tree(root, names)


def kinds(imported: Imported) -> list[str]:
    return sorted(p.kind for p in imported.problems)


def counts(imported: Imported, split: str = "test") -> dict[str, int]:
    """Images by level in one split of a dataset with one subset."""
    (entry,) = imported.dataset.counts()
    return entry[split]
