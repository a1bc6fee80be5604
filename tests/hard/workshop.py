"""What the tests of bad days share: a store, a run whose every score is known, workers to kill, and what must hold."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import psutil
import pytest

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.settings import Settings
from tests.engine.conftest import make_dataset
from tests.engine.toy import register_toy

from .toy_hungry import register_hungry

ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], bool], seconds: float = 120, what: str = "it") -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    """What a command said, and what it took: seconds by the clock and of the processor, megabytes at most."""

    out: str
    seconds: float
    cpu: float
    megabytes: float


def mad(arguments: list[str], home: Path, *, status: int = 0) -> Answer:
    """Run ``python -m mad_core``; it must end with ``status`` and without a traceback."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.perf_counter()
        command = [sys.executable, "-m", "mad_core", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "MAD_HOME": str(home)}, stdout=out, stderr=err)
        _, ended, used = os.wait4(process.pid, 0)
        seconds, process.returncode = time.perf_counter() - begin, os.waitstatus_to_exitcode(ended)
        said, wrong = ((f.seek(0), f.read().decode(errors="replace"))[1] for f in (out, err))
    assert process.returncode == status and "Traceback" not in wrong, wrong[-2000:]
    return Answer(said, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


class App:
    """``streamlit run app.py`` on a store, and the worker that it starts."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings, self.log = settings, log
        self.process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server where it is not there, and wait until it answers."""
        if not self.alive:
            command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
            environment = {**os.environ, "MAD_HOME": str(self.settings.home), "OMP_NUM_THREADS": "1"}
            with self.log.open("ab") as out:
                self.process = subprocess.Popen(
                    [*command, f"--server.port={self.port}"], cwd=ROOT, env=environment, stdout=out, stderr=out
                )
        wait_until(self._answers, what="the server")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_stcore/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.alive:
            assert self.process is not None
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            self.process.kill()


@dataclass
class Nursery:
    """Bears workers on one store, and knows which of them live."""

    process: subprocess.Popen[str]
    born: list[int] = field(default_factory=list)

    def bear(self, kind: str = "worker") -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{kind}\n")
        self.process.stdin.flush()
        self.born.append(int(self.process.stdout.readline()))
        return self.born[-1]

    def kill(self, pid: int, signal: int = 9) -> None:
        """Send a signal and wait until the process is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal)
        wait_until(lambda: not psutil.pid_exists(pid), what="the end of a process")

    def close(self) -> None:
        for pid in self.born:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def nursery(settings: Settings) -> Iterator[Nursery]:
    environment = {
        **os.environ,
        "MAD_HOME": str(settings.home),
        "MAD_DATABASE_URL": settings.database_url,
        "OMP_NUM_THREADS": "1",
    }
    log = settings.home.parent / "nursery.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hard.nursery"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        )
        opened = Nursery(process)
        try:
            yield opened
        finally:
            opened.close()


def numbers(folder: Path, per_level: int, subsets: tuple[str, ...] = ("a", "b")) -> Dataset:
    """A dataset of ``.npy`` files for the toy: the level is their mean, give or take."""
    dataset = make_dataset(subsets=subsets, per_level=per_level)
    table = dataset.table.copy()
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    table["path"] = [str(folder / f"{image_id}.npy") for image_id in table["image_id"]]
    for path, level in zip(table["path"], table["level"], strict=True):
        np.save(path, (level + rng.normal(0, 0.3, (6, 8))).astype(np.float32))
    return Dataset(dataset.name, table, dataset.card, dataset.source)


@dataclass
class Bench:
    """A store with one run of a toy, and what each of its images must get."""

    store: Store
    dataset: Dataset
    run: Run
    seen: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, dataset: Dataset, scorer: str = "toy", **parameters: float) -> Bench:
        register_toy()
        register_hungry()
        dataset_id = store.add_dataset(Imported(dataset))
        request = RunRequest(dataset_id, scorer, {"wait": 0.0, "pause": 0.0} | parameters)
        return cls(store, dataset, store.request_run(request))

    @property
    def status(self) -> str:
        return self.store.run(self.run.id).status

    @cached_property
    def expected(self) -> dict[str, float]:
        """Computed here, without the code under test."""
        found = {}
        for subset in self.dataset.subsets:
            normals = [np.load(p).mean() for p in self.dataset.select(split="train", subset=subset)["path"]]
            middle = float(np.mean([float(v) for v in normals]))
            for row in self.dataset.select(split="test", subset=subset).itertuples():
                found[str(row.image_id)] = float(np.load(str(row.path)).mean()) - middle
        return found

    def holds(self) -> None:
        """Nothing lost, doubled or wrong, whatever happened just now."""
        known = self.expected
        table = self.store.scores(self.run.id)
        assert table["image_id"].is_unique
        now = table.set_index("image_id")["score"].to_dict()
        assert self.seen.items() <= now.items(), "a score that was there is gone or another one"
        assert now == pytest.approx({i: known[i] for i in now}, abs=1e-12)
        self._maps_hold(list(now)[:: max(1, len(now) // 20)])
        self.seen = now
        active = [j for j in self.store.queue.active() if j.key == self.run.job_key]
        assert len(active) <= 1
        if self.store.database.engine.dialect.name == "sqlite":
            with contextlib.closing(sqlite3.connect(self.store.settings.home / "mad.db")) as connection:
                assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]

    def _maps_hold(self, images: list[str]) -> None:
        known, paths = (
            self.expected,
            dict(zip(self.dataset.table["image_id"], self.dataset.table["path"], strict=True)),
        )
        for image_id in images:
            values = np.load(paths[image_id])
            found = self.store.read_map(self.store.run(self.run.id), image_id)
            assert found is not None
            middle = float(values.mean()) - known[image_id]
            np.testing.assert_allclose(found, np.abs(values - middle), atol=2e-3)

    def finished(self) -> None:
        """All of it is there and right."""
        self.holds()
        done = self.store.run(self.run.id)
        assert (done.status, done.done, done.error) == ("done", done.total, None)
        assert len(self.seen) == done.total
        assert not list(self.store.settings.fits.glob(".*")), "half a fit was left behind"
