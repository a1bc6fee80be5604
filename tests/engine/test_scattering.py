"""Runs spread over a real local Ray cluster of several processes, some of which are lost on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from mad_core.cluster import connection, scatter
from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import CancelledError, UnavailableError, WorkError
from mad_core.runs.in_process import do_here
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings

from .conftest import make_dataset
from .toy import register_toy
from .toy_cluster import asked, fatal, fatal_once, register_mortal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A cluster of two processors that ends with this module."""
    ray = pytest.importorskip("ray", reason=connection.NEEDS)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - other work on this machine is no reason to wait for minutes
    before = signal.getsignal(signal.SIGTERM)
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", _node_ip_address="127.0.0.1"
    )
    yield ray
    ray.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def scattered(tmp_path: Path, ray: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose runs go to the cluster, in shards of four."""
    register_toy()
    register_mortal()
    monkeypatch.setattr(scatter, "SHARD", 4)
    opened = Store(Settings.from_environment({"MAD_HOME": str(tmp_path / "home"), "MAD_EXECUTOR": "ray"}))
    yield opened
    opened.close()


@pytest.fixture
def numbers(tmp_path: Path) -> Dataset:
    """A dataset of ``.npy`` files: the level is their mean, give or take."""
    dataset = make_dataset(per_level=8)
    table = dataset.table.copy()
    rng = np.random.default_rng(0)
    (tmp_path / "files").mkdir()
    table["path"] = [str(tmp_path / "files" / f"{image_id}.npy") for image_id in table["image_id"]]
    for path, level in zip(table["path"], table["level"], strict=True):
        np.save(path, (level + rng.normal(0, 0.3, (6, 8))).astype(np.float32))
    return Dataset(dataset.name, table, dataset.card, dataset.source)


def ask(store: Store, numbers: Dataset, scorer: str = "mortal", **parameters: float) -> Run:
    dataset_id = store.add_dataset(Imported(numbers))
    return store.request_run(RunRequest(dataset_id, scorer, {"wait": 0.0, "pause": 0.0} | parameters))


def do(store: Store, run: Run) -> Run:
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    return store.run(run.id)


def test_scores_maps_and_fit_are_those_of_one_machine(scattered: Store, numbers: Dataset, tmp_path: Path) -> None:
    run = do(scattered, ask(scattered, numbers, "toy"))
    local = Store(Settings.from_environment({"MAD_HOME": str(tmp_path / "other")}))
    alone = do(local, ask(local, numbers, "toy"))
    here, there = (s.scores(r.id).set_index("image_id")["score"] for s, r in ((scattered, run), (local, alone)))
    assert here.to_dict() == there.to_dict()
    assert len(here) == run.done == run.total == 48
    image = numbers.select(split="test")["image_id"].iloc[0]
    maps = [s.read_map(s.run(r.id), image) for s, r in ((scattered, run), (local, alone))]
    assert maps[0] is not None
    np.testing.assert_array_equal(*maps)
    facts = scattered.run_subsets(run.id)[0].facts
    assert facts["cluster"] == {"actors": 2, "nodes": 1, "lost": 0}
    assert facts["peak_memory"] is None  # another process did the work
    assert run.record["device"]["name"] == "Ray cluster, 2 x processor"
    local.close()


def test_a_lost_process_costs_its_unfinished_shard_only(scattered: Store, numbers: Dataset) -> None:
    run = ask(scattered, numbers)
    paths = numbers.select(split="test", subset="a")["path"].tolist()
    fatal_once(paths[5]).touch()
    run = do(scattered, run)
    assert (run.status, run.done) == ("done", 48)
    assert set(scattered.scores(run.id)["status"]) == {"ok"}
    assert {e.subset: e.facts["cluster"]["lost"] for e in scattered.run_subsets(run.id)}["a"] == 1
    again = [p for p in numbers.select(split="test")["path"] if len(asked(p).read_text()) > 1]
    assert 1 <= len(again) <= 2 * 4  # the shard at work, and the one that waited behind it


def test_an_image_that_ends_every_process_is_a_failed_image(scattered: Store, numbers: Dataset) -> None:
    run = ask(scattered, numbers)
    row = numbers.select(split="test", subset="b").iloc[3]
    fatal(row["path"]).touch()
    run = do(scattered, run)
    table = scattered.scores(run.id).set_index("image_id")
    assert (run.status, run.done) == ("done", 48)
    assert table.loc[row["image_id"], "status"] == "worker-lost"
    assert np.isnan(table.loc[row["image_id"], "score"])
    assert (table["status"] != "ok").sum() == 1


def test_killed_processes_of_the_cluster_lose_nothing(scattered: Store, numbers: Dataset) -> None:
    run = ask(scattered, numbers, wait=0.2)
    job = scattered.queue.active_for(run.job_key)
    killed: list[int] = []

    def kill_some(progress: dict[str, Any]) -> None:
        if progress.get("done", 0) >= 4 + 12 * len(killed) and len(killed) < 3:
            actors = [p for p in psutil.process_iter() if _is_actor(p)]
            for process in actors[:1]:
                process.kill()
                killed.append(process.pid)

    assert job is not None
    do_here(scattered, job.id, "cpu", kill_some)
    run = scattered.run(run.id)
    assert killed
    assert (run.status, run.done) == ("done", 48)
    assert scattered.scores(run.id)["image_id"].is_unique


def _is_actor(process: psutil.Process) -> bool:
    try:
        return "ray::Actor" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_cancel_and_resume_are_as_on_one_machine(scattered: Store, numbers: Dataset) -> None:
    run = ask(scattered, numbers, wait=0.2)
    job = scattered.queue.active_for(run.job_key)
    assert job is not None

    def cancel_soon(progress: dict[str, Any]) -> None:
        if progress.get("done", 0) >= 4:
            scattered.cancel_run(run.id)

    with pytest.raises(CancelledError):
        do_here(scattered, job.id, "cpu", cancel_soon)
    some = scattered.run(run.id)
    assert some.status == "cancelled"
    assert 4 <= some.done < 48
    scattered.resume_run(run.id)
    assert do(scattered, scattered.run(run.id)).done == 48
    scored = [len(asked(p).read_text()) for p in numbers.select(split="test")["path"]]
    assert sum(scored) - 48 <= 2 * 2 * 4  # what two processes had at hand


def test_what_a_scorer_says_on_the_cluster_is_said_here(
    scattered: Store, numbers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = replace(catalog.scorer("mortal"), entry="tests.engine.toy_cluster:Nowhere")
    monkeypatch.setitem(catalog._CATALOG, "mortal", info)
    with pytest.raises(WorkError, match="Nowhere"):
        do(scattered, ask(scattered, numbers))


def test_a_cluster_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason=connection.NEEDS)

    def refuse(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance at 10.0.0.9:6379.\nmore")

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UnavailableError, match=r"10\.0\.0\.9:6379 does not answer: Could not find"):
        connection.connected()


def test_work_that_lies_with_a_server_or_with_stored_runs_stays_here() -> None:
    assert scatter.scatters(catalog.scorer("filterbank"), catalog.scorer("filterbank").defaults())
    assert not scatter.scatters(catalog.scorer("endpoint"), catalog.scorer("endpoint").defaults())
    assert not scatter.scatters(catalog.scorer("hybrid"), catalog.scorer("hybrid").defaults())
