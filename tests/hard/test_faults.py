"""Bad days: processes that are killed, disks that are full, a database that is busy, memory that runs out.

After each fault nothing is lost, doubled or wrong, and where the work had to stop one sentence says why. Prints how
many rounds there were.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mad_core.runs.store import Store
from mad_core.settings import Settings

from .toy_hungry import too_large
from .workshop import Bench, numbers, nursery, wait_until

pytestmark = [pytest.mark.hard, pytest.mark.timeout(1800)]
KILLS, RACES = 120, 10
DISKS, BUSY, CLOSED = 12, 6, 6


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
    with _small_disk(tmp_path / "disk", "4m") as disk:
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


# -- tools ------------------------------------------------------------------------------------------


def _request(bench: Bench, scorer: str = "toy"):
    from mad_core.runs.store import RunRequest

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
