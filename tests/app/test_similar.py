"""Similar pictures below an image: asked for where they are not known, else the nearest with what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from mad_core.runs.jobs import FeaturesJob
from mad_core.runs.picture_features import space_of
from mad_core.runs.picture_space import ALL, write_space
from tests.app.conftest import Home
from tests.app.test_images_page import component, written

Open = Callable[..., AppTest]


def keep_space(home: Home, subset: str) -> dict[str, float]:
    """Pictures on a line, in the order of the dataset's table, as if the job had been done: place by id."""
    rows = home.store.dataset(home.dataset).select(subset=subset or None)
    places = np.arange(len(rows), dtype=np.float32) ** 1.1
    raw = np.stack([places, np.zeros_like(places)], axis=1)
    ids, hashes = (rows[name].to_numpy().astype(str) for name in ("image_id", "content_hash"))
    write_space(home.store.settings, home.dataset, subset, space_of(ids, hashes, raw))
    return dict(zip(ids.tolist(), places.tolist(), strict=True))


def tiles(test: AppTest) -> list[dict[str, Any]]:
    return component(test, "similar_pictures")["tiles"]


def test_one_button_has_the_worker_look(home: Home, open_page: Open) -> None:
    first = home.images("plate")["image_id"].iloc[0]
    test = open_page("images", subset="plate", image=first)
    assert "Which pictures are alike is not known yet" in written(test)
    test.button(key="features_similar").click().run()
    assert not test.exception
    job = home.store.queue.active_for(FeaturesJob(home.dataset).key)
    assert job is not None and "features_similar" not in [button.key for button in test.button]
    home.store.queue.request_cancel(job.id)


def test_the_nearest_open_with_level_and_score(home: Home, open_page: Open) -> None:
    places, row = keep_space(home, "plate"), home.images("plate").iloc[9]
    test = open_page("images", subset="plate", image=row["image_id"])
    shown = tiles(test)
    expected = sorted(places, key=lambda one: abs(places[one] - places[row["image_id"]]))[1:13]
    assert [tile["image_id"] for tile in shown] == expected
    scores = home.store.scores(home.run("Alpha").id).set_index("image_id")["score"]
    for tile in shown:
        assert (
            tile["badge"] in ("very alike", "alike", "somewhat alike", "less alike") and "% of pairs" in tile["title"]
        )
        assert tile["title"] in tile["alt"] and tile["level_label"]
        there = tile["image_id"] in scores.index
        assert tile["score_label"] == (f"{scores[tile['image_id']]:.4g}" if there else "")
    assert "Scores of Alpha" in written(test)


def test_all_subsets_are_looked_through_when_asked(home: Home, open_page: Open) -> None:
    keep_space(home, "plate")
    image = home.images("plate")["image_id"].iloc[0]
    assert "not known yet" in written(open_page("images", subset="plate", image=image, near="all"))
    places = keep_space(home, ALL)
    test = open_page("images", subset="plate", image=image, near="all")
    assert {tile["image_id"] for tile in tiles(test)} <= set(places) and len(tiles(test)) == 12


def test_a_picture_that_came_later_is_said_to_be_new(home: Home, open_page: Open) -> None:
    keep_space(home, "leaf")
    image = home.images("plate")["image_id"].iloc[0]
    space_of_leaf = home.store.settings.features / home.dataset
    (path,) = space_of_leaf.glob("*.npz")
    keep_space(home, "plate")
    (other,) = set(space_of_leaf.glob("*.npz")) - {path}
    path.replace(other)
    assert "came after the look" in written(open_page("images", subset="plate", image=image))
