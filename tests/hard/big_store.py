"""A store as large as a line camera makes one in a month: rows, scores of two runs, and a handful of pictures."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.images import content_hash
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings

SUBSETS = ("a", "b", "c", "d")
LEVELS = 5
PICTURES = 10
BATCH = 2_000


def fill(home: Path, images: int) -> str:
    """Fill a store with a dataset of so many images in four subsets and two finished runs; gives the dataset's id.

    One image in 25 is a training normal, the others are spread over five levels; all rows show one of ten pictures.
    """
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    rng = np.random.default_rng(0)
    rows = _rows(home, images, rng)
    dataset = store.add_dataset(Imported(Dataset.from_rows("parts", rows, Card(), str(home))))
    for spread, title in ((1.0, "Careful"), (2.0, "Hasty")):
        parameters = {"note": title}
        run = store.request_run(RunRequest(dataset, "filterbank", parameters, map_policy="none", title=title))
        for subset in SUBSETS:
            tests = [row for row in rows if row["subset"] == subset and row["split"] == "test"]
            scores = [row["level"] + rng.normal(0, spread) for row in tests]
            results = [(Scored.of(r["image_id"], s, None, 0.01), None) for r, s in zip(tests, scores, strict=True)]
            for start in range(0, len(results), BATCH):
                store.add_scores(run.id, subset, results[start : start + BATCH])
        for job in store.queue.active():
            store.queue.request_cancel(job.id)
        store.update_run(run.id, status="done", finished=time.time())
    store.close()
    return dataset


def _rows(home: Path, images: int, rng: np.random.Generator) -> list[dict[str, object]]:
    pictures = []
    for i in range(PICTURES):
        path = home / f"{i}.jpg"
        Image.fromarray(rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)).save(path)
        pictures.append((str(path), content_hash(path)))
    rows: list[dict[str, object]] = []
    for i in range(images):
        subset, number = SUBSETS[i % len(SUBSETS)], i // len(SUBSETS)
        training = number % 25 == 0
        level = 0 if training else number % LEVELS
        name = f"{'train' if training else 'test'}/level_{level}/{number:05d}.jpg"
        path, digest = pictures[i % PICTURES]
        rows.append(
            {
                "image_id": image_id(subset, name),
                "content_hash": digest,
                "path": path,
                "template_path": name,
                "split": "train" if training else "test",
                "subset": subset,
                "level": float(level),
                "defect": ("scratch", "dent")[number % 2] if level else None,
                "mask_path": None,
                "width": 96,
                "height": 96,
            }
        )
    return rows
