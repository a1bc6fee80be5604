"""Metrics under another mix of levels: against test sets that have that mix, and what must not move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mad_core.errors import InputError
from mad_core.metrics.level_mix import bootstrap_level_pairs, expected_cost, level_pairs, reweighted
from mad_core.metrics.ranking import aurocs, c_index, count_pairs, kendall_tau_b

ROWS = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), st.integers(0, 5)), min_size=2, max_size=30)


def same(value: float, other: float | None) -> bool:
    return np.isnan(value) if other is None else value == pytest.approx(other)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_with_the_test_sets_own_mix_they_are_the_plain_metrics(rows: list[tuple[float, int]]) -> None:
    levels, scores = np.array(rows, dtype=float).T
    pairs = level_pairs(levels, scores)
    found = {name: float(value[0]) for name, value in reweighted(pairs, pairs.shares).items()}
    counts = count_pairs(levels, scores)
    assert same(found["c_index"], c_index(counts))
    assert same(found["kendall_tau_b"], kendall_tau_b(counts))
    assert same(found["auroc_whole"], aurocs(counts)["whole"])
    abnormal = levels > 0
    alone = c_index(count_pairs(levels[abnormal], scores[abnormal])) if abnormal.any() else None
    assert same(found["abnormal_c_index"], alone)


def test_another_mix_is_the_metric_of_a_test_set_that_repeats_its_images() -> None:
    """Every L0 image six times over and every L2 twice: the same P for each pair of levels, other numbers of pairs."""
    rng = np.random.default_rng(1)
    levels = np.repeat([0, 1, 2], [10, 8, 12])
    scores = np.round(levels + rng.normal(0, 1.5, 30), 1)
    times = np.array([6, 1, 2])[levels]
    repeated = count_pairs(np.repeat(levels, times), np.repeat(scores, times))
    found = reweighted(level_pairs(levels, scores), [60, 8, 24])
    assert found["c_index"][0] == pytest.approx(c_index(repeated))
    assert found["auroc_whole"][0] == pytest.approx(aurocs(repeated)["whole"])


def test_tau_b_of_a_mix_by_a_loop_over_pairs() -> None:
    rng = np.random.default_rng(2)
    levels, scores = np.repeat([0, 1, 2], [7, 5, 6]), rng.integers(0, 4, 18)
    mix = np.array([0.7, 0.1, 0.2])
    images = 18 * mix
    weight = {}
    for i in range(3):
        for j in range(i, 3):
            n_i, n_j = (levels == i).sum(), (levels == j).sum()
            there = n_i * (n_i - 1) / 2 if i == j else n_i * n_j
            wanted = images[i] * (images[i] - 1) / 2 if i == j else images[i] * images[j]
            weight[i, j] = wanted / there
    concordant = cross = untied = 0.0
    for a in range(18):
        for b in range(a):
            w = weight[tuple(sorted((levels[a], levels[b])))]
            concordant += w * np.sign(scores[a] - scores[b]) * np.sign(levels[a] - levels[b])
            cross += w * (levels[a] != levels[b])
            untied += w * (scores[a] != scores[b])
    found = reweighted(level_pairs(levels, scores), mix)["kendall_tau_b"][0]
    assert found == pytest.approx(concordant / (cross * untied) ** 0.5)


def test_the_auroc_of_each_level_does_not_move() -> None:
    rng = np.random.default_rng(4)
    levels = np.repeat([0, 1, 2], 20)
    scores = levels + rng.normal(0, 1, 60)
    pairs = level_pairs(levels, scores)
    plain = aurocs(count_pairs(levels, scores))
    assert pairs.aurocs() == {1: pytest.approx(plain["1"]), 2: pytest.approx(plain["2"])}
    for level in (1, 2):
        mix = np.zeros(3)
        mix[[0, level]] = 0.9, 0.1
        assert reweighted(pairs, mix)["auroc_whole"][0] == pytest.approx(plain[str(level)])
    assert level_pairs([1, 2], [1.0, 2.0]).aurocs() == {}


def test_more_of_a_level_that_is_easy_raises_the_c_index_and_of_a_hard_one_lowers_it() -> None:
    levels = np.repeat([0, 1, 2], 10)
    scores = np.concatenate([np.zeros(10), np.full(10, 5.0), np.full(10, 0.0)])  # L2 looks normal
    pairs = level_pairs(levels, scores)
    own = reweighted(pairs, [1, 1, 1])["c_index"][0]
    assert reweighted(pairs, [1, 4, 0.1])["c_index"][0] > own > reweighted(pairs, [1, 0.1, 4])["c_index"][0]


def test_a_mix_of_one_level_has_no_order() -> None:
    found = reweighted(level_pairs([0, 0, 1], [1.0, 2.0, 3.0]), [1, 0])
    assert all(np.isnan(value[0]) for value in found.values())


@pytest.mark.parametrize("shares", [[1], [0, 0], [-1, 2], [np.nan, 1], []])
def test_what_is_no_mix_is_a_sentence(shares: list[float]) -> None:
    with pytest.raises(InputError, match=r"[Ss]hare"):
        reweighted(level_pairs([0, 1], [0.0, 1.0]), shares)


def test_draws_hold_the_level_sizes_and_surround_the_value() -> None:
    rng = np.random.default_rng(5)
    levels = np.repeat([0, 1, 2], 40)
    scores = levels + rng.normal(0, 1.2, 120)
    drawn = bootstrap_level_pairs(levels, scores, draws=200, seed=1)
    assert drawn.above.shape == (200, 3, 3) and drawn.sizes.tolist() == [40, 40, 40]
    values = reweighted(drawn, [8, 1, 1])["c_index"]
    low, high = np.percentile(values, (2.5, 97.5))
    assert low < reweighted(level_pairs(levels, scores), [8, 1, 1])["c_index"][0] < high
    again = bootstrap_level_pairs(levels, scores, draws=200, seed=1)
    assert (again.above == drawn.above).all()


def test_expected_cost_is_the_mean_over_images_of_the_mix() -> None:
    rates = np.array([[0.9, 0.1], [0.25, 0.75]])
    cost = np.array([[0.0, 1.0], [20.0, 0.0]])
    assert expected_cost(rates, [3, 1], cost) == pytest.approx(0.75 * 0.1 + 0.25 * 0.25 * 20)
    stacked = expected_cost(np.stack([rates, np.eye(2)]), [3, 1], cost)
    assert isinstance(stacked, np.ndarray) and stacked[1] == 0
