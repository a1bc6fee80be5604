"""The stage: what stands on it for an image of the gallery and a step of the tour, how it is led on and left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from mad_core.figures import boxes_of_levels
from pages.images import one_image
from tests.app.conftest import PER_LEVEL, Home, scored
from tests.app.test_guide import demo, done  # noqa: F401  (fixtures)
from tests.app.test_images_page import component, ids, press, written

Open = Callable[..., AppTest]


def on_stage(test: AppTest) -> dict[str, Any]:
    return component(test, "stage")


def test_the_stage_shows_one_picture_with_all_that_is_said_of_it(home: Home, open_page: Open) -> None:
    model = home.add_run("Model", lambda row: scored(row, row.level, reason=f"A {row.defect} of level {row.level}."))
    row = home.images("plate").iloc[2 * PER_LEVEL]
    query: dict[str, Any] = {"subset": "plate", "run": home.run("Beta").id, "image": row["image_id"]}
    test = open_page("images", **query)
    press(test, "Stage")
    assert test.query_params["stage"] == "yes"
    picture = on_stage(test)["picture"]
    assert picture["level"]["text"] == "L2 · moderate" and picture["map"]["title"] == "Beta"
    assert picture["map"]["url"].startswith(f"/map/{home.run('Beta').id}/{row['image_id']}")
    assert (picture["reason"], picture["by"]) == ("A dent of level 2.0.", model.title)
    places = picture["places"]
    assert [place["title"] for place in places] == ["Beta", "Alpha"]  # the run in view first, and room for two
    assert "Rank " in places[0]["words"] and "above" in places[0]["sentence"]
    assert len(places[0]["boxes"]["rows"]) == 4
    drawn = [e for e in test.get("bidi_component") if not e.proto.id.endswith("frame")]  # which draws nothing
    assert not test.get("multiselect") and len(drawn) == 1  # nothing else is drawn
    assert on_stage(test)["words"] is None


def test_it_begins_with_the_first_of_the_gallery_and_its_keys_lead_on_and_out(
    home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    query: dict[str, Any] = {"subset": "plate", "sort": "lowest score", "run": home.run("Alpha").id}
    order = ids(open_page("images", **query))
    test = open_page("images", stage="yes", **query)
    picture = on_stage(test)["picture"]
    assert picture["original"].startswith(f"/image/{home.dataset}/{order[0]}/original")
    assert (picture["count"], picture["before"], picture["after"]) == ("1 of 24", False, True)
    assert order[1] in " ".join(on_stage(test)["prefetch"])
    asked = ["next", "next", "previous", "leave"]

    def keys(picture: Any, *, on_move: Callable[[str], None], on_leave: Callable[[], None], **more: Any) -> None:
        key = asked.pop(0)
        on_leave() if key == "leave" else on_move(key)
        st.rerun()

    monkeypatch.setattr(one_image, "stage", keys)
    test = open_page("images", stage="yes", **query)
    assert test.query_params["image"] == order[1] and "stage" not in test.query_params
    assert "2 of 24" in written(test)


def test_a_failed_image_and_one_without_runs_say_so(home: Home, open_page: Open) -> None:
    broken = home.images("plate").query("level == 1")["image_id"].iloc[0]
    test = open_page("images", image=broken, stage="yes", run=home.run("Beta").id)
    assert (
        on_stage(test)["picture"]["places"][0] | {"words": "Failed: The file is cut off."}
        == (on_stage(test)["picture"]["places"][0])
    )
    normal = home.images("plate", "train")["image_id"].iloc[0]
    picture = on_stage(open_page("images", image=normal, stage="yes"))["picture"]
    assert picture["places"] == [] and picture["map"] is None and picture["level"]["text"] == "L0 · intact"


@pytest.mark.parametrize(("number", "page"), [(4, "images"), (6, "compare")])
def test_the_tour_is_led_on_the_stage(done: Home, open_page: Open, number: int, page: str) -> None:  # noqa: F811
    test = open_page(page, guide=str(number), dataset="", stage="yes")
    shown = on_stage(test)
    assert shown["words"]["title"].startswith(f"{number} of ") and "\\" not in shown["words"]["text"]
    assert (shown["picture"] is not None) == (page == "images")
    assert not test.title or page == "images"  # words stand in place of the page, which is not drawn below them
    (onwards,) = [link.proto for link in test.get("page_link") if link.proto.label == "Next"]
    assert "stage=yes" in onwards.query_string and f"guide={number + 1}" in onwards.query_string


def test_boxes_lie_on_one_axis() -> None:
    levels = np.repeat([0.0, 1.0, 2.0], 5)
    scores = np.concatenate([np.arange(5.0), np.arange(5.0) + 2, [np.nan] * 5])
    boxes = boxes_of_levels(levels, scores, 8.0, level_names={1.0: "light"}, theme="light")
    assert boxes["mark"] == 1.0 and [row["label"] for row in boxes["rows"]] == ["L0", "L1 · light"]
    assert boxes["rows"][0] | {"ends": [0.0, 0.5], "middle": [0.125, 0.375], "median": 0.25} == boxes["rows"][0]
    alone = boxes_of_levels([1.0], [3.0], 3.0, level_names={}, theme="dark")
    assert alone["mark"] == 0.0 and alone["rows"][0]["ends"] == [0.0, 0.0]
    decades = [np.geomspace(low, high, 20) for low, high in ((1, 2), (100, 120), (1e4, 1e6))]
    wide = np.repeat([0.0, 1.0, 2.0], 20), np.concatenate(decades)
    assert 0.1 < boxes_of_levels(*wide, 1e2, level_names={}, theme="light")["mark"] < 0.9
    with pytest.raises(ValueError, match="no place"):
        boxes_of_levels(levels, scores, np.nan, level_names={}, theme="light")
