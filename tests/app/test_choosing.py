"""Groups in the gallery, and images that are chosen in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.images import choosing
from pages.images import page as images_page
from tests.app.conftest import Home
from tests.app.test_images_page import component, ids, press, tiles, written

Open = Callable[..., AppTest]


def test_images_stand_in_groups_of_their_level_or_defect(home: Home, open_page: Open) -> None:
    table = home.images("plate").set_index("image_id")
    test = open_page("images", subset="plate", group="level", sort="highest score")
    levels = table["level"].reindex(ids(test)).tolist()
    assert levels == sorted(levels, reverse=True)
    names = {0.0: "L0 · intact", 1.0: "L1 · light", 2.0: "L2 · moderate", 3.0: "L3 · severe"}
    assert [tile["group"] for tile in tiles(test)] == [f"{names[level]} (6)" for level in levels]
    scores = home.store.scores(home.run("Alpha").id).set_index("image_id")["score"].reindex(ids(test))
    for start in range(0, 24, 6):
        assert scores.iloc[start : start + 6].is_monotonic_decreasing
    test = open_page("images", subset="plate", group="defect")
    assert [tile["group"] for tile in tiles(test)][::6] == ["crack (6)", "dent (6)", "scratch (6)", "no defect (6)"]
    assert not any(tile["group"] for tile in tiles(open_page("images", subset="plate")))


def test_what_is_chosen_is_acted_upon_and_stays_over_pages(
    home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = open_page("images", subset="plate")
    assert component(test, "gallery")["chosen"] == [] and "chosen" not in written(test)
    first = ids(test)
    key = (home.dataset, "plate")
    test.session_state[choosing._KEY] = {key: frozenset(first[:3])}
    test.run()
    assert component(test, "gallery")["chosen"] == first[:3] and "3 images chosen" in written(test)
    test.text_input(key="triage_tag_chosen").set_value("later").run()
    test.button(key="to_tag_chosen").click().run()
    assert not test.exception
    assert {i for i, tags in home.store.tags.of(home.dataset).items() if "later" in tags} == set(first[:3])
    press(test, "Choose none")
    assert component(test, "gallery")["chosen"] == []

    state: dict[str, Any] = {choosing._KEY: {key: frozenset({"elsewhere", first[0]})}}
    monkeypatch.setattr(choosing.st, "session_state", state)
    view: Any = type("V", (), {"info": type("I", (), {"id": home.dataset}), "subset": "plate"})
    choosing.choose(view, first, first[1:3])
    assert choosing.chosen(view) == {"elsewhere", *first[1:3]}


def test_what_is_chosen_is_read_once_however_many_images_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {("d", "plate"): frozenset({"7"})}
    drawn = MagicMock()
    drawn.session_state.get.return_value = kept
    monkeypatch.setattr(choosing, "st", drawn)
    acted: list[list[str]] = []
    monkeypatch.setattr(choosing, "acts", lambda view, ids, place: acted.append(ids))
    view: Any = MagicMock(subset="plate", images=pd.DataFrame({"image_id": [str(i) for i in range(500)]}))
    view.info.id = "d"
    choosing.chosen_bar(view)
    assert acted == [["7"]]
    assert drawn.session_state.get.call_count == 1


def test_headings_are_written_for_a_page_and_count_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(images_page, "level_text", lambda level, card: asked.append(level) or f"L{level:g}")
    view: Any = MagicMock()
    view.wanted.group = "level"
    levels = [0.0] * 2000 + [1.0] * 1000 + [float("nan")] * 7
    shown = pd.DataFrame(
        {"image_id": [str(i) for i in range(3007)], "level": levels, "defect": [None, "dent", "x"] * 1002 + [None]}
    )
    rows = shown.iloc[[0, 2000, 3006]]
    assert images_page._groups(view, shown, rows) == {"0": "L0 (2,000)", "2000": "L1 (1,000)", "3006": "Lnan (7)"}
    assert len(asked) == 6
    view.wanted.group = "defect"
    assert images_page._groups(view, shown, rows) == {
        "0": "no defect (1,003)",
        "2000": "x (1,002)",
        "3006": "no defect (1,003)",
    }
