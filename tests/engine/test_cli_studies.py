"""The command of the studies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from mad_core.datasets.dataset import Imported
from mad_core.runs.store import Run, Store
from mad_core.settings import Settings
from mad_core.studies import study as catalogue
from mad_core.studies.finding import finding_from_json

from .conftest import make_dataset
from .test_cli import Mad, home, mad  # noqa: F401 - fixtures
from .toy_study import add_run, use_toy_study


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:  # noqa: F811
    use_toy_study(monkeypatch)
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    made = add_run(store, store.add_dataset(Imported(make_dataset())))
    store.close()
    return made


def test_a_study_of_a_run(mad: Mad, run: Run) -> None:  # noqa: F811
    answer = mad("study", "toy", "--run", run.id, "--param", "steps=2", "--json").json
    finding = finding_from_json(answer)
    assert finding.sentence == "The mean is 1.040." and finding.facts["request"]["quick"]
    assert finding.facts["request"]["parameters"]["steps"] == 2
    again = mad("study", "toy", run.dataset_id, "--run", f"run:{run.id}", "--param", "steps=2", "--json").json
    assert again["id"] == answer["id"]
    full = mad("study", "toy", run.dataset_id, "--full", "--json").json
    assert full["id"] != answer["id"] and not full["facts"]["request"]["quick"]
    (toy,) = [entry for entry in mad("study", "list", "--json").json if entry["id"] == "toy"]
    assert [stored["sentence"] for stored in toy["stored"]] == ["The mean is 1.040."] * 2
    assert "What is the mean score?" in mad("study", "list").out


def test_a_folder_that_is_named_otherwise_than_its_card_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(Path(__file__).parent / "toy_studies" / "toy", tmp_path / "toy_room" / "doll")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalogue, "_PLACES", ("toy_room",))
    with pytest.raises(ValueError, match="'toy' stands in"):
        catalogue._catalogue.__wrapped__()


def test_tables_and_figures_are_written(
    mad: Mad,  # noqa: F811
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a browser there are no pictures, and that is said; tests of the report have one."""
    monkeypatch.setattr("mad_core.machine.browser.NAMES", ())
    monkeypatch.delenv("CHROMIUM", raising=False)
    out = tmp_path / "out"
    answer = mad("study", "cost", "--run", run.id, "--out", out, "--json").json
    assert "need a Chromium browser" in answer["missing"]
    assert sorted(p.name for p in out.iterdir()) == [
        "cost-c-index-and-speed-on-auto.html",
        "cost-cost-besides.html",
        "cost-costs.csv",
        "cost.json",
        "plotly.min.js",
    ]
    assert [Path(name).name for name in answer["files"]][:2] == ["cost.json", "cost-costs.csv"]
    assert pd.read_csv(out / "cost-costs.csv")["images"].tolist() == [18]
    page = (out / "cost-cost-besides.html").read_text()
    assert "https://" not in page and 'src="plotly.min.js"' in page


def test_what_cannot_be_asked_is_said(mad: Mad, run: Run) -> None:  # noqa: F811
    assert "No study is called 'astrology'" in mad("study", "astrology", status=2).err
    assert "name a dataset" in mad("study", "toy", status=2).err
    assert "has no parameter 'colour'" in mad("study", "toy", "--run", run.id, "--param", "colour=1", status=2).err
    assert "needs 2 runs of this dataset" in mad("study", "correspondence", "--run", run.id, status=1).err
    assert "The toy broke" in mad("study", "toy", "--run", run.id, "--param", "fails=yes", status=1).err


def test_all_studies_that_can_be_done_are_done(
    mad: Mad,  # noqa: F811
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mad_core.studies import study

    few = ("toy", "correspondence", "hybrid", "area")
    chosen = {name: study.study(name) for name in few}
    monkeypatch.setattr(study, "_catalogue", lambda: chosen)
    answers = {answer["study"]: answer for answer in mad("study", "all", "--run", run.id, "--json").json}
    assert tuple(answers) == few
    assert answers["toy"]["status"] == "done"
    assert answers["toy"]["sentence"] == "The mean is 1.040."
    assert answers["correspondence"]["status"] == "left out" and "needs 2 runs" in answers["correspondence"]["why"]
    assert answers["area"]["status"] == "not done" and answers["area"]["why"]
    said = mad("study", "all", run.dataset_id, "--out", tmp_path / "out").out
    assert "Toy study: done" in said and "The mean is 1.040." in said and (tmp_path / "out" / "toy.json").exists()
    assert "name one to set its parameters" in mad("study", "all", "demo", "--param", "a=1", status=2).err
    monkeypatch.setattr(study, "_catalogue", lambda: {"hybrid": chosen["hybrid"]})
    assert "left out" in mad("study", "all", "--run", run.id, status=1).out


def test_what_a_study_needs_is_told_by_the_kinds_of_runs(run: Run) -> None:
    from dataclasses import replace

    from mad_core.studies.study import study

    other, elsewhere = replace(run, scorer="mllm"), replace(run, scorer="external")
    assert study("hybrid").missing([run, other]) is None
    assert "needs a run of a multimodal model" in str(study("hybrid").missing([run, run]))
    assert "needs a run of a conventional detector" in str(study("hybrid").missing([other, other]))
    assert "made here, not imported" in str(study("robustness").missing([elsewhere]))
    assert study("robustness").missing([elsewhere, run]) is None and study("separability").missing([]) is None
