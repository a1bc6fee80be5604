"""Severity from maps, on the Compare page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from mad_core.metrics.summary import evaluate
from mad_core.runs.map_reductions import NAMES, OWN, reduce_run
from mad_core.runs.map_thresholds import FACT, NormalMaps
from mad_core.runs.store import Run, RunSubset
from mad_core.scorers.contract import Scored
from tests.app.conftest import HEIGHT, WIDTH, Home
from tests.app.test_compare_page import written
from tests.app.test_score_page import button

Open = Callable[..., AppTest]
OF = "training normals held out of a second fit on 2 others"


def spotted(home: Home, title: str = "Spots", **how: Any) -> Run:
    """A run whose maps peak by severity and are bright on an area that has nothing to do with it."""
    rng = np.random.default_rng(11)

    def score(row: Any) -> Scored:
        found, side = np.full((HEIGHT, WIDTH), 0.1, np.float32), int(rng.integers(6, 30))
        if row.level:
            found[:side, :side] = 0.8
            found[0, 0] = 1 + row.level + rng.uniform(0, 0.2)
        return Scored(row.image_id, float(found.max()), map=found)

    return home.add_run(title, score, **how)


def with_threshold(home: Home, run: Run, value: float = 0.5) -> None:
    for entry in home.store.run_subsets(run.id):
        facts = {**entry.facts, FACT: NormalMaps(value, 0.999, 8, OF).to_json()}
        home.store.save_run_subset(run.id, RunSubset(entry.subset, entry.fit, 1.0, 2.0, facts))


def table(test: AppTest) -> pd.DataFrame:
    (found,) = [d.value for d in test.dataframe if "Score" in d.value.columns]
    return found.set_index("Score")


def test_reductions_stand_beside_each_other(home: Home, open_page: Open) -> None:
    run = spotted(home)
    with_threshold(home, run)
    test = open_page("compare", within="plate", reduced=run.id)
    assert not test.exception and "Severity from maps" in written(test)
    assert test.selectbox(key="view_reduced").value == run.id
    found = table(test)
    assert list(found.index) == list(NAMES.values())
    rows = reduce_run(home.store, run.id, ["plate"]).table
    for name in ("area", "regions", OWN):
        value = evaluate(rows["level"], rows[name], draws=0)["abnormal_only"]["c_index"]
        assert found.loc[NAMES[name], "C-index, abnormal only"].startswith(f"{value:.3f} [")
    text = written(test).replace("\\", "")
    assert "Maximum follows severity" in text
    assert f"Threshold, plate: the 0.999 quantile of all pixels in the maps of 8 {OF}" in text
    assert "Rank correlation with the area of the mask" in found.columns
    assert not [b for b in test.button if b.label == "Find the threshold"]


def test_an_older_run_gets_its_threshold_by_one_click(home: Home, open_page: Open) -> None:
    run = home.run("Alpha")
    test = open_page("compare", within="plate", reduced=run.id)
    found = table(test)
    assert NAMES["max"] in found.index and NAMES["area"] not in found.index
    text = written(test).replace("\\", "")
    assert f"has no threshold from normals' maps yet; `python -m mad_core resume {run.id}`" in text
    button(test, "Find the threshold").click().run()
    assert not test.exception
    (job,) = home.store.queue.active()
    assert job.payload["run"] == run.id and home.store.run(run.id).active
    assert "The reductions are compared when this run is done." in written(test)


def test_all_subsets_are_averaged_and_the_run_is_in_the_address(home: Home, open_page: Open) -> None:
    run = spotted(home)
    with_threshold(home, run)
    test = open_page("compare")
    test.selectbox(key="view_reduced").select(run.id).run()
    assert test.query_params["reduced"] == run.id
    text = written(test).replace("\\", "")
    assert "never pooled" in text and "Threshold, leaf:" in text and "Threshold, plate:" in text


def test_runs_without_maps_have_no_such_section(home: Home, open_page: Open) -> None:
    bare = spotted(home, "Bare", maps="none")
    test = open_page("compare", within="plate", runs=bare.id)
    assert "Severity from maps" not in written(test)
