"""Bad days: processes that are killed, disks that are full, a database that is busy, memory that runs out.

After each fault nothing is lost, doubled or wrong, and where the work had to stop one sentence says why. Prints how
many rounds there were.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mad_core.datasets.importing import import_dataset
from mad_core.errors import WorkError
from mad_core.runs.in_process import do_here
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings
from tests.engine.chat_server import Answer, judge, serving

from .toy_hungry import too_large
from .workshop import Bench, numbers, nursery, wait_until

pytestmark = [pytest.mark.hard, pytest.mark.timeout(1800)]
KILLS, RACES = 120, 10
DISKS, BUSY, CLOSED, CUT = 12, 6, 6, 60


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(Settings.from_environment({"MAD_HOME": str(tmp_path / "home")}))
    yield opened
    opened.close()


def test_a_worker_killed_at_random_moments(store: Store, tmp_path: Path, record_property: object) -> None:
    draw = random.Random(0)
    bench = Bench.of(store, numbers(tmp_path / "files", 500), wait=0.03)
    given_up = 0
    with nursery(store.settings) as workers:
        for _ in range(KILLS):
            pid = workers.bear()
            time.sleep(draw.uniform(0.05, 1.2))
            workers.kill(pid)
            bench.holds()
            run = store.run(bench.run.id)
            if run.status == "done":
                store.request_run(_request(bench), force=True)
                bench.seen = {}
            elif run.status == "failed":  # it died too often in a row
                assert "died" in str(run.error)
                store.resume_run(run.id)
                given_up += 1
        _finish(bench, workers)
    print(f"{KILLS} workers killed; the work was given up {given_up} times and resumed")


def test_two_workers_race_for_one_queue(store: Store, tmp_path: Path) -> None:
    data = numbers(tmp_path / "files", 2, ("a",))
    with nursery(store.settings) as workers:
        racers = [workers.bear("racer") for _ in range(2)]
        for turn in range(RACES):
            benches = [Bench.of(store, data, wait=0.001 * (turn * 5 + k)) for k in range(5)]
            wait_until(lambda some=benches: all(b.status == "done" for b in some), what="five runs")
            for bench in benches:
                bench.finished()
                job = store.queue.latest_for(bench.run.job_key)
                assert job is not None
                assert job.attempts == 1
        for pid in racers:
            workers.kill(pid, signal.SIGTERM)
    print(f"{RACES} races of two workers for five runs each")


def test_a_full_disk(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", "12m") as disk:
        store = Store(Settings.from_environment({"MAD_HOME": str(disk / "home")}))
        draw, told = random.Random(1), []
        bench = Bench.of(store, numbers(tmp_path / "files", 100), wait=0.001)
        with nursery(store.settings) as workers:
            for _ in range(DISKS):
                _fill(disk, draw.randrange(0, 300_000))
                workers.bear()
                wait_until(lambda: bench.status == "done" or _stuck(store, bench), 60, "a full disk or the end")
                bench.holds()
                (disk / "filler").unlink()
                wait_until(lambda: bench.status in ("done", "failed"), 60, "the worker to go on")
                told.append(str(store.run(bench.run.id).error))
                workers.kill(workers.born[-1], signal.SIGTERM)
                bench.holds()
                if bench.status == "done":
                    store.request_run(_request(bench), force=True)
                    bench.seen = {}
                else:
                    assert "disk" in told[-1] or "space" in told[-1], told[-1]
                    store.resume_run(bench.run.id)
            _finish(bench, workers)
        store.close()
    print(f"{DISKS} full disks; the run said so {sum(t != 'None' for t in told)} times")


def test_a_busy_database(store: Store, tmp_path: Path) -> None:
    """Somebody holds the write lock longer than a worker waits for it."""
    bench = Bench.of(store, numbers(tmp_path / "files", 60), wait=0.01)
    told = []
    with nursery(store.settings) as workers:
        for turn in range(BUSY):
            workers.bear()
            time.sleep(0.3 + 0.1 * turn)
            with closing(sqlite3.connect(store.settings.home / "mad.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                time.sleep(4)
                other.execute("ROLLBACK")
            wait_until(lambda: bench.status in ("done", "failed"), 60, "the worker to go on")
            told.append(store.run(bench.run.id).error)
            workers.kill(workers.born[-1], signal.SIGTERM)
            bench.holds()
            if bench.status == "failed":
                assert "locked" in str(told[-1]), told[-1]
                store.resume_run(bench.run.id)
            else:
                store.request_run(_request(bench), force=True)
                bench.seen = {}
        _finish(bench, workers)
    print(f"{BUSY} busy databases; the run said so {sum(t is not None for t in told)} times")


def test_a_folder_of_maps_that_cannot_be_written(store: Store, tmp_path: Path) -> None:
    bench = Bench.of(store, numbers(tmp_path / "files", 60), wait=0.01)
    store.settings.maps.mkdir(parents=True)
    with nursery(store.settings) as workers:
        for turn in range(CLOSED):
            with _read_only(store.settings.maps):
                pid = workers.bear()
                wait_until(lambda: bench.status == "failed", 60, "the run to say that it cannot go on")
                workers.kill(pid, signal.SIGTERM)
                error = str(store.run(bench.run.id).error)
                assert "anomaly map cannot be written" in error, error
                bench.holds()
            store.resume_run(bench.run.id)
            pid = workers.bear()
            if turn < CLOSED - 1:
                wait_until(lambda: len(store.scores(bench.run.id)) > len(bench.seen), 60, "further scores")
                workers.kill(pid)
                bench.holds()
        wait_until(lambda: bench.status == "done", 120, "the end")
        bench.finished()
    print(f"{CLOSED} times the maps could not be written")


def test_a_gpu_that_runs_out_of_memory(store: Store, tmp_path: Path) -> None:
    data = numbers(tmp_path / "files", 8)
    paths = data.select(split="test", subset="a")["path"].tolist()
    bench = Bench.of(store, data, "hungry")
    with nursery(store.settings) as workers:
        workers.bear()
        for path in paths[3:7]:
            too_large(path).touch()
            store.request_run(_request(bench, "hungry"), force=True)
            bench.seen = {}
            wait_until(lambda: bench.status == "failed", 60, "the run to say that memory ran out")
            error = str(store.run(bench.run.id).error)
            assert "memory" in error
            assert "resume the run" in error
            bench.holds()
            assert len(bench.seen) >= 24  # the other subset is scored all the same
            too_large(path).unlink()
        store.resume_run(bench.run.id)
        wait_until(lambda: bench.status == "done", 60, "the end")
        bench.finished()
    print("4 times the memory of a GPU ran out")


def test_an_endpoint_that_is_cut_in_mid_answer(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers end after a random number of bytes; what is lost is asked again, and no half answer is a score."""
    draw = random.Random(3)
    folder = tmp_path / "grey"
    for place, greys in (
        ("train/good", range(240, 244)),
        ("test/good", range(220, 240)),
        ("test/x_level_1", range(90, 110)),
    ):
        (folder / place).mkdir(parents=True)
        for grey in greys:
            Image.fromarray(np.full((40, 60, 3), grey, np.uint8)).save(folder / place / f"{grey}.png")
    cuts = [draw.randrange(600) if draw.random() < 0.5 else None for _ in range(CUT)]

    def behaviour(request: dict[str, Any], number: int) -> Answer:
        answer = judge(request, number)
        answer.cut = cuts[number] if number < len(cuts) else None
        return answer

    with serving(behaviour) as server:
        monkeypatch.setenv("MAD_ENDPOINT_URL", server.url)
        dataset = store.add_dataset(import_dataset(folder, store.settings))
        info = catalog.scorer("endpoint")
        parameters = info.check({"model": "canned-1", "retries": 0, "concurrency": 1})
        run = store.request_run(RunRequest(dataset, "endpoint", parameters, device="cpu"))
        rounds = 0
        while store.run(run.id).status != "done" or (store.scores(run.id)["status"] != "ok").any():
            job = store.queue.active_for(run.job_key)
            with contextlib.suppress(WorkError):
                do_here(
                    store, job.id if job else store.resume_run(run.id, retry_failed=True), "cpu", lambda progress: None
                )
            table = store.scores(run.id)
            assert table["image_id"].is_unique
            assert set(table["status"]) <= {"ok", "server-error"}
            assert table.loc[table["status"] != "ok", "score"].isna().all()
            rounds += 1
            assert rounds < 40
        paths = dict(zip(store.dataset(dataset).table["image_id"], store.dataset(dataset).table["path"], strict=True))
        for row in store.scores(run.id).itertuples():
            dark = round(100 - int(Path(paths[str(row.image_id)]).stem) / 255 * 100)
            assert row.score == pytest.approx((0.6 * dark + 0.3 * min(100, dark + 2)) / 0.9)
    print(f"{sum(cut is not None for cut in cuts)} answers cut off; all images scored after {rounds} rounds")


# -- tools ------------------------------------------------------------------------------------------


def _request(bench: Bench, scorer: str = "toy") -> RunRequest:
    return RunRequest(bench.run.dataset_id, scorer, bench.run.parameters)


def _finish(bench: Bench, workers) -> None:
    """Let the work end in peace and look at all of it."""
    if bench.status in ("failed", "cancelled"):
        bench.store.resume_run(bench.run.id)
    pid = workers.bear()

    def done() -> bool:
        if bench.status == "failed" and "died" in str(bench.store.run(bench.run.id).error):
            bench.store.resume_run(bench.run.id)
        return bench.status == "done"

    wait_until(done, 300, "the end of the run")
    workers.kill(pid, signal.SIGTERM)
    bench.finished()


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _fill(disk: Path, leave: int) -> None:
    """Take all room of a disk but some bytes."""
    room = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - leave)))


def _stuck(store: Store, bench: Bench) -> bool:
    """Whether nothing new has come for a while."""
    before = len(store.scores(bench.run.id))
    time.sleep(1.5)
    return len(store.scores(bench.run.id)) == before


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """A folder that not even root can write to: root asks nobody for permission, a mount does."""
    try:
        subprocess.run(["mount", "--bind", folder, folder], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a folder cannot be mounted read-only here: {error}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
