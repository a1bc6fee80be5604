"""The level mix: what it says of the change, and that the opposite data say the opposite."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from mad_core.errors import InputError
from mad_core.metrics.decisions import crossed_confusion, cuts_by_cost, distance_cost, mean_cost, ordinal_confusion
from mad_core.metrics.intervals import expanded
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.studies.level_mix.run import field_mix, level_mix, prepare
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
    assert found["c_index"].interval() and found["cost"].interval()


def test_one_level_is_a_sentence() -> None:
    with pytest.raises(InputError, match="two levels"):
        level_mix(sample(np.arange(4.0), np.ones(4)), PARAMETERS)


def test_every_metric_has_an_interval_and_the_change_is_paired() -> None:
    table = level_mix(sample(*data(2, 1)), PARAMETERS).tables["metrics"].set_index("mix")
    for name in ("c_index", "abnormal_c_index", "kendall_tau_b", "auroc_whole", "cost"):
        for mix in ("test set", "field", "change"):
            assert table.loc[mix, f"{name}_low"] <= table.loc[mix, name] <= table.loc[mix, f"{name}_high"]
        assert table.loc["change", name] == pytest.approx(table.loc["field", name] - table.loc["test set", name])
    wide = table.loc["test set", "c_index_high"] - table.loc["test set", "c_index_low"]
    assert table.loc["change", "c_index_high"] - table.loc["change", "c_index_low"] < wide


def test_the_cost_is_not_flattered_by_the_images_that_cuts_were_placed_on() -> None:
    """Scores that know nothing: cuts placed on the same images seem to save something, on others they do not."""
    levels = np.repeat([0.0, 1.0, 2.0], 8)
    cost = distance_cost([0, 1, 2], 1, 1)
    same, other = [], []
    for seed in range(60):
        scores = np.random.default_rng(seed).normal(0, 1, 24)
        cuts = cuts_by_cost(levels, scores, [0, 1, 2], cost)
        same.append(mean_cost(ordinal_confusion(levels, scores, cuts, [0, 1, 2]), cost))
        counts = crossed_confusion(levels, scores, [0, 1, 2], cost, seed=seed)
        assert counts.sum(axis=1).tolist() == [8, 8, 8]
        other.append(mean_cost(counts, cost))
    best_blind = 2 / 3  # all called L1
    assert np.mean(same) < best_blind - 0.05 < best_blind < np.mean(other)


def test_where_detection_and_order_are_equally_good_hardly_anything_is_claimed() -> None:
    """Pairs of any two levels are ordered equally well, so no mix changes the C-index."""
    claims = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        levels = np.repeat([0.0, 1.0, 2.0, 3.0], 30)
        said = level_mix(sample(rng.normal(0, 1, 120), levels), PARAMETERS, seed=seed).sentence
        claims += "rises" in said or "falls" in said
    assert claims <= 3


def test_a_claim_with_few_images_asks_for_more() -> None:
    """Student's factor: 2.093 for 20 images a level where a normal distribution has 1.960."""
    assert expanded(0.95, 100_000) == pytest.approx(0.95, abs=1e-5)
    assert expanded(0.95, 20) == pytest.approx(1 - 2 * norm.sf(2.093 * (20 / 19) ** 0.5), abs=1e-4)
    asked = [expanded(0.95, n) for n in (2, 3, 5, 10, 50)]
    assert asked == sorted(asked, reverse=True) and asked[1] < 1 == expanded(0.95, 1)
