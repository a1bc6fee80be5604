"""What the tests of object storage share: a tree of drawn parts, and the scores of an imported dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mad_core.datasets.dataset import Imported
from mad_core.runs.in_process import do_here
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings


def draw(root: Path, defect: str, name: str = "{}.png") -> Path:
    """Four training normals, three test normals and three images of ``defect``."""
    rng = np.random.default_rng(0)
    for place, count in (("train/good", 4), ("test/good", 3), (f"test/{defect}", 3)):
        (root / place).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / place / name.format(i))
    return root


def scores_of(imported: Imported, home: Path) -> pd.Series:
    """The filter bank's score of each image, by id, in a store of its own."""
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    dataset = store.add_dataset(imported)
    request = RunRequest(dataset, "filterbank", catalog.scorer("filterbank").check({}), device="cpu")
    run = store.request_run(request)
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    table = store.scores(run.id)
    scores = pd.Series(table["score"].to_numpy(), table["image_id"].to_numpy()).sort_index()
    store.close()
    return scores
