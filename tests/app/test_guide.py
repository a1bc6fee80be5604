"""The guided tour: every step on its page, in the address, and what it says while something is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from mad_core.datasets import solar_cells
from mad_core.datasets.dataset import Imported
from mad_core.runs.first_start import ready_scorers
from mad_core.runs.jobs import ImportJob
from mad_core.runs.store import RunRequest
from mad_core.scorers.contract import Scored
from pages.ui.guide_cells import CELLS
from pages.ui.guide_steps import DEMO
from pages.ui.guide_tour import Route
from tests.app.conftest import Home, scored
from tests.app.test_compare_page import written

Open = Callable[..., AppTest]


@pytest.fixture
def demo(home: Home) -> Home:
    """The dataset as the demo, with stains at L1, and no runs."""
    dataset = home.store.dataset(home.dataset)
    named = dataset.table.assign(defect=dataset.table["defect"].replace("scratch", "stain"))
    return Home(home.store, home.store.add_dataset(Imported(replace(dataset, table=named, source="demo"))))


@pytest.fixture
def done(demo: Home) -> Home:
    """The same with both runs: the detector follows the area that stains have, the model follows the level."""
    bias = {1.0: 5.0, 2.0: 2.0, 3.0: 1.0}
    demo.add_run("Detector", lambda row: scored(row, bias.get(row.level, 0.0) + int(row.image_id[:2], 16) / 1000))
    rows = {name: demo.images(name) for name in ("leaf", "plate")}
    results = {name: [Scored(r.image_id, float(r.level)) for r in table.itertuples()] for name, table in rows.items()}
    request = RunRequest(demo.dataset, "mllm", {}, tuple(rows), map_policy="none", title="Model")
    demo.store.keep_results(request, results, {})
    return demo


@pytest.fixture
def cells(home: Home) -> Home:
    """The dataset as the solar cells, with a detector's run."""
    dataset = home.store.dataset(home.dataset)
    named = dataset.table.assign(subset=dataset.table["subset"].replace("plate", CELLS.subset))
    photographs = Home(home.store, home.store.add_dataset(Imported(replace(dataset, table=named, source=CELLS.source))))
    photographs.add_run("Detector", lambda row: scored(row, int(row.image_id[:4], 16)))
    return photographs


def links(test: AppTest) -> dict[str, Any]:
    """The links of the bar by their labels."""
    return {link.proto.label: link.proto for link in test.get("page_link")}


def follow(test: AppTest, label: str) -> AppTest:
    """Go where a link of the bar leads, as the browser does."""
    link = links(test)[label]
    assert not link.disabled
    test.query_params.clear()
    test.query_params.update(parse_qs(link.query_string))
    test.switch_page(f"pages/{link.page or 'data'}/page.py").run()
    assert not test.exception, test.exception
    return test


def press(test: AppTest, key: str) -> AppTest:
    test.button(key=key).click().run()
    assert not test.exception, test.exception
    return test


def here(test: AppTest) -> tuple[str, str]:
    """The page's heading and the step in the address."""
    (title,) = [t.value for t in test.title]
    return title, str(test.query_params["guide"])


@pytest.mark.parametrize(("name", "route"), [("done", DEMO), ("cells", CELLS)])
def test_every_step_shows_its_words_on_its_page(
    name: str, route: Route, open_page: Open, request: pytest.FixtureRequest
) -> None:
    taken: Home = request.getfixturevalue(name)
    runs = len(taken.store.runs(taken.dataset))
    test = press(open_page("data", dataset=taken.dataset), "guide_start")
    for number, step in enumerate(route.steps, start=1):
        assert here(test) == (step.page, route.address(number))
        text = written(test).replace("\\", "")
        assert step.title in text and step.words in text, step.title
        assert test.query_params["dataset"] == taken.dataset
        if number < len(route.steps):
            follow(test, "Next")
    assert "Next" not in links(test)
    assert len(taken.store.runs(taken.dataset)) == runs  # nothing was asked for or lost on the way


def test_the_photographs_that_the_scores_contradict_are_chosen(cells: Home, open_page: Open) -> None:
    scores = cells.store.scores(cells.run("Detector").id).set_index("image_id")["score"]
    levels = cells.images(CELLS.subset).set_index("image_id")["level"]
    test = open_page("images", guide="cells-4", dataset="")
    assert test.query_params["image"] == scores[levels[levels == 0].index].idxmax()
    assert "of the more severe defects." in written(test)
    follow(test, "Next")
    assert test.query_params["image"] == scores[levels[levels == 3].index].idxmin()
    assert "of the milder defects." in written(test)


@pytest.mark.parametrize("installed", [True, False])
def test_without_the_photographs_they_are_imported_or_it_says_what_to_install(
    home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: bool
) -> None:
    monkeypatch.setattr(solar_cells, "installed", lambda: tmp_path if installed else None)
    test = open_page("data", guide="cells-1", dataset="")
    if not installed:
        assert solar_cells.NEEDS in [info.value.replace("\\", "") for info in test.info]
        return
    press(test, "guide_make")
    (job,) = home.store.queue.active()
    assert ImportJob.from_json(job.payload) == ImportJob(solar_cells.SOURCE, then=CELLS.scorers)


def test_the_telling_images_are_chosen_by_the_scores(done: Home, open_page: Open) -> None:
    detector = done.run("Detector")
    scores = done.store.scores(detector.id).set_index("image_id")["score"]
    stains, cracks = (done.images("plate").query("defect == @d")["image_id"].tolist() for d in ("stain", "crack"))
    test = open_page("images", guide="4", dataset="")
    assert test.query_params["image"] == scores[stains].idxmax()
    assert "Detector scores it above 100\u00a0% of the more severe defects, Model above 0\u00a0%." in written(test)
    follow(test, "Next")
    assert test.query_params["image"] == scores[cracks].idxmin()
    assert test.query_params["maps"] == [detector.id, done.run("Model").id]
    assert "Detector scores it below 100\u00a0% of the milder defects, Model below 0\u00a0%." in written(test)


def test_a_link_to_a_step_alone_opens_it_and_one_with_a_view_is_kept(done: Home, open_page: Open) -> None:
    test = open_page("compare", guide="3", dataset="")
    assert here(test) == ("Score", "3")
    test = open_page("images", guide="3", dataset=done.dataset, subset="leaf")
    assert here(test) == ("Images", "3") and test.query_params["subset"] == "leaf"
    assert "This step is on the page Score." in written(test)
    assert here(follow(test, "Show this step")) == ("Score", "3")


def test_back_again_and_the_end(done: Home, open_page: Open) -> None:
    test = open_page("data", guide="5", dataset="")
    assert here(follow(test, "Back")) == ("Images", "4")
    assert here(follow(test, "Start again")) == ("Data", "1")
    assert "Back" not in links(test) and "image" not in test.query_params
    press(test, "guide_end")
    assert "guide" not in test.query_params and test.button(key="guide_start")
    assert len(done.store.runs(done.dataset)) == 2


@pytest.mark.parametrize("given", ["x", "-1", "cells", "cell-1", "9" * 5000])
def test_what_is_no_step_shows_no_tour(home: Home, open_page: Open, given: str) -> None:
    assert "Next" not in links(open_page("score", guide=given))


def test_without_runs_the_scorers_can_be_started_and_it_says_how_far_they_are(demo: Home, open_page: Open) -> None:
    test = open_page("images", guide="4", dataset="")
    assert here(test) == ("Images", "4") and "has not been scored yet" in written(test)
    press(test, "guide_scorers")
    assert sorted(run.scorer for run in demo.store.runs(demo.dataset)) == sorted(ready_scorers())
    assert here(test) == ("Images", "4") and "0 of 42 images. Wait, or go on" in written(test)
    assert "guide_scorers" not in {b.key for b in test.button}
    assert here(follow(test, "Next")) == ("Images", "5")


def test_without_the_demo_it_can_be_made(home: Home, open_page: Open) -> None:
    test = open_page("score", guide="1", dataset="")
    assert here(test) == ("Data", "1")
    press(test, "guide_make")
    (job,) = home.store.queue.active()
    assert ImportJob.from_json(job.payload) == ImportJob("demo", then=tuple(ready_scorers()))
    assert "Its dataset is being made" in written(test)
