"""Python, command line, benchmark, pages, import and first start ask for a run in the same words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import mad_core as mad
from mad_core.bench.matrix import Matrix, run_matrix
from mad_core.cli.main import app
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError, UnavailableError
from mad_core.runs import in_process
from mad_core.runs.first_start import queue_default
from mad_core.runs.import_job import import_job
from mad_core.runs.job_control import Control
from mad_core.runs.request import request_run, resolve_request
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings
from pages.score import new_run
from pages.ui import engine

from .pictures import industrial

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return industrial(tmp_path / "parts")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    opened = Store(Settings.from_environment())
    monkeypatch.setattr(engine, "store", lambda: opened)
    monkeypatch.setattr(in_process, "do_here", lambda *_: None)  # asked for, not done
    yield opened
    opened.close()


def by_python(store: Store, dataset_id: str, folder: Path) -> None:
    mad.score(folder, "hybrid")


def by_command(store: Store, dataset_id: str, folder: Path) -> None:
    CliRunner().invoke(app, ["score", str(folder), "--scorer", "hybrid", "--out", str(folder.parent / "scores.csv")])


def by_benchmark(store: Store, dataset_id: str, folder: Path) -> None:
    info = catalog.scorer("hybrid")
    run_matrix(store, Matrix(dataset_id, [(info, info.check({}))]), lambda run: None)


def by_page(store: Store, dataset_id: str, folder: Path) -> None:
    new_run._queue(store.dataset_info(dataset_id), RunRequest(dataset_id, "hybrid", {}), None)


def by_first_start(store: Store, dataset_id: str, folder: Path) -> None:
    queue_default(store, dataset_id, "hybrid")


def by_import(store: Store, dataset_id: str, folder: Path) -> None:
    job = store.queue.job(store.queue.submit("import", {"source": str(folder), "then": ["hybrid"]}))
    import_job(Control(job, store, store.settings, "cpu"))


DOORS = [by_python, by_command, by_benchmark, by_page, by_first_start, by_import]


def finished(store: Store, dataset_id: str, scorer: str) -> Run:
    """A run to build on."""
    run = store.request_run(RunRequest(dataset_id, scorer, {}))
    store.cancel_run(run.id)
    store.update_run(run.id, status="done", finished=1.0)
    return store.run(run.id)


@pytest.mark.parametrize("door", DOORS)
def test_every_door_gives_the_same_request(
    store: Store, folder: Path, door: Callable[[Store, str, Path], None]
) -> None:
    dataset_id = store.add_dataset(import_dataset(folder, store.settings))
    detector, model = finished(store, dataset_id, "filterbank"), finished(store, dataset_id, "mllm")
    door(store, dataset_id, folder)
    (made,) = [run for run in store.runs() if run.scorer == "hybrid"]
    info = catalog.scorer("hybrid")
    assert made.parameters == {**info.check({}), "detector": detector.id, "mllm": model.id}
    assert (made.title, made.status) == (info.title, "queued")
    expected = RunRequest(dataset_id, "hybrid", made.parameters, subsets=made.subsets)
    assert made.request == expected.digest(made.dataset_version)


def test_what_is_left_open_is_filled_in_once_and_stays(store: Store, folder: Path) -> None:
    dataset_id = store.add_dataset(import_dataset(folder, store.settings))
    resolved = resolve_request(store, RunRequest(dataset_id, "filterbank", {}))
    assert resolve_request(store, resolved) == resolved
    assert resolved.parameters == catalog.scorer("filterbank").check({})
    own = request_run(store, RunRequest(dataset_id, "filterbank", {}, title="Mine"))
    assert own.title == "Mine" and request_run(store, resolved).id == own.id


def test_a_request_that_cannot_be_met_is_a_sentence_and_no_run(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = store.add_dataset(import_dataset(folder, store.settings))
    with pytest.raises(InputError, match="nonsense"):
        request_run(store, RunRequest(dataset_id, "filterbank", {"nonsense": 1}))
    with pytest.raises(InputError, match="score the dataset with one first"):
        request_run(store, RunRequest(dataset_id, "hybrid", {}))
    with pytest.raises(UnavailableError):
        request_run(store, RunRequest(dataset_id, "endpoint", {}))
    assert store.runs() == []


def test_nobody_queues_a_run_that_was_not_resolved() -> None:
    files = [file for folder in ("mad_core", "pages") for file in (ROOT / folder).rglob("*.py")]
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    queueing = {name for name, text in texts.items() if "store.request_run(" in text}
    assert queueing and not [name for name in queueing if "resolve_request(" not in texts[name]]
