"""Calibration images set aside on the Data page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.runs.results import run_table
from mad_core.runs.store import RunRequest
from tests.app.conftest import LEVELS, PER_LEVEL, Home
from tests.app.test_score_page import button, written

Open = Callable[..., AppTest]


def test_images_set_aside_leave_every_metric_of_a_new_dataset(home: Home, open_page: Open) -> None:
    before = home.store.dataset(home.dataset)
    test = open_page("data", subset="plate")
    test.number_input(key=f"calibrate_{home.dataset}").set_value(2).run()
    taken = 2 * sum(len(levels) for levels in LEVELS.values())
    assert f"**{taken} images** leave every metric" in written(test)
    (table,) = [d.value for d in test.dataframe if "L0.5" in d.value.columns and "Split" not in d.value.columns]
    plate = table.set_index("Subset").loc["plate"]
    assert plate["L3"] == f"2 of {PER_LEVEL}" and plate.isna()["L0.5"]
    button(test, "Set aside").click().run()
    assert not test.exception
    made = test.query_params["dataset"]
    made = made if isinstance(made, str) else made[0]
    assert made != home.dataset
    after = home.store.dataset(made)
    assert after.name == "parts, 2 a level for calibration" and after.card == before.card
    counts = {e["subset"]: e for e in after.counts()}["plate"]
    assert counts["calibration"] == {"0": 2, "1": 2, "2": 2, "3": 2} and counts["test"]["3"] == PER_LEVEL - 2
    run = home.store.request_run(RunRequest(made, "filterbank", {}))
    aside = set(after.select(split="calibration")["image_id"])
    assert run.total == 42 - taken and not aside & set(run_table(home.store, run.id)["image_id"])
    assert home.store.dataset(home.dataset).version == before.version  # the old one stands beside it
    assert len(home.store.runs(home.dataset)) == 2


def test_the_same_wish_again_is_the_same_dataset(home: Home, open_page: Open) -> None:
    for _ in range(2):
        test = open_page("data")
        button(test, "Set aside").click().run()
    assert len(home.store.datasets()) == 2
    again = open_page("data", dataset=home.store.datasets()[-1].id)
    assert "has 14 images set aside already" in written(again)


@pytest.mark.parametrize("asked", [3, 100])
def test_a_level_keeps_half_of_its_images(home: Home, open_page: Open, asked: int) -> None:
    test = open_page("data")
    test.number_input(key=f"calibrate_{home.dataset}").set_value(asked).run()
    assert f"**{7 * PER_LEVEL // 2} images** leave every metric" in written(test)


def test_without_test_images_to_spare_it_says_so(home: Home, open_page: Open) -> None:
    dataset = home.store.dataset(home.dataset)
    bare = dataset.table.assign(split=np.where(dataset.table["split"] == "test", "train", dataset.table["split"]))
    test = open_page("data", dataset=home.store.add_dataset(Imported(Dataset("bare", bare, source=dataset.source))))
    assert "too few test images" in written(test)
