"""The benchmark table on Compare, and runs that were made elsewhere, on every page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mad_core.runs.imported_scores import import_results
from mad_core.runs.result_files import export_run
from mad_core.runs.results import run_table
from mad_core.runs.store import Run
from tests.app.conftest import Home, scored

Open = Callable[..., AppTest]


def html(test: AppTest, mark: str) -> str:
    """The one piece of HTML with this class."""
    (found,) = [e.proto.body for e in test.get("html") if f'class="{mark}"' in e.proto.body]
    return found


def written(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.info, test.warning, test.error, test.success)
    return "\n".join(e.value for kind in kinds for e in kind).replace("\\", "")


def buttons(test: AppTest) -> set[str]:
    return {b.label for b in (*test.button, *test.get("download_button"))}


def opened(test: AppTest) -> AppTest:
    test.session_state["bench_table"] = True
    test.run()
    assert not test.exception, test.exception
    return test


def outside(home: Home, tmp_path, title: str = "GPT-4o") -> Run:
    """Alpha's scores as if they were made elsewhere; one row is missing and one names no image."""
    (leaf, plate) = export_run(home.store, home.run("Alpha").id, tmp_path / "files", "gpt")
    lines = plate.read_text().splitlines(keepends=True)
    plate.write_text("".join([*lines[:-1], "test/level_9/no.png,3,1\n"]))
    (one,) = import_results(home.store, home.dataset, [leaf, plate], title=title, note="May")
    return one.run


# -- the table ------------------------------------------------------------------------------------


def test_the_table_is_made_when_it_is_opened(home: Home, open_page: Open) -> None:
    test = open_page("compare")
    assert "mad-bench" not in "".join(e.proto.body for e in test.get("html"))
    assert "Table as CSV" not in buttons(test)
    body = html(opened(test), "mad-bench")
    assert {"Table as CSV", "Table as LaTeX"} <= buttons(test)
    heads = re.findall(r'scope="rowgroup"[^>]*>(.*?)</th>', body)
    assert heads == ["Overall · parts, macro average of 2 subsets", "Industrial · plate", "Other · leaf"]
    assert len(re.findall(r'<th scope="row">Alpha</th>', body)) == 4  # three blocks, and time and memory
    rows = run_table(home.store, home.run("Alpha").id)
    alpha = re.search(r'plate</th></tr><tr><th scope="row">Alpha</th><td>(.*?)</td>', body)
    assert alpha and re.fullmatch(r"(<b>)?\d+\.\d\d(</b>)?<small>\d+\.\d\d to \d+\.\d\d</small>", alpha[1])
    assert len(rows) == 42 and "100.0 % (42)" in body and "97.6 % (41 of 42)" in body
    assert "Macro averages give every subset the same weight" in written(test)


def test_the_table_takes_no_html_from_users(home: Home, open_page: Open) -> None:
    home.store.rename_run(home.run("Beta").id, "<img src=x>")
    body = html(opened(open_page("compare")), "mad-bench")
    assert "&lt;img src=x&gt;" in body and "<img" not in body


def test_the_table_has_the_chosen_runs_alone(home: Home, open_page: Open) -> None:
    body = html(opened(open_page("compare", runs=home.run("Beta").id)), "mad-bench")
    assert "Beta" in body and "Alpha" not in body


# -- runs from elsewhere --------------------------------------------------------------------------


def test_an_imported_run_stands_beside_ours_and_says_so(home: Home, open_page: Open, tmp_path) -> None:
    run = outside(home, tmp_path)
    test = open_page("compare")
    assert "GPT-4o · imported" in html(test, "mad-metrics")
    said = html(test, "mad-metrics")
    assert "gpt_parts_leaf.csv (SHA-256 " in said and "not computed here: May" in said
    (fold,) = [e.label for e in test.expander if "does not fit everywhere" in e.label]
    assert "1 row without an image, 1 image without a row" in fold
    (listed,) = [d.value for d in test.dataframe if "What does not fit" in d.value]
    assert "test/level_9/no.png" in set(listed["Path"])
    assert "GPT-4o · imported" in html(opened(test), "mad-bench")
    assert home.store.run(run.id).status == "done"


@pytest.mark.parametrize("page", ["data", "score", "images", "compare"])
def test_every_page_copes_with_an_imported_run_alone(home: Home, open_page: Open, tmp_path, page: str) -> None:
    run = outside(home, tmp_path)
    for other in home.store.runs():
        if other.id != run.id:
            home.store.delete_run(other.id)
    test = open_page(page, run=run.id, subset="plate", view="runs")
    assert not test.exception
    assert not {"Resume"} & buttons(test) and not [b for b in buttons(test) if b.startswith("Retry")]


def test_the_score_page_says_where_it_comes_from(home: Home, open_page: Open, tmp_path) -> None:
    run = outside(home, tmp_path)
    test = open_page("score", run=run.id)
    assert "imported on" in written(test) and "imported · 42 images" in "".join(
        str(caption) for radio in test.radio for caption in radio.proto.captions
    ).replace("\\", "")


def test_one_image_shows_its_score_or_why_there_is_none(home: Home, open_page: Open, tmp_path) -> None:
    run = outside(home, tmp_path)
    images = home.images("plate")["image_id"]
    test = open_page("images", image=images.iloc[0], subset="plate", run=run.id)
    assert "GPT-4o · imported" in written(test)
    test = open_page("images", image=images.iloc[-1], subset="plate", run=run.id)
    assert "has no row for this image" in written(test)
    assert "Make the anomaly map" not in buttons(test)


# -- upload ---------------------------------------------------------------------------------------


def upload(test: AppTest, *files: tuple[str, str], title: str = "") -> None:
    (place,) = [u for u in test.file_uploader if u.label == "Result files"]
    place.set_value([(name, text.encode(), "text/csv") for name, text in files])
    next(t for t in test.text_input if t.label == "Title (optional)").set_value(title)
    next(b for b in test.button if b.label == "Add").click()
    test.run()
    assert not test.exception, test.exception


def test_uploaded_files_become_a_run_in_view(home: Home, open_page: Open, tmp_path) -> None:
    files = export_run(home.store, home.run("Alpha").id, tmp_path, "gpt")
    test = open_page("compare", runs=home.run("Beta").id)
    upload(test, *((path.name, path.read_text()) for path in files), title="GPT-4o")
    run = home.run("GPT-4o")
    assert (run.done, run.total, run.subsets) == (42, 42, ("leaf", "plate"))
    ours, theirs = (run_table(home.store, r.id)["score"] for r in (home.run("Alpha"), run))
    pd.testing.assert_series_equal(ours, theirs)
    assert "GPT-4o · imported" in html(test, "mad-metrics") and "Beta" in html(test, "mad-metrics")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "gpt_parts_lid.csv",
            "Path,Severity,Score\nx,0,1\n",
            "The name of gpt_parts_lid.csv does not say which subset",
        ),
        ("gpt_leaf.csv", "Path,Severity,Score\nx,0,1\n", "No row of gpt_leaf.csv names a test image"),
        ("gpt_leaf.csv", "", "is empty"),
    ],
)
def test_an_upload_that_cannot_be_used_is_a_sentence(
    home: Home, open_page: Open, name: str, text: str, sentence: str
) -> None:
    before = len(home.store.runs())
    test = open_page("compare")
    upload(test, (name, text))
    assert sentence in written(test) and "/tmp" not in written(test)
    assert len(home.store.runs()) == before


def test_the_first_scores_may_come_from_elsewhere(home: Home, open_page: Open, tmp_path) -> None:
    files = export_run(home.store, home.run("Alpha").id, tmp_path, "gpt")
    for run in home.store.runs():
        home.store.delete_run(run.id)
    test = open_page("compare")
    upload(test, *((path.name, path.read_text()) for path in files))
    assert "gpt · imported" in html(test, "mad-metrics")


def test_a_run_at_work_has_no_intervals_yet(home: Home, open_page: Open) -> None:
    run = home.add_run("Gamma", lambda r: scored(r, r.level) if r.level != 2 else None, status="running")
    body = html(opened(open_page("compare", runs=run.id)), "mad-bench")
    assert "<small>" not in body
