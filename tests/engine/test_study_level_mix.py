"""The level mix: what it says of the change, and that the opposite data say the opposite."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from mad_core.errors import InputError
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.studies.level_mix import field_mix, level_mix, prepare
from mad_core.studies.sampling import Sample

PARAMETERS = {"normal": 0.9, "under": 5.0, "over": 1.0}


def sample(scores: np.ndarray, levels: np.ndarray) -> Sample:
    table = pd.DataFrame({"image_id": [f"i{n}" for n in range(len(levels))], "subset": "a", "level": levels})
    return Sample({"r": table.assign(score=scores)}, {"r": "Scorer"}, len(levels), len(levels), 200)


def data(detects: float, orders: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    levels = np.repeat([0.0, 1.0, 2.0, 3.0], 60)
    return detects * (levels > 0) + orders * levels + rng.normal(0, 1, 240), levels


def test_a_detector_gains_where_normals_abound_and_one_that_only_orders_loses() -> None:
    gains = level_mix(sample(*data(6, 0)), PARAMETERS).sentence
    scores, levels = data(0, 3)
    loses = level_mix(sample(np.where(levels == 0, 6, scores), levels), PARAMETERS).sentence
    assert "the C-index rises for Scorer" in gains and "falls" not in gains
    assert "the C-index falls for Scorer" in loses and "rises" not in loses
    nothing = level_mix(sample(*data(0, 0)), PARAMETERS).sentence
    assert "there is no clear difference in the C-index for Scorer" in nothing


def test_the_test_sets_mix_is_the_plain_metric_and_aurocs_are_listed() -> None:
    scores, levels = data(2, 1)
    finding = level_mix(sample(scores, levels), PARAMETERS)
    table = finding.tables["metrics"].set_index("mix")
    assert table.loc["test set", "c_index"] == pytest.approx(c_index(count_pairs(levels, scores)))
    assert finding.tables["auroc_per_level"]["level"].tolist() == [1, 2, 3]


def test_a_mix_of_the_field_sums_up_to_one() -> None:
    assert field_mix(np.array([0, 1, 2]), 0.7) == pytest.approx([0.7, 0.2, 0.1])
    assert field_mix(np.array([1, 2]), 0.7).sum() == pytest.approx(1)


def test_a_move_of_a_slider_is_fast() -> None:
    rng = np.random.default_rng(1)
    levels = rng.integers(0, 5, 4000)
    ready = prepare(levels, levels + rng.normal(0, 1, 4000), draws=50)
    start = time.perf_counter()
    found = ready.under([5, 1, 1, 1, 1])
    assert time.perf_counter() - start < 0.2
    assert found["c_index"][1] and np.isfinite(found["cost"][0])


def test_one_level_is_a_sentence() -> None:
    with pytest.raises(InputError, match="two levels"):
        level_mix(sample(np.arange(4.0), np.ones(4)), PARAMETERS)
