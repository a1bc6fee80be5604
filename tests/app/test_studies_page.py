"""The Studies page: a study is asked for, watched, and its finding shown and taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from mad_core.runs.here import do_here
from mad_core.studies.record import list_studies
from tests.app.conftest import Home
from tests.app.test_compare_page import written
from tests.app.test_score_page import button
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


def test_full_mode_is_another_request_and_is_in_the_address(home: Home, open_page: Open) -> None:
    test = open_page("studies", study="cost", mode="full")
    button(test, "Run the study").click().run()
    assert not test.exception
    (found,) = list_studies(home.store, home.dataset)
    assert (found.study, found.quick) == ("cost", False)


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
