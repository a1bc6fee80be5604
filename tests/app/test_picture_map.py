"""The map of pictures on Images: what it shows, what is selected on it, and the gallery that follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from mad_core.runs.jobs import FeaturesJob
from mad_core.runs.picture_space import ALL, GROUP, PCA, MapPart, read_space
from pages.images import map_component, picture_map
from tests.app.conftest import Home
from tests.app.test_images_page import component, ids, written
from tests.app.test_similar import keep_space
from tests.app.test_unlabelled_pages import without_levels

Open = Callable[..., AppTest]


def the_map(test: AppTest) -> dict[str, Any]:
    return component(test, "picture_map")


def test_the_map_is_asked_for_and_shows_all_pictures_of_the_split(home: Home, open_page: Open) -> None:
    test = open_page("images", subset="plate", map="shown")
    assert "Nobody has looked at this dataset's pictures" in written(test)
    test.button(key="features_map").click().run()
    job = home.store.queue.active_for(FeaturesJob(home.dataset).key)
    assert job is not None
    home.store.queue.request_cancel(job.id)
    keep_space(home, "plate")
    shown = the_map(open_page("images", subset="plate", map="shown", level="2"))
    images = home.images("plate").set_index("image_id")
    assert shown["ids"] == images.index.tolist()
    assert [bool(on) for on in shown["on"]] == (images["level"] == 2).tolist()
    assert [kind["label"] for kind in shown["legend"]] == ["L0 · intact", "L1 · light", "L2 · moderate", "L3 · severe"]
    assert [kind["count"] for kind in shown["legend"]] == [6, 6, 6, 6]
    assert [shown["legend"][c]["label"][:2] for c in shown["c"]] == [f"L{level:g}" for level in images["level"]]
    assert "L1 · light 6" in shown["alt"] and all("score" in text for text in shown["texts"])


def test_a_lasso_makes_the_list_with_its_address(home: Home, open_page: Open) -> None:
    keep_space(home, "plate")
    space = read_space(home.store.settings, home.dataset, "plate")
    assert space is not None
    corners = ((-1, -1), (400, -1), (400, 1001), (-1, 1001))
    part = MapPart(PCA, False, space.keys[PCA], tuple((max(x, 0), max(y, 0)) for x, y in corners))
    chosen, images = part.of(space), home.images("plate")["image_id"].tolist()
    assert chosen is not None
    expected = {image for image in images if image in chosen}
    assert 0 < len(expected) < len(images)
    test = open_page("images", subset="plate", map="shown", region=part.to_text())
    assert set(ids(test)) == expected and the_map(test)["outline"] == [list(corner) for corner in part.corners]
    assert f"{len(chosen):,} pictures are selected on the map" in written(test)
    test = open_page("images", subset="plate", region=part.to_text(), image=next(iter(expected)))
    assert f"of {len(expected)}" in written(test)  # steps stay within the selection
    stale = MapPart(PCA, False, "00000000", part.corners).to_text()
    test = open_page("images", subset="plate", map="shown", region=stale)
    assert len(ids(test)) == 24 and "no longer there" in written(test)
    next(button for button in test.button if button.label == "Drop the selection").click().run()
    assert "region" not in test.query_params and not test.exception


def test_pictures_alike_are_selected_without_a_pointer(home: Home, open_page: Open) -> None:
    keep_space(home, "plate")
    space = read_space(home.store.settings, home.dataset, "plate")
    assert space is not None
    test = open_page("images", subset="plate", map="shown")
    test.selectbox(key="map_group").set_value(1).run()
    assert not test.exception
    images = set(home.images("plate")["image_id"])
    assert set(ids(test)) == set(space.image_ids[space.groups == 1].tolist()) & images
    part = MapPart.from_text(str(test.query_params["region"]))
    assert part is not None and (part.map, part.group) == (GROUP, 1)


def test_colours_of_all_subsets_by_subset_score_and_call(home: Home, open_page: Open) -> None:
    keep_space(home, "plate")
    keep_space(home, ALL)
    test = open_page("images", subset="plate", map="shown", of="all", colour="subset")
    shown = the_map(test)
    rows = home.store.dataset(home.dataset).select(split="test")
    assert len(shown["ids"]) == len(rows) and [k["label"] for k in shown["legend"]] == ["leaf", "plate"]
    assert [shown["legend"][c]["label"] for c in shown["c"]] == rows["subset"].tolist()
    beta = home.run("Beta").id
    shown = the_map(open_page("images", subset="plate", map="shown", run=beta, colour="score"))
    assert shown["c"].count(picture_map.STEPS) == 1 == shown["legend"][-1]["count"]  # the failed one has no colour
    alpha = home.run("Alpha").id
    shown = the_map(open_page("images", subset="plate", map="shown", run=alpha, colour="call"))
    assert sum(kind["count"] for kind in shown["legend"]) == 24


def test_where_nothing_has_a_level_the_score_colours(home: Home, open_page: Open) -> None:
    own = without_levels(home, 1)
    keep_space(own, "plate")
    test = open_page("images", dataset=own.dataset, subset="plate", map="shown")
    (choice,) = [c for c in test.button_group if c.label == "Coloured by"]
    assert list(choice.options) == ["Score", "Level"] and choice.value == "score"


def test_few_of_many_are_drawn_and_it_says_so(home: Home, open_page: Open, monkeypatch: Any) -> None:
    keep_space(home, "plate")
    monkeypatch.setattr(picture_map, "MOST_DRAWN", 10)
    test = open_page("images", subset="plate", map="shown")
    assert len(the_map(test)["ids"]) == 10 and "10 of 24 pictures are drawn" in written(test)


def test_only_corners_are_taken_from_the_browser(monkeypatch: Any) -> None:
    taken: list[Any] = []

    def sent(value: Any) -> None:
        monkeypatch.setattr(map_component.st, "session_state", {"m": {"region": value, "open": value}})
        map_component._enclosed("m", taken.append)
        map_component._opened("m", {"a"}, taken.append)

    good = {"corners": [[0, 0], [1000, 5], [7, 9]]}
    for value in (
        None,
        "x",
        {"corners": [[0, 0, 1]]},
        {"corners": [[0, 1001]]},
        {"corners": [[0.5, 1]]},
        {"corners": [[0, 0]] * 101},
    ):
        sent(value)
    assert not taken
    sent(good)
    sent("a")
    assert taken == [((0, 0), (1000, 5), (7, 9)), "a"] and np.ndim(taken[0]) == 2
