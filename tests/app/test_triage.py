"""Triage on Images: worst first, a threshold that counts, lists to take away, and what is done with images."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mad_core.datasets.dataset import Imported
from mad_core.runs.store.tags import ASIDE, AUDIT
from pages.images import triage
from tests.app.conftest import Home, scored
from tests.app.test_images_page import ids, press, tiles, written

Open = Callable[..., AppTest]


@pytest.fixture
def inbox(home: Home) -> Home:
    """The plates, two of three test images without a level; one run whose scores follow what the level was."""
    dataset = home.store.dataset(home.dataset)
    table = dataset.table[dataset.table["subset"] == "plate"].reset_index(drop=True)
    truth = table.set_index("image_id")["level"]
    tests = np.flatnonzero((table["split"] == "test").to_numpy())
    absent = np.setdiff1d(tests, tests[::3])
    bare = replace(dataset, table=table.assign(level=table["level"].mask(table.index.isin(absent))))
    own = Home(home.store, home.store.add_dataset(Imported(bare)))
    rng = np.random.default_rng(3)
    own.add_run("Alpha", lambda row: scored(row, float(truth[row.image_id]) + rng.uniform(0, 0.9)))
    return own


def scores_of(home: Home) -> pd.Series:
    scores: Any = home.store.scores(home.run("Alpha").id).set_index("image_id")["score"]
    return scores


def test_it_opens_on_the_worst_first_with_counts(inbox: Home, open_page: Open) -> None:
    test = open_page("images", dataset=inbox.dataset)
    scores = scores_of(inbox)
    assert ids(test) == scores.sort_values(ascending=False).index.tolist()
    (panel,) = [one for one in test.expander if one.label == "Triage"]
    assert panel.proto.expanded
    levels = inbox.images("plate").set_index("image_id")["level"].reindex(scores.index)
    test = open_page("images", dataset=inbox.dataset, threshold="1.5")
    above = scores >= 1.5
    words = (
        f"{int(above.sum())} of 24 images flagged; of 8 labelled: {int((~above & (levels > 0)).sum())} of 6 abnormal"
    )
    assert words in written(test)
    assert "at least 80%" not in written(test)  # two images a level are too few for a promise


def test_the_slider_moves_and_only_flagged_images_stay(inbox: Home, open_page: Open) -> None:
    test = open_page("images", dataset=inbox.dataset, threshold="1.5", flagged="yes")
    scores = scores_of(inbox)
    assert ids(test) == scores[scores >= 1.5].sort_values(ascending=False).index.tolist()
    (slider,) = [one for one in test.slider if one.label == "Threshold"]
    slider.set_value(slider.max).run()
    assert not test.exception and len(tiles(test)) <= 1 and float(test.query_params["threshold"]) > 3
    (toggle,) = [one for one in test.toggle if one.label == "Flagged only"]
    toggle.set_value(False).run()
    assert len(tiles(test)) == 24 and "flagged" not in test.query_params


def test_lists_and_the_sheet_are_taken_away(inbox: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Callable[[], Any]] = {}
    monkeypatch.setattr(triage, "download", lambda label, name, make: given.update({label: make}))
    open_page("images", dataset=inbox.dataset, threshold="1.5", flagged="yes")
    scores = scores_of(inbox).sort_values(ascending=False)
    flagged = scores[scores >= 1.5]
    csv = pd.read_csv(io.BytesIO(given["List as CSV"]()))
    xlsx = pd.read_excel(io.BytesIO(given["List as Excel"]()))
    for table in (csv, xlsx):
        assert table["Anomaly Score"].tolist() == pytest.approx(flagged.tolist())
        assert set(table["Flagged"]) == {"yes"} and table["File"].str.endswith(".png").all()
        assert table["Severity"].isna().sum() > 0
    assert given["Contact sheet"]().count("<figure>") == len(flagged)


def _with_list(test: AppTest) -> AppTest:
    """A page of images with the list to choose from opened."""
    assert not test.dataframe and not [one for one in test.button if one.key == "to_audit"], (
        "made before it is asked for"
    )
    test.session_state["act"] = True
    return test.run()


def test_images_are_tagged_sent_to_the_audit_and_set_aside(inbox: Home, open_page: Open) -> None:
    query = {"dataset": inbox.dataset, "threshold": "1.5", "flagged": "yes"}
    test = _with_list(open_page("images", **query))
    chosen = set(ids(test))
    test.text_input(key="triage_tag").set_value("to rework").run()
    test.button(key="to_tag").click().run()
    test.button(key="to_audit").click().run()
    assert not test.exception
    tags = inbox.store.tags.of(inbox.dataset)
    assert set(tags) == chosen and set(tags.values()) == {(AUDIT, "to rework")}
    test.button(key="to_aside").click().run()
    assert "No image passes these filters" in written(test)
    assert len(tiles(open_page("images", dataset=inbox.dataset))) == 24 - len(chosen)
    test = _with_list(open_page("images", dataset=inbox.dataset, tag=ASIDE))
    assert set(ids(test)) == chosen
    press(test, f"No longer {ASIDE}")
    assert len(tiles(open_page("images", dataset=inbox.dataset))) == 24


def test_images_marked_as_normal_make_a_version_to_be_fitted(inbox: Home, open_page: Open) -> None:
    before = len(inbox.store.dataset(inbox.dataset).normals("plate"))
    normal = inbox.images("plate").query("level == 0")["template_path"].iloc[0]
    test = _with_list(open_page("images", dataset=inbox.dataset, find=normal))
    test.button(key="to_normal").click().run()
    assert not test.exception and not test.error
    (made,) = [info for info in inbox.store.datasets() if "more normals" in info.name]
    assert test.query_params["dataset"] == made.id
    assert len(inbox.store.dataset(made.id).normals("plate")) == before + 1
    severe = inbox.images("plate").query("level == 3")["template_path"].iloc[0]
    test = _with_list(open_page("images", dataset=inbox.dataset, find=severe))
    test.button(key="to_normal").click().run()
    assert "labelled abnormal" in written(test)


def test_images_without_normals_are_said_and_chosen_on_data(inbox: Home, open_page: Open) -> None:
    dataset = inbox.store.dataset(inbox.dataset)
    tests = dataset.table[dataset.table["split"] == "test"].reset_index(drop=True)
    bare = inbox.store.add_dataset(Imported(replace(dataset, table=tests.assign(level=np.nan), source="inbox")))
    test = open_page("data", dataset=bare)
    assert "None of the images of 'plate' is known to be normal" in " ".join(one.value for one in test.warning)
    test.button(key=f"own_normals_{bare}").click().run()
    assert not test.exception and not test.error
    made = inbox.store.dataset(test.query_params["dataset"])
    assert len(made.normals("plate")) == len(tests.drop_duplicates("content_hash"))
    assert any("detectors learn from the half of" in one.value for one in test.caption)


def test_more_images_come_in_from_the_data_page(
    inbox: Home, open_page: Open, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAD_ALLOWED_ROOTS", str(tmp_path))
    (tmp_path / "monday").mkdir()
    test = open_page("data", dataset=inbox.dataset)
    (path,) = [one for one in test.text_input if one.placeholder == "/data/parts/monday"]
    path.set_value(str(tmp_path / "monday"))
    next(one for one in test.button if one.label == "Add images").click().run()
    assert not test.exception and not test.error
    (job,) = [job for job in inbox.store.queue.active() if job.kind == "import"]
    assert job.payload["to"] == inbox.dataset and job.payload["source"] == str((tmp_path / "monday").resolve())
