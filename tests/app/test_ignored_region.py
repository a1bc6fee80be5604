"""The region that is left out of pictures: drawn on the Data page, shown, taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from mad_core.ignored import IgnoredRegion
from mad_core.runs.store.records import PARENT
from mad_core.scorers.contract import Scored
from pages.data import ignored
from tests.app.conftest import Home
from tests.app.test_data_page import button, written

Open = Callable[..., AppTest]


def test_boxes_make_a_dataset_of_their_own_and_can_be_taken_back(
    home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ignored, "_BOXES", lambda **_: None)  # AppTest draws no components
    (before, *_) = home.store.datasets()
    subset = home.store.dataset(before.id).subsets[0]
    test = open_page("data", dataset=before.id, subset=subset)
    assert any(e.label == "Region left out: none" for e in test.expander)
    button(test, "Leave this out").click()
    test.run()
    assert "Draw a box" in "".join(e.value for e in test.error)
    test.session_state[f"ignored_boxes_{subset}"] = {"boxes": [[0.0, 0.0, 0.5, 0.25]]}
    button(test, "Leave this out").click()
    test.run()
    assert not test.exception
    (made,) = [i for i in home.store.datasets() if i.card.subset(subset).ignored is not None]
    assert made.card.subset(subset).ignored == IgnoredRegion.of_boxes([(0, 0, 0.5, 0.25)])
    assert any("12 % of each picture left out" in e.label for e in test.expander)
    button(test, "Leave nothing out").click()
    test.run()
    assert not test.exception and "Region left out: none" in [e.label for e in test.expander]
    assert written(test)


@pytest.mark.parametrize("boxes", [None, 3, [], [[0, 0, 1]], [["a", 0, 1, 1]], "boxes"])
def test_what_is_no_boxes_is_refused(boxes: object) -> None:
    assert not ignored._are_boxes(boxes)


def test_a_run_says_what_was_left_out_and_what_further_normals_changed(home: Home, open_page: Open) -> None:
    (parent, *_) = [run for run in home.store.runs() if run.status == "done"]
    dataset = home.store.dataset(parent.dataset_id)
    request = replace(parent.asked, title="With more", parent=parent.id)
    scores = home.store.scores(parent.id)
    before: dict[str, float] = dict(scores[["image_id", "score"]].dropna().itertuples(index=False, name=None))
    results = {
        subset: [
            Scored(i, 2 * before[i]) if i in before else Scored.failed(i, "unreadable", "No image.")
            for i in home.store.test_images(dataset, [subset])["image_id"]
        ]
        for subset in parent.subsets
    }
    record = {PARENT: parent.id, "ignored": {parent.subsets[0]: 0.25}}
    run = home.store.keep_results(request, results, record)
    test = open_page("score", dataset=parent.dataset_id, run=run.id)
    assert not test.exception
    assert any("joined the fit of" in e.label for e in test.expander)
    assert "left out of fits, scores, maps and areas" in written(test) and "25 %" in written(test)
    table: Any
    (table,) = [d.value for d in test.dataframe if "Change" in d.value.columns]
    known = table.dropna()
    assert len(known) and ((known["Change"] - known["Before"]).abs() < 1e-6).all()
    home.store.delete_run(run.id)
