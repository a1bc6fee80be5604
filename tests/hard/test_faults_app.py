"""The app as people start it, and its worker, killed at random moments while a run goes on."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from mad_core.datasets.importing import import_dataset
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings

from .workshop import App, wait_until

pytestmark = [pytest.mark.hard, pytest.mark.timeout(2400)]
ROUNDS = 46
IMAGES = 400


def test_web_server_and_worker_killed_at_random_moments(tmp_path: Path) -> None:
    draw = random.Random(2)
    folder = _parts(tmp_path / "parts")
    store = Store(Settings.from_environment({"MAD_HOME": str(tmp_path / "home")}))
    dataset = store.add_dataset(import_dataset(folder, store.settings))
    reference = _reference(tmp_path / "reference", folder)
    request = RunRequest(dataset, "filterbank", catalog.scorer("filterbank").check({}), seed=0, device="cpu")
    app, runs, told = App(store.settings, tmp_path / "app.log"), 0, []
    run = store.request_run(request)
    seen: dict[str, float] = {}
    try:
        for turn in range(ROUNDS):
            app.start()
            wait_until(lambda: any(w.alive for w in store.queue.workers()), what="a worker")
            time.sleep(draw.uniform(0, 2.5))
            if turn % 3 != 1:
                app.kill()
            if turn % 3 != 0:
                _kill_workers(store)
            now = store.scores(run.id)
            assert now["image_id"].is_unique
            values = now.set_index("image_id")["score"].to_dict()
            assert seen.items() <= values.items()
            assert values == pytest.approx({i: reference[i] for i in values}, rel=1e-6)
            seen = values
            current = store.run(run.id)
            if current.status == "failed":
                told.append(str(current.error))
                store.resume_run(run.id)
            elif current.status == "done":
                runs += 1
                assert len(seen) == current.total
                store.request_run(request, force=True)
                seen = {}
        app.start()

        def done() -> bool:
            if store.run(run.id).status == "failed":
                told.append(str(store.run(run.id).error))
                store.resume_run(run.id)
            return store.run(run.id).status == "done"

        wait_until(done, 300, "the end of the run")
        assert store.scores(run.id).set_index("image_id")["score"].to_dict() == pytest.approx(reference, rel=1e-6)
    finally:
        app.end()
        _kill_workers(store)
        store.close()
    assert all("died" in sentence for sentence in told)
    assert "Traceback" not in app.log.read_text(errors="replace")
    print(f"{ROUNDS} kills of server, worker or both; {runs} runs ended meanwhile")


def _kill_workers(store: Store) -> None:
    for worker in store.queue.workers():
        if worker.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(worker.pid)
                process.kill()
                with contextlib.suppress(psutil.TimeoutExpired):
                    process.wait(10)


def _parts(folder: Path) -> Path:
    """Small pictures of three levels."""
    rng = np.random.default_rng(0)
    for place, level, count in (
        ("train/good", 0, 8),
        ("test/good", 0, IMAGES // 2),
        ("test/cut_level_1", 1, IMAGES // 2),
    ):
        (folder / place).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(90, 130, (48, 64, 3), dtype=np.uint8)
            pixels[10 : 10 + 12 * level, 20 : 20 + i % 9 * level] = 250
            Image.fromarray(pixels).save(folder / place / f"{i:03d}.png")
    return folder


def _reference(home: Path, folder: Path) -> dict[str, float]:
    """The scores of an undisturbed run on another store."""
    from mad_core.runs.in_process import do_here

    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    dataset = store.add_dataset(import_dataset(folder, store.settings))
    parameters = catalog.scorer("filterbank").check({})
    run = store.request_run(RunRequest(dataset, "filterbank", parameters, seed=0, device="cpu"))
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    found = store.scores(run.id).set_index("image_id")["score"].to_dict()
    store.close()
    return found
