"""Runs, done by a worker in this process and by workers that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import CancelledError, WorkError
from mad_core.runs import import_job, probe
from mad_core.runs.estimating import from_probe
from mad_core.runs.in_process import do_here
from mad_core.runs.jobs import ImportJob, ProbeJob, submit
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.runs.worker import Worker
from mad_core.scorers.contract import Context, Item, Scored
from mad_core.settings import Settings

from .conftest import make_dataset
from .toy import Toy, register_toy


@pytest.fixture(autouse=True)
def toy() -> None:
    register_toy()


@pytest.fixture
def numbers(tmp_path: Path) -> Dataset:
    """A dataset of ``.npy`` files: the level is their mean, give or take."""
    dataset = make_dataset(per_level=8)
    table = dataset.table.copy()
    rng = np.random.default_rng(0)
    paths = []
    for row in table.itertuples():
        path = tmp_path / "files" / f"{row.image_id}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, (row.level + rng.normal(0, 0.3, (6, 8))).astype(np.float32))
        paths.append(str(path))
    table["path"] = paths
    return Dataset(dataset.name, table, dataset.card, dataset.source)


def ask(store: Store, numbers: Dataset, **parameters: float) -> Run:
    dataset_id = store.add_dataset(Imported(numbers))
    return store.request_run(RunRequest(dataset_id, "toy", {"wait": 0.0} | parameters))


def tried(store: Store, numbers: Dataset, **parameters: float) -> dict[str, Any]:
    dataset_id = store.add_dataset(Imported(numbers))
    job = submit(store.queue, ProbeJob(dataset_id, "toy", parameters))
    do_here(store, job, "cpu", lambda progress: None)
    return dict(store.queue.job(job).result or {})


def test_two_images_say_how_long_a_run_will_take_and_leave_nothing(store: Store, numbers: Dataset) -> None:
    result = tried(store, numbers, wait=0.02)
    assert 0.02 <= result["image"] < 1 and result["fit"] < 1
    assert store.runs() == [] and not list(store.settings.fits.glob("*"))
    least, most = from_probe({"fit": 2.0, "image": 0.5}, numbers, ["a"], 3)
    normals = len(numbers.select(split="train", subset="a"))
    assert (least, most) == (2.0 + 3 * 0.5, normals + 3 * 0.5)


def test_a_fit_that_takes_long_is_left_and_says_how_far_it_came(
    store: Store, numbers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "LONGEST", 0.01)
    result = tried(store, numbers, pause=0.03)
    assert result["image"] is None and 0.05 < result["fit"] < 2
    assert from_probe(result, numbers)[1] is None


def do(store: Store, run: Run) -> None:
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)


def expected(numbers: Dataset) -> dict[str, float]:
    """What the toy must score, computed here."""
    result = {}
    for subset in numbers.subsets:
        normals = [np.load(p).mean() for p in numbers.select(split="train", subset=subset)["path"]]
        for row in numbers.select(split="test", subset=subset).itertuples():
            result[row.image_id] = float(np.load(row.path).mean()) - float(np.mean([float(v) for v in normals]))
    return result


def test_a_run_is_scored_subset_by_subset_with_its_own_fit(store: Store, numbers: Dataset) -> None:
    run = ask(store, numbers)
    do(store, run)
    table = store.scores(run.id).set_index("image_id")["score"]
    assert table.to_dict() == pytest.approx(expected(numbers), abs=1e-12)
    done = store.run(run.id)
    assert (done.status, done.done, done.total) == ("done", 48, 48)
    assert done.record["versions"]["torch"]
    assert done.record["device"]["id"] == "cpu"
    assert {e.subset for e in store.run_subsets(run.id)} == {"a", "b"}


def test_maps_are_kept_beside_the_scores(store: Store, numbers: Dataset) -> None:
    run = ask(store, numbers)
    do(store, run)
    row = numbers.select(split="test", subset="b").iloc[5]
    kept = store.read_map(run, row["image_id"])
    assert kept is not None and kept.shape == (6, 8)
    normals = np.mean([np.load(p).mean() for p in numbers.select(split="train", subset="b")["path"]])
    assert np.allclose(kept, np.abs(np.load(row["path"]) - normals), atol=2e-3)


def test_a_fit_is_reused_and_asked_for_anew_when_its_data_change(store: Store, numbers: Dataset) -> None:
    run = ask(store, numbers)
    do(store, run)
    again = store.request_run(RunRequest(run.dataset_id, "toy", {"wait": 0.0}, limit=3))
    do(store, again)
    fits = next(Path(numbers.table["path"].iloc[0]).parent.glob("fits.txt"))
    assert fits.read_text() == "xx"  # one a subset, none for the second run
    changed = numbers.table.assign(content_hash=numbers.table["content_hash"] + "new")
    other = ask(store, Dataset("changed", changed, numbers.card, "elsewhere"))
    do(store, other)
    assert fits.read_text() == "xxxx"


def test_an_unreadable_image_fails_alone(store: Store, numbers: Dataset) -> None:
    bad = numbers.select(split="test", subset="a").iloc[3]
    Path(bad["path"]).write_bytes(b"not an image")
    run = ask(store, numbers)
    do(store, run)
    table = store.scores(run.id).set_index("image_id")
    assert np.isnan(table.loc[bad["image_id"], "score"])
    assert "cannot be read" in table.loc[bad["image_id"], "reason"]
    assert table["score"].notna().sum() == 47
    assert store.run(run.id).status == "done"


def test_a_subset_without_normals_is_a_sentence(store: Store, numbers: Dataset) -> None:
    tests_only = numbers.table[numbers.table["split"] == "test"].reset_index(drop=True)
    run = ask(store, Dataset("bare", tests_only, numbers.card, "bare"))
    with pytest.raises(WorkError, match="no training normals"):
        do(store, run)
    assert store.run(run.id).status == "failed"
    assert "no training normals" in (store.run(run.id).error or "")


def test_cancel_keeps_what_is_scored_and_resume_goes_on(store: Store, numbers: Dataset) -> None:
    run = ask(store, numbers, wait=0.05)
    job = store.queue.active_for(run.job_key)
    assert job is not None

    def cancel_soon(progress: dict[str, object]) -> None:
        if progress.get("phase") == "scoring":
            store.cancel_run(run.id)

    started = time.monotonic()
    with pytest.raises(CancelledError):
        do_here(store, job.id, "cpu", cancel_soon)
    assert time.monotonic() - started < 60
    stopped = store.run(run.id)
    assert stopped.status == "cancelled"
    assert 0 < stopped.done < 48
    before = store.scores(run.id).set_index("image_id")["score"].to_dict()
    store.resume_run(run.id)
    do(store, run)
    after = store.scores(run.id).set_index("image_id")["score"].to_dict()
    assert store.run(run.id).status == "done"
    assert before.items() <= after.items()
    assert after == pytest.approx(expected(numbers), abs=1e-12)


def test_an_uploaded_image_is_served_between_batches_without_changing_the_run(store: Store, numbers: Dataset) -> None:
    first = ask(store, numbers)
    do(store, first)
    long = store.request_run(RunRequest(first.dataset_id, "toy", {"wait": 0.05}))
    single = 0

    def upload_soon(progress: dict[str, object]) -> None:
        nonlocal single
        if progress.get("phase") == "scoring" and not single:
            path = numbers.select(split="test", subset="a")["path"].iloc[20]
            payload = {"run": first.id, "subset": "a", "path": path, "map": f"{path}.map"}
            single = store.queue.submit("single", payload, quick=True)

    job = store.queue.active_for(long.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", upload_soon)
    answer = store.queue.job(single)
    ended = store.queue.job(job.id).finished
    assert answer.status == "done" and answer.result is not None
    assert answer.finished is not None and ended is not None and answer.finished < ended
    image_id = numbers.select(split="test", subset="a")["image_id"].iloc[20]
    assert answer.result["score"] == pytest.approx(expected(numbers)[image_id], abs=1e-12)
    assert store.scores(long.id).set_index("image_id")["score"].to_dict() == pytest.approx(expected(numbers), abs=1e-12)


def test_a_dataset_is_imported_between_batches_and_can_be_cancelled_by_itself(
    store: Store, numbers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: object, progress: Callable[[int, int], None], **__: object) -> None:
        for step in range(1000):
            progress(step, 1000)
            time.sleep(0.02)

    monkeypatch.setattr(import_job, "import_dataset", endless)
    long = ask(store, numbers, wait=0.05)
    imports: list[int] = []

    def import_soon(progress: dict[str, object]) -> None:
        if progress.get("phase") == "scoring" and not imports:
            imports.append(submit(store.queue, ImportJob("/pictures", look=True)))
        elif imports and store.queue.job(imports[0]).progress.get("done"):
            store.queue.request_cancel(imports[0])

    job = store.queue.active_for(long.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", import_soon)
    cancelled, ended = store.queue.job(imports[0]), store.queue.job(job.id)
    assert (cancelled.status, ended.status) == ("cancelled", "done")
    assert cancelled.finished is not None and ended.finished is not None and cancelled.finished < ended.finished
    assert store.scores(long.id).set_index("image_id")["score"].to_dict() == pytest.approx(expected(numbers), abs=1e-12)


def test_an_uploaded_image_comes_back_with_reason_distribution_and_details(
    store: Store, numbers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask(store, numbers)
    do(store, run)

    def tell(self: Toy, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            yield Scored(item.image_id, 7.0, reason="So.", distribution=np.eye(101)[7], detail={"written": 8})

    monkeypatch.setattr(Toy, "score", tell)
    path = numbers.select(split="test", subset="a")["path"].iloc[3]
    payload = {"run": run.id, "subset": "a", "path": path, "map": f"{path}.map"}
    job = store.queue.submit("single", payload, quick=True)
    do_here(store, job, "cpu", lambda progress: None)
    result = store.queue.job(job).result
    assert result is not None
    assert (result["score"], result["reason"], result["detail"]) == (7.0, "So.", {"written": 8})
    assert result["distribution"] == np.eye(101)[7].tolist()


def test_an_uploaded_image_does_not_wait_for_the_end_of_a_fit(store: Store, numbers: Dataset) -> None:
    first = ask(store, numbers)
    do(store, first)
    long = store.request_run(RunRequest(first.dataset_id, "toy", {"pause": 1.0}))
    single = 0

    def upload_soon(progress: dict[str, object]) -> None:
        nonlocal single
        if progress.get("phase") == "fitting" and not single:
            path = numbers.select(split="test", subset="a")["path"].iloc[20]
            single = store.queue.submit(
                "single", {"run": first.id, "subset": "a", "path": path, "map": f"{path}.map"}, quick=True
            )

    job = store.queue.active_for(long.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", upload_soon)
    answer = store.queue.job(single)
    assert answer.status == "done" and answer.finished is not None
    assert answer.finished < store.scores(long.id)["created"].min()
    assert store.scores(long.id).set_index("image_id")["score"].to_dict() == pytest.approx(expected(numbers), abs=1e-12)


def test_a_stopped_worker_gives_its_job_back(settings: Settings, store: Store, numbers: Dataset) -> None:
    run = ask(store, numbers, wait=0.05)
    worker = Worker(settings, "cpu", lambda progress: worker.stopping.set() if progress.get("done") else None)
    job = store.queue.claim(worker.id, worker.devices)
    assert job is not None
    worker.do(job)
    worker.close()
    back = store.queue.job(job.id)
    assert (back.status, back.attempts) == ("queued", 0)
    assert store.run(run.id).status == "queued"
    do(store, run)
    assert store.run(run.id).done == 48


@pytest.fixture
def spawn(settings: Settings) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start worker processes that know the toy; they are ended afterwards."""
    started: list[subprocess.Popen[bytes]] = []
    root = Path(__file__).resolve().parents[2]

    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, "MAD_HOME": str(settings.home)}
        process = subprocess.Popen([sys.executable, "-m", "tests.engine.toy"], cwd=root, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_worker_killed_again_and_again_loses_doubles_and_changes_nothing(
    store: Store, numbers: Dataset, spawn: Callable[[], subprocess.Popen[bytes]]
) -> None:
    run = ask(store, numbers, wait=0.1)
    seen: dict[str, float] = {}
    for _ in range(3):
        worker = spawn()
        reached = store.run(run.id).done + 8
        wait_until(lambda r=reached: store.run(run.id).done >= r)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        now = store.scores(run.id).set_index("image_id")["score"].to_dict()
        assert seen.items() <= now.items()
        seen = now
    assert len(seen) < 48
    spawn()
    wait_until(lambda: store.run(run.id).status == "done")
    final = store.scores(run.id)
    assert final["image_id"].is_unique
    assert seen.items() <= final.set_index("image_id")["score"].to_dict().items()
    assert final.set_index("image_id")["score"].to_dict() == pytest.approx(expected(numbers), abs=1e-12)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="drivers are looked for in Linux's /dev")
def test_torch_is_asked_for_graphics_cards_only_where_a_driver_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from mad_core.machine import devices

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(devices, "DRIVERS", ("no such driver*",))
    facts = devices.facts(devices.resolve("auto"))
    assert (facts["devices"], facts["threads"]) == (["cpu"], None) and "torch" not in sys.modules
    monkeypatch.setattr(devices, "DRIVERS", ("nul*",))
    assert devices._has_driver()


def test_a_device_has_one_worker(store: Store, spawn: Callable[[], subprocess.Popen[bytes]]) -> None:
    first = spawn()
    wait_until(lambda: any(w.alive for w in store.queue.workers()))
    second = spawn()
    assert second.wait(300) == 3
    assert first.poll() is None
    first.terminate()
    assert first.wait(120) == 0
    assert not any(w.alive for w in store.queue.workers())
