"""A small benchmark root with all six datasets, laid out as published; darker images are less severe."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
FOLDERS: Mapping[str, tuple[str, str, tuple[tuple[str, float], ...]]] = {
    "mvtec_bottle": (
        "Industry/mvtec/bottle",
        "train/good",
        (("good_level_0", 0), ("contamination_level_1", 1), ("broken_large_level_3", 3)),
    ),
    "mvtec_metal_nut": (
        "Industry/mvtec/metal_nut",
        "train/good",
        (("good_level_0", 0), ("scratch_level_1", 1), ("bent_level_2", 2)),
    ),
    "visa_pcb1": ("Industry/visa/pcb1", "train/good", (("good_level_0", 0), ("melt,scratch_level_2", 2))),
    "covid19": (
        "Medical/covid19",
        "level_0_train",
        (("level_0_test", 0), ("level_0.5", 0.5), ("level_1.0", 1), ("level_2.0", 2)),
    ),
    "diabetic-retinopathy": (
        "Medical/diabetic-retinopathy",
        "level_0_train",
        (("level_0_test", 0), ("level_1", 1), ("level_2", 2)),
    ),
    "skin-lesion": ("Medical/skin-lesion", "level_0_train", (("level_0_test", 0), ("NV", 1), ("MEL", 3))),
    "multidog_teddy": (
        "OneClassNovelty/multidog",
        "level_0_train/teddy",
        (("level_0_test/teddy", 0), ("level_1/other_dogs", 1), ("level_2/cats", 2)),
    ),
}
"""Subset, as imported: its folder, its training normals, its test folders with their levels."""


def make_benchmark(root: Path, per_level: int = 4) -> Path:
    """Draw the tree below ``root / "data"`` and return that folder; ``per_level`` test images a level."""
    data, rng = root / "data", np.random.default_rng(3)
    for subset, (folder, train, tests) in FOLDERS.items():
        inner = "test/" if train == "train/good" else ""
        suffix = ".JPG" if subset.startswith("visa") else ".png"
        for i in range(2):
            _draw(data / folder / train / f"{i:03}{suffix}", 40, rng)
        rows = []
        for name, level in tests:
            for i in range(per_level):
                file = f"COVID-19 ({i})" if subset == "covid19" else f"{i:03}"
                path = f"{name}/{file}{suffix}"
                _draw(data / folder / inner / path, 40 + 30 * level, rng)
                rows.append((path, level))
        template = data / "template" / f"{subset}_template.csv"
        template.parent.mkdir(parents=True, exist_ok=True)
        with template.open("w", newline="") as file:
            csv.writer(file).writerows([("Path", "Severity"), *rows])
    return data


def _draw(path: Path, grey: float, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(grey + rng.normal(0, 12) + rng.normal(0, 8, (SIDE, SIDE)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, "JPEG" if path.suffix.lower() == ".jpg" else "PNG")
