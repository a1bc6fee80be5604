"""The Studies page: a study is asked for, watched, and its finding shown and taken away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import pages.studies
from mad_core.datasets.dataset import Imported
from mad_core.runs.in_process import do_here
from mad_core.studies.record import StudyRequest, list_studies, request_study
from pages.ui import header
from tests.app.conftest import Home, scored
from tests.app.test_compare_page import written
from tests.app.test_score_page import button
from tests.engine.test_study_robustness import pictures
from tests.engine.toy_studies.toy.figures import READ_MEANS
from tests.engine.toy_study import use_toy_study

Open = Callable[..., AppTest]


def do(home: Home) -> None:
    (job,) = [job for job in home.store.queue.active() if job.kind == "study"]
    do_here(home.store, job.id, "cpu", lambda progress: None)


def test_a_study_in_two_clicks(home: Home, open_page: Open) -> None:
    test = open_page("studies", study="correspondence")
    assert [title.value for title in test.title] == ["Studies"]
    assert "How to read this" in [e.label for e in test.expander]
    button(test, "Run the study").click().run()
    assert not test.exception and len(list_studies(home.store, home.dataset)) == 1
    do(home)
    test.run()
    assert not test.exception, test.exception
    (found,) = list_studies(home.store, home.dataset)
    assert found.finding is not None and found.quick
    text = written(test).replace("\\", "")
    assert found.finding.sentence in text and found.finding.caveat in text
    assert len(test.get("plotly_chart")) == 3
    labels = [b.label for b in test.get("download_button")]
    assert "points \\(CSV\\)" in labels and any("HTML" in label for label in labels)
    assert button(test, "Ask again")


def test_list_and_panel_tell_the_same_of_what_was_asked_before_another_run(home: Home, open_page: Open) -> None:
    test = open_page("studies", study="cost")
    button(test, "Run the study").click().run()
    do(home)
    home.add_run("Gamma", lambda row: scored(row, 1.0))
    test = open_page("studies", study="cost")
    captions = list(test.radio[0].proto.captions)
    assert [caption for caption in captions if caption.startswith("found")] == ["found, for other runs or scores"]
    (earlier,) = [info.value.replace("\\", "") for info in test.info]
    assert "asked earlier, of Alpha, Beta, with a sample" in earlier
    (found,) = list_studies(home.store, home.dataset)
    assert found.finding is not None and found.finding.sentence in written(test).replace("\\", "")
    assert "not been asked" not in written(test) and button(test, "Run the study")


def test_jobs_of_one_kind_have_names_that_tell_them_apart(home: Home) -> None:
    studies = ("cost", "area", "separability")
    for study in studies:
        request_study(home.store, StudyRequest(home.dataset, study, (home.run("Alpha").id,)))
    names = [header.name_of(job) for job in home.store.queue.active()]
    assert len(set(names)) == 3 and not any(name.startswith("Study") for name in names)


def test_full_mode_is_another_request_and_is_in_the_address(home: Home, open_page: Open) -> None:
    test = open_page("studies", study="cost", mode="full")
    button(test, "Run the study").click().run()
    assert not test.exception
    (found,) = list_studies(home.store, home.dataset)
    assert (found.study, found.quick) == ("cost", False)


SECTION = """
import streamlit as st

def of_finding(info, finding):
    st.markdown(f"Live on {info.name}.")
"""


def test_a_study_is_a_folder_and_perhaps_a_section(
    home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its card is listed, its figures stand there with their texts, and its live section by its name."""
    use_toy_study(monkeypatch)
    (tmp_path / "toy.py").write_text(SECTION)
    monkeypatch.setattr(pages.studies, "__path__", [*pages.studies.__path__, str(tmp_path)])
    test = open_page("studies", study="toy")
    assert "Toy study" in test.radio[0].options and test.header[0].value == "Toy study"
    button(test, "Run the study").click().run()
    do(home)
    test.run()
    assert not test.exception, test.exception
    text = written(test).replace("\\", "")
    assert READ_MEANS in text and "**Mean of each run**" in text
    assert f"Live on {home.store.dataset_info(home.dataset).name}." in text


def test_a_failed_study_says_why_and_strips_show_images(
    home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_toy_study(monkeypatch)
    test = open_page("studies", study="toy")
    button(test, "Run the study").click().run()
    do(home)
    test.run()
    assert not test.exception, test.exception
    assert "The mean is" in written(test) and "**Some**" in written(test)


def test_too_few_runs_cannot_be_asked(home: Home, open_page: Open) -> None:
    test = open_page("studies", study="correspondence", studied=home.run("Alpha").id)
    assert button(test, "Run the study").disabled


def without_runs(home: Home) -> None:
    for run in home.store.runs(home.dataset):
        home.store.delete_run(run.id)


def test_a_study_of_images_alone_is_asked_without_runs(home: Home, open_page: Open) -> None:
    without_runs(home)
    test = open_page("studies")
    assert "Separability of levels" in test.header[0].value and not test.multiselect
    assert "some look at images alone" in test.info[0].value
    button(test, "Run the study").click().run()
    assert not test.exception, test.exception
    (found,) = list_studies(home.store, home.dataset)
    assert (found.study, found.runs) == ("separability", ())
    assert found.parameters == {"features": "mad-formula-s", "against": ""}


def test_without_runs_the_others_say_what_they_need(home: Home, open_page: Open) -> None:
    without_runs(home)
    for name, needs in (("cost", "run"), ("correspondence", "2 runs")):
        test = open_page("studies", study=name)
        asked = button(test, "Run the study")
        assert asked.disabled and needs in asked.help
        assert asked.help in [caption.value.replace("\\", "") for caption in test.caption]


def test_the_dataset_to_compare_with_is_chosen(home: Home, open_page: Open, tmp_path: Path) -> None:
    other = home.store.add_dataset(Imported(pictures(tmp_path / "squares")))
    test = open_page("studies", study="separability")
    (choice,) = [box for box in test.selectbox if box.label == "Compare with"]
    assert choice.options == ["no other dataset", "squares"]
    choice.set_value(other).run()
    button(test, "Run the study").click().run()
    assert not test.exception, test.exception
    (found,) = list_studies(home.store, home.dataset)
    assert found.parameters["against"] == other and found.runs == ()


def test_all_that_can_be_run_is_queued_and_the_rest_is_named(home: Home, open_page: Open) -> None:
    test = open_page("studies")
    button(test, "Run all studies").click().run()
    assert not test.exception, test.exception
    asked = {found.study for found in list_studies(home.store, home.dataset)}
    assert {"robustness", "correspondence", "cost", "level-mix"} <= asked and "hybrid" not in asked
    assert all(found.quick for found in list_studies(home.store, home.dataset))
    text = written(test).replace("\\", "")
    assert f"{len(asked)} studies are asked" in text and "needs a run of a multimodal model" in text
