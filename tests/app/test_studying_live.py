"""The live sections of level mix and decisions."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.runs.store.cuts import COST, HAND
from pages.studies import cut_component

from .conftest import CARD, Home, scored


def mix(dataset: str) -> None:
    from pages.studies import level_mix
    from pages.ui import engine

    store = engine.store()
    level_mix.section(store.dataset_info(dataset), store.runs(dataset))


def cuts(dataset: str) -> None:
    from pages.studies import decisions
    from pages.ui import engine

    store = engine.store()
    decisions.section(store.dataset_info(dataset), store.runs(dataset))


def test_moving_a_share_moves_the_metrics(home: Home) -> None:
    test = AppTest.from_function(mix, args=(home.dataset,), default_timeout=60).run()
    assert not test.exception, test.exception
    before = test.dataframe[0].value
    test.slider[0].set_value(95.0).run()
    assert not test.exception, test.exception
    after = test.dataframe[0].value
    assert before["Test set"].tolist() == after["Test set"].tolist()
    assert before["This mix"].tolist() != after["This mix"].tolist()


def opened(home: Home) -> AppTest:
    test = AppTest.from_function(cuts, args=(home.dataset,), default_timeout=60).run()
    assert not test.exception, test.exception
    return test


def press(test: AppTest, label: str) -> AppTest:
    next(button for button in test.button if button.label == label).click().run()
    assert not test.exception, test.exception
    return test


def test_cuts_are_kept_with_the_run_and_come_back(home: Home) -> None:
    run = home.run("Alpha").id
    test = opened(home)
    assert test.segmented_control[0].value == COST
    press(test, "Keep these cuts with the run")
    first = home.store.cuts.of_run(run)
    assert set(first) == {"leaf"} and first["leaf"].way == COST
    again = opened(home)
    assert again.segmented_control[0].value == HAND
    assert next(b for b in again.button if b.label == "These cuts are kept with the run").disabled


def test_a_moved_cut_moves_matrix_and_worth_and_intervals_are_shown(home: Home) -> None:
    key = f"{home.run('Alpha').id}_leaf"
    test = opened(home)
    before, alt = test.dataframe[0].value, test.get("plotly_chart")[0].proto.alt
    test.session_state[f"cuts_moved_{key}"] = [-9.0, -8.0]  # beyond all scores: every image is called L2
    test.session_state[f"cuts_way_{key}"] = HAND
    test.run()
    assert not test.exception, test.exception
    assert test.get("plotly_chart")[0].proto.alt != alt
    after = dict(test.dataframe[0].value.to_numpy().tolist())
    assert after != dict(before.to_numpy().tolist())
    assert after["L0 called abnormal"].startswith("1.000") and after["L2 called normal"].startswith("0.000")
    press(test, "Keep these cuts with the run")
    kept = home.store.cuts.of_run(home.run("Alpha").id)["leaf"]
    assert (kept.cuts, kept.way) == ((-9.0, -8.0), HAND)
    (cells,) = [block.proto.body for block in test.get("html") if "called L2" in block.proto.body]
    opened_by = re.findall(r'href="(/images[^"]+)"[^>]*>(\d+)</a>', cells)
    assert [number for _, number in opened_by] == ["6", "6", "6"], "every image is called L2"
    assert "level=0.5&amp;called=2" in opened_by[1][0] and f"run={home.run('Alpha').id}" in opened_by[1][0]
    # Intervals of the level, and misses at a set overkill.
    text = " ".join(m.value for m in test.markdown).replace("\\", "")
    assert "Isotonic fit with conformal interval" in text
    assert "No cut promises an overkill of 5 %: that needs 19 normal images" in text
    assert "too few images were set aside" in text
    test.slider[0].set_value(50).run()
    text = " ".join(m.value for m in test.markdown).replace("\\", "")
    assert "±" in text and "too few images" not in text
    test.number_input(key="cuts_overkill").set_value(100.0).run()
    assert "L0.5 0.000" in " ".join(m.value for m in test.markdown).replace("\\", "")


def test_a_cut_on_one_days_normals_shows_what_it_catches_of_each_day(home: Home) -> None:
    table = home.store.dataset(home.dataset).table
    days = table["level"].map(lambda level: "" if level else "monday")
    days[table.index[(table["level"] == 0) & (table.groupby(["subset", "split", "level"]).cumcount() >= 3)]] = "tuesday"
    dataset = Dataset("by day", table.assign(group=days), CARD, "elsewhere")
    by_day = Home(home.store, home.store.add_dataset(Imported(dataset)))
    by_day.add_run("Gamma", lambda row: scored(row, row.level + 0.5 * (row.group == "tuesday")))
    test = opened(by_day)
    test.number_input(key="cuts_overkill").set_value(25.0).run()
    assert not test.exception, test.exception
    caught = next(d.value for d in test.dataframe if "Good parts caught" in d.value)
    assert caught["Group"].tolist() == ["monday", "tuesday"]
    assert caught["Good parts caught"].tolist() == ["0 of 3", "3 of 3"]
    text = " ".join(m.value for m in test.markdown)
    assert "by at most 25 % of new normals of these groups on average; it is placed on 3" in text
    test.multiselect[0].set_value(["monday", "tuesday"]).run()
    caught = next(d.value for d in test.dataframe if "Good parts caught" in d.value)
    assert caught["Good parts caught"].tolist() == ["0 of 3", "0 of 3"]


@pytest.mark.parametrize("given", [None, "x", [1.0], [2.0, 1.0], [float("nan"), 1.0], {"a": 1}])
def test_what_a_browser_sends_is_checked(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    moved: list[list[float]] = []
    monkeypatch.setattr(cut_component, "st", SimpleNamespace(session_state={"plot": {"cuts": given}}))
    cut_component._report("plot", 3, moved.append)
    assert moved == []


def test_cuts_that_fit_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[list[float]] = []
    monkeypatch.setattr(cut_component, "st", SimpleNamespace(session_state={"plot": {"cuts": [1, 2.5]}}))
    cut_component._report("plot", 3, moved.append)
    assert moved == [[1.0, 2.5]]
