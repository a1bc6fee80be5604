"""How a run grows over a Ray cluster, and where that stops.

``python -m tests.benchmarks.cluster``. A cluster of this machine gets more actors than it has processors; the scorer
waits a fixed time an image, as for a GPU, so the table shows what the worker adds, not how fast this machine computes.
Actors of one machine share its processors while they load, so a run of one shard an actor is timed first and taken off.
Measured as well: how many results a second the worker can write, with maps and without. From these comes the model

    seconds = start of an actor + images / min(actors / seconds an image, results written a second)

whose second part is printed beside what was measured; for multimodal models the start holds the prefix, which every
actor encodes once. Predicted before the first measurement: linear up to the writing limit. What came: with the start
left in, half of linear at four actors, as imports of torch fill two processors; without it, linear to two actors,
88 % at four and 61 % at eight, which then share the two processors with the worker, Ray and each other.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

from mad_core.cluster.scatter import SHARD
from mad_core.datasets.dataset import Dataset, Imported
from mad_core.runs.in_process import do_here
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings
from tests import reaper
from tests.engine.conftest import make_dataset
from tests.engine.toy import register_toy

ACTORS = (1, 2, 4, 8)
IMAGES = 3_000
WAIT = 0.02
"""Seconds an image."""
WRITTEN = 2_000
NORMALS = 3
"""Training images of the dataset, which stand first."""


def main() -> None:
    reaper.guard()
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    register_toy()
    before = signal.getsignal(signal.SIGTERM)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        plain, mapped = (_written(home / f"writing-{maps}", maps=maps) for maps in (False, True))
        print(f"the worker writes {plain:,.0f} results a second, {mapped:,.0f} with maps of 256 x 256")
        ray.init(num_cpus=max(ACTORS), include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
        data = _numbers(home / "files")
        best = f"images a second once they are ready ({1 / WAIT:.0f} an actor at best)"
        print(f"| actors | all ready after | {best} | of linear | by the model |\n|---|---|---|---|---|")
        one = None
        for actors in ACTORS:
            first = SHARD * actors
            ready = _seconds(home / f"{actors}-first", data.table.iloc[: first + NORMALS], data, actors)
            rate = (IMAGES - first) / (_seconds(home / str(actors), data.table, data, actors) - ready)
            one = one or rate
            model = min(actors / WAIT, mapped)
            print(
                f"| {actors} | {ready - SHARD * WAIT:.1f} s | {rate:.0f} | {rate / (one * actors):.0%} | {model:.0f} |"
            )
        ray.shutdown()
        signal.signal(signal.SIGTERM, before)


def _numbers(folder: Path) -> Dataset:
    """Images for the toy scorer: small arrays of numbers."""
    dataset = make_dataset(subsets=("a",), per_level=IMAGES // 3)
    table = dataset.table.copy()
    folder.mkdir()
    rng = np.random.default_rng(0)
    table["path"] = [str(folder / f"{image_id}.npy") for image_id in table["image_id"]]
    for path in table["path"]:
        np.save(path, rng.normal(0, 1, (64, 64)).astype(np.float32))
    return Dataset(dataset.name, table, dataset.card, dataset.source)


def _seconds(home: Path, rows: object, data: Dataset, actors: int) -> float:
    """Wall seconds of a run with so many actors, its fit left out."""
    os.environ["MAD_RAY_ACTORS"] = str(actors)
    store = Store(Settings.from_environment({"MAD_HOME": str(home), "MAD_EXECUTOR": "ray"}))
    dataset = store.add_dataset(Imported(Dataset(data.name, rows, data.card, data.source)))  # type: ignore[arg-type]
    run = store.request_run(RunRequest(dataset, "toy", {"wait": WAIT, "pause": 0.0}))
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    seconds = store.run_subsets(run.id)[0].seconds_score
    store.close()
    return seconds


def _written(home: Path, *, maps: bool) -> float:
    """Results a second that one process writes into the store, in batches as a run does."""
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    dataset = store.add_dataset(Imported(make_dataset(subsets=("a",), per_level=WRITTEN // 3 + 1)))
    run = store.request_run(RunRequest(dataset, "toy", {"wait": 0.0, "pause": 0.0}))
    ids = store.dataset(dataset).select(split="test")["image_id"].tolist()[:WRITTEN]
    anomaly_map = np.random.default_rng(0).random((256, 256), dtype=np.float32)
    begin = time.perf_counter()
    for at in range(0, WRITTEN, 32):
        batch = []
        for slot, image_id in enumerate(ids[at : at + 32], at):
            ref = store.maps.write(run.id, "a", slot, anomaly_map, 256) if maps else None
            batch.append((Scored.of(image_id, 0.5, None, 0.01), ref))
        store.add_scores(run.id, "a", batch)
    seconds = time.perf_counter() - begin
    store.close()
    return WRITTEN / seconds


if __name__ == "__main__":
    main()
