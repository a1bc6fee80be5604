"""The command that a report prints for a run finds that run again, whatever its request says."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mad_core.cli import main
from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.runs.commands import repeat_run
from mad_core.runs.parts import resolve_parts
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter, Scored
from mad_core.settings import Settings

WORDS = ScorerInfo(
    "words",
    "Words",
    "filter bank",
    "none:None",
    paper="none",
    summary="",
    needs="",
    cost="",
    parameters=(
        Parameter("text", "text", "", "Anything."),
        Parameter("share", "float", 0.5, "A share.", 0, 1),
        Parameter("sure", "bool", False, "Yes or no."),
        Parameter("side", "int", None, "The best for this machine if empty."),
    ),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAD_DEVICE", "cpu")  # a request for "auto" has to be said all the same
    catalog.scorers()
    monkeypatch.setitem(catalog._CATALOG, "words", WORDS)
    store = Store(Settings.from_environment())
    yield store
    store.close()


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A folder in which defect types have no level of their own; its name needs quotes."""
    root = tmp_path / "parts of 'A'"
    for name in ("train/good", "test/good", "test/dent", "test/crack"):
        for number in range(8 if "test" in name else 2):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), 10 * len(list(root.rglob("*.png"))) % 250, np.uint8)).save(path)
    (tmp_path / "a policy.yaml").write_text("dent: 1\ncrack: 3\n")
    return root


def finished(store: Store, source: Path, scorer: str, *, calibrate: int = 0, **request: Any) -> Run:
    """A stored run with a score for every image, made as the command does it."""
    imported = import_dataset(source, store.settings, policy=source.parent / "a policy.yaml")
    if calibrate:
        imported = replace(imported, dataset=imported.dataset.with_calibration(calibrate))
    dataset_id = store.add_dataset(Imported(imported.dataset))
    info = catalog.scorer(scorer)
    parameters = resolve_parts(store, info, info.check(request.pop("parameters", {})), imported.dataset)
    run = store.request_run(RunRequest(dataset_id, scorer, parameters, **request))
    rows = store.test_images(store.dataset(dataset_id), run.subsets, run.image_limit, run.seed, run.sampling)
    for subset, images in rows.groupby("subset"):
        store.add_scores(run.id, str(subset), [(Scored(i, 1.0), None) for i in images["image_id"]])
    for job in store.queue.active():
        store.queue.request_cancel(job.id)
    store.update_run(run.id, status="done", finished=1.0)
    return store.run(run.id)


def found_by(command: str, folder: Path) -> str:
    """The run that the command gives; it has nothing left to do."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "mad_core"]
    before = Path.cwd()
    try:
        os.chdir(folder)
        answer = CliRunner().invoke(main.app, [*words[3:], "--json"])
    finally:
        os.chdir(before)
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)["run"]


@pytest.mark.parametrize(
    "request_",
    [
        {"seed": 3, "limit": 5, "device": "auto", "map_policy": "on demand"},
        {"parameters": {"text": 'it\'s "so" ; $HOME\n=x ', "share": 0.1, "sure": True, "side": None}, "device": "cpu"},
        {"parameters": {"text": "--param", "side": 7}, "calibrate": 2},
    ],
)
def test_the_command_finds_the_run(home: Store, parts: Path, tmp_path: Path, request_: dict[str, Any]) -> None:
    run = finished(home, parts, "words", **request_)
    repeat = repeat_run(home, run)
    assert not repeat.notes and "--policy" in repeat.commands[-1]
    assert found_by(repeat.commands[-1], tmp_path) == run.id
    assert len(home.runs()) == 1 and home.run(run.id).request == run.request


def test_a_hybrid_names_the_runs_it_is_made_of(home: Store, parts: Path, tmp_path: Path) -> None:
    detector = finished(home, parts, "filterbank", calibrate=3)
    model = finished(home, parts, "mllm", calibrate=3)
    run = finished(home, parts, "hybrid", calibrate=3, parameters={"mode": "blend"})
    repeat = repeat_run(home, run)
    assert [found_by(command, tmp_path) for command in repeat.commands] == [detector.id, model.id, run.id]
    assert "other ids" in repeat.notes[0]
    home.delete_run(detector.id)
    assert any(detector.id in note and "not in this store" in note for note in repeat_run(home, run).notes)


def test_what_no_command_says_is_said(home: Store, parts: Path) -> None:
    first = finished(home, parts, "words", calibrate=4)
    again = home.dataset(first.dataset_id).with_calibration(2)
    run = home.request_run(RunRequest(home.add_dataset(Imported(again)), "words", {}, map_side=64))
    notes = repeat_run(home, run).notes
    assert any("in steps, 4, then 2 a level" in note for note in notes)
    assert any("64 pixels" in note for note in notes)
