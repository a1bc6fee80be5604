"""The engine in a notebook: what can be asked for, and what a wrong question is answered."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import mad_core as mad
from mad_core.datasets.dataset import Imported
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings

from .conftest import make_dataset

ROOT = Path(__file__).resolve().parents[2]
LEVELS, SCORES = [0, 0, 1, 2], [0.1, 0.3, 0.2, 0.9]

BESIDE_IMPORT = """
import json, logging, os, signal, sys, warnings
import numpy, pandas, scipy.stats  # noqa: libraries may do as they like


def seen():
    return {
        "environment": dict(os.environ),
        "path": list(sys.path),
        "hooks": [repr(sys.excepthook), repr(sys.displayhook), repr(sys.meta_path), repr(sys.path_hooks)],
        "warnings": [repr(entry) for entry in warnings.filters],
        "logging": [repr(logging.root.handlers), logging.root.level, logging.root.manager.disable],
        "signals": [repr(signal.getsignal(number)) for number in signal.valid_signals()],
        "options": [repr(numpy.get_printoptions()), repr(numpy.geterr()), pandas.get_option("display.max_rows")],
        "folder": os.getcwd(),
    }


before = seen()
import mad_core as mad
from_import = seen()
mad.evaluate([0, 1], [0.1, 0.2], draws=10)
heavy = {"torch", "streamlit", "plotly", "sqlalchemy"}
print(json.dumps([before == from_import, before == seen(), sorted(heavy & set(sys.modules))]))
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with one scored dataset of two subsets, that the API finds."""
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    made = Store(Settings.from_environment())
    dataset_id = made.add_dataset(Imported(make_dataset()))
    run = made.request_run(RunRequest(dataset_id, "filterbank", {}, title="Filter bank"))
    for subset in ("a", "b"):
        rows = made.test_images(made.dataset(dataset_id), [subset])
        made.add_scores(run.id, subset, [(Scored(i, v), None) for v, i in enumerate(rows["image_id"])])
    made.update_run(run.id, status="done")
    return made


def test_importing_changes_nothing_in_the_callers_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_IMPORT], cwd=ROOT, capture_output=True, text=True, env={**os.environ}, check=True
    )
    assert json.loads(done.stdout) == [True, True, []]


def test_every_name_is_there_and_listed() -> None:
    from mad_core import api

    assert set(mad.__all__) == set(api.__all__) <= set(dir(mad))
    assert all(callable(getattr(mad, name)) and getattr(mad, name).__doc__ for name in mad.__all__)
    assert mad.runs.__name__ == "mad_core.runs"  # the rooms of these names are still there
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mad.nothing


# -- evaluate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "scores"),
    [
        (tuple(LEVELS), SCORES),
        (np.array(LEVELS, dtype=np.int8), np.array(SCORES)),
        (pd.Series(LEVELS, index=list("abcd")), pd.Series(SCORES, index=list("abcd"))),
        (pd.Series(LEVELS, index=[7, 8, 9, 10]), pd.Series(SCORES)),
        (pd.Series(LEVELS, dtype="Int64"), pd.Series(SCORES, dtype="Float64")),
        (pd.Categorical(LEVELS), SCORES),
        (["0", "0", "1", "2"], [str(score) for score in SCORES]),
        (torch.tensor(LEVELS), torch.tensor(SCORES, requires_grad=True)),
        (torch.tensor(LEVELS), torch.tensor(SCORES, dtype=torch.bfloat16)),
        ([np.array(level) for level in LEVELS], [torch.tensor(score) for score in SCORES]),
        (LEVELS, [2**60 + 1, 2**60 + 3, 2**60 + 2, 2**60 + 9]),
    ],
)
def test_arrays_of_any_kind_are_measured_alike(levels: Any, scores: Any) -> None:
    assert mad.evaluate(levels, scores, draws=0) == mad.evaluate(LEVELS, SCORES, draws=0)


@pytest.mark.parametrize(
    "absent", [[0.1, None, 0.2, 0.9], [0.1, np.nan, 0.2, 0.9], pd.array([0.1, None, 0.2, 0.9], dtype="Float64")]
)
def test_an_absent_score_is_none(absent: Any) -> None:
    assert mad.evaluate(LEVELS, absent, draws=0)["n_scored"] == 3
    masked = np.ma.masked_array(SCORES, [False, True, False, False])
    assert mad.evaluate(LEVELS, masked, draws=0)["n_scored"] == 3


@pytest.mark.parametrize(
    ("levels", "scores", "subsets", "sentence"),
    [
        ([0, np.nan, 1, 2], SCORES, None, "1 of 4 levels are missing"),
        ([0, None, 1, 2], SCORES, None, "the first at place 1"),
        ([0, np.inf, 1, 2], SCORES, None, "missing or infinite"),
        ([0, -1, 1, 2], SCORES, None, "Level -1 at place 1"),
        ([0, 1e9, 1, 2], SCORES, None, "Level 1e"),
        (["L0", "L0", "L1", "L2"], SCORES, None, "'L0' at place 0, which is not a number"),
        (LEVELS, SCORES[:3], None, "4 levels and 3 scores"),
        (LEVELS, SCORES, ["a"], "4 levels and 1 subsets"),
        (LEVELS, SCORES, ["a", None, "a", "b"], "at place 1 has no subset"),
        (LEVELS, SCORES, "plate", "name of each image's subset"),
        ([[level] for level in LEVELS], SCORES, None, r"shape \(4, 1\)"),
        ([[0], [1, 2]], SCORES, None, "cannot be made an array"),
        (LEVELS, [torch.tensor(s, requires_grad=True) for s in SCORES], None, "scores cannot be made an array"),
        (3, SCORES, None, "the type int"),
        ((level for level in LEVELS), SCORES, None, "the type generator"),
        (LEVELS, [1j, 1, 2, 3], None, "not a number"),
        (pd.Series(LEVELS), pd.Series(SCORES, index=[3, 2, 1, 0]), None, "same index in different orders"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(levels: Any, scores: Any, subsets: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        mad.evaluate(levels, scores, subsets)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"draws": -1}, "draws is -1"),
        ({"draws": 2.5}, "draws is 2.5"),
        ({"seed": "one"}, "seed is 'one'"),
        ({"intervals": ("auc",)}, "'auc' has no interval"),
    ],
)
def test_options_are_checked(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        mad.evaluate(LEVELS, SCORES, **options)


def test_nothing_and_one_image_have_no_metrics_but_a_sentence() -> None:
    for levels, scores in (([], []), ([1], [0.5])):
        metrics = mad.evaluate(levels, scores)
        assert metrics["c_index"] is None and metrics["notes"]
        assert metrics["notes"][0] in str(metrics)


def test_metrics_are_a_dictionary_that_prints_as_a_table() -> None:
    metrics = mad.evaluate(LEVELS * 3, SCORES * 3, ["<a>", "b", "b"] * 4, draws=20)
    plain = json.loads(json.dumps(metrics, allow_nan=False))
    assert isinstance(metrics, dict) and metrics == plain == pickle.loads(pickle.dumps(metrics))
    text, html = repr(metrics), metrics._repr_html_()
    for shown in ("AUROC", "C-index", "tau-b", f"{metrics['c_index']:.3f}", "<a>", metrics["notes"][0]):
        assert shown in text
    assert html.startswith("<table>") and "&lt;a&gt;" in html and "<a>" not in html
    assert "AUROC" in repr(metrics["subsets"]["b"])


# -- the store ------------------------------------------------------------------------------------


def test_the_store_is_listed(store: Store) -> None:
    (run,) = store.runs()
    assert list(mad.runs()["run"]) == [run.id] and list(mad.datasets()["runs"]) == [1]
    assert list(mad.runs(run.dataset_id)["status"]) == ["done"] and mad.runs("nothing").empty
    found = mad.run(run.id)
    assert repr(found) == f"ScoredRun('{run.id}', Filter bank: {run.done} of {run.total} images, done)"
    assert found.metrics(draws=0) == mad.evaluate(*(found.table[c] for c in ("level", "score", "subset")), draws=0)
    with pytest.raises(NotFoundError):
        mad.run("nothing")


def test_the_catalogue_is_a_table() -> None:
    table = mad.scorers()
    assert {"id", "family", "title", "available", "why_not"} <= set(table.columns)
    assert "filterbank" in set(table["id"])


@pytest.mark.parametrize("subset", [None, "a"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_is_plotted_by_name(store: Store, subset: str | None, theme: Any) -> None:
    run = mad.run(store.runs()[0].id)
    from mad_core.runs.plots import PLOTS

    for name in PLOTS:
        figure = run.plot(name, subset=subset, theme=theme)
        assert len(figure.data) and figure.to_json()


def test_an_unknown_figure_is_answered_with_those_there_are(store: Store) -> None:
    run = mad.run(store.runs()[0].id)
    for options, sentence in (
        (
            {"name": "rain"},
            "'rain' is no figure; there are raincloud, matrix, strip, intervals, levels, roc, precision_recall",
        ),
        ({"subset": "c"}, "'c' is no subset of this run; there are a, b"),
        ({"theme": "pink"}, "'pink' is no theme"),
        ({"image": "none"}, "No test image of this run has the id 'none'"),
    ):
        with pytest.raises(InputError, match=sentence):
            run.plot(**options)
    image = run.table["image_id"].iloc[3]
    assert "this image" in {trace.name for trace in run.plot("raincloud", image=image).data}


def test_suspicious_labels_come_first_with_their_reason(store: Store) -> None:
    run = mad.run(store.runs()[0].id)
    table = mad.suspicious(runs=[run])
    assert len(table) == len(run.table) and set(table["image_id"]) == set(run.table["image_id"])
    assert table["suspicion"].is_monotonic_decreasing and table["reason"].str.len().gt(0).all()
    dataset_id = store.runs()[0].dataset_id
    assert mad.suspicious(dataset_id).equals(table)
    assert list(mad.suspicious(dataset_id, order="level")["level"]) == sorted(table["level"])
    with pytest.raises(InputError, match="no order of the queue"):
        mad.suspicious(dataset_id, order="none")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="Name a dataset"):
        mad.suspicious()


def test_scores_made_elsewhere_become_a_run(store: Store, tmp_path: Path) -> None:
    run = mad.run(store.runs()[0].id)
    rows = run.table[run.table["subset"] == "a"]
    file = tmp_path / "theirs.csv"
    lines = [f"{row.path},{row.level:g},{row.score}" for row in rows.itertuples()]
    file.write_text("\n".join(["Path,Severity,Anomaly Score", *lines, "test/nowhere.png,1,0.5"]) + "\n")
    dataset_id = store.runs()[0].dataset_id
    if store.dataset(dataset_id).subsets != ["a"]:
        file = file.rename(tmp_path / "theirs_a.csv")
    imported = mad.import_scores(file, dataset_id, title="Theirs")
    assert imported.metrics(draws=0)["n_scored"] == len(rows)
    assert any("nowhere" in sentence for sentence in imported.mismatches) and run.mismatches == []


def test_a_report_is_written(store: Store, tmp_path: Path) -> None:
    run = mad.run(store.runs()[0].id)
    out = mad.report(run, tmp_path / "report.html", draws=20)
    assert "C-index" in out.read_text(encoding="utf-8")
    with pytest.raises(InputError, match="'all' is no rule"):
        mad.report(run, out, labels="all")
    with pytest.raises(InputError, match="cannot be written"):
        mad.report(run, tmp_path / "no" / "report.html")


def test_a_study_is_done_and_found_again(store: Store) -> None:
    run = mad.run(store.runs()[0].id)
    finding = mad.study("level-mix", runs=[run])
    assert finding.sentence and mad.study("level-mix", runs=[run.id]).sentence == finding.sentence
    with pytest.raises(NotFoundError):
        mad.study("nothing", runs=[run])
