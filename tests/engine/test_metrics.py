"""Metrics against scikit-learn, scipy and a brute-force twin."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mad_core.errors import InputError
from mad_core.metrics.differences import differences
from mad_core.metrics.intervals import METRICS, bootstrap
from mad_core.metrics.ranking import (
    aurocs,
    c_index,
    count_pairs,
    inversion_matrix,
    kendall_tau_b,
    reference_points,
)
from mad_core.metrics.summary import AS_IS_NOTE, ROUNDED_UP_NOTE, evaluate, ordered

some_scores = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, allow_subnormal=False), st.sampled_from([0.5, 1e300, -1e-300])
)
samples = st.lists(
    st.tuples(st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0, 1.5, 2.0, 3.0, 6.0]), some_scores), min_size=1, max_size=40
)


def brute_c_index(levels: np.ndarray, scores: np.ndarray) -> float | None:
    right = pairs = 0.0
    for i, j in itertools.combinations(range(len(levels)), 2):
        a, b = levels[i], levels[j]
        if a != b:
            high, low = (i, j) if a > b else (j, i)
            pairs += 1
            right += 1.0 if scores[high] > scores[low] else 0.5 if scores[high] == scores[low] else 0.0
    return right / pairs if pairs else None


@settings(max_examples=300, deadline=None)
@given(samples)
def test_metrics_equal_their_twins(sample: list[tuple[float, float]]) -> None:
    raw, scores = (np.array(column) for column in zip(*sample, strict=True))
    for levels in (raw, np.ceil(raw)):
        compare_with_twins(levels, scores)
    rounded = evaluate(raw, scores, draws=0, rounding="rounded-up")
    assert rounded | {"notes": []} == evaluate(np.ceil(raw), scores, draws=0) | {"notes": []}


def compare_with_twins(levels: np.ndarray, scores: np.ndarray) -> None:
    counts = count_pairs(levels, scores)
    expected = brute_c_index(levels, scores)
    assert c_index(counts) == (None if expected is None else pytest.approx(expected, abs=1e-12))
    tau = stats.kendalltau(levels, scores).statistic
    ours = kendall_tau_b(counts)
    assert ours == (None if not math.isfinite(tau) else pytest.approx(tau, abs=1e-12))
    if 0 < (levels > 0).sum() < len(levels):
        assert aurocs(counts)["whole"] == pytest.approx(roc_auc_score(levels > 0, scores), abs=1e-12)
        for level in set(levels[levels > 0].tolist()):
            chosen = (levels == 0) | (levels == level)
            auroc = roc_auc_score(levels[chosen] > 0, scores[chosen])
            assert aurocs(counts)[format(level, "g")] == pytest.approx(auroc, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(samples)
def test_the_inversion_matrix_takes_the_c_index_apart(sample: list[tuple[float, float]]) -> None:
    levels, scores = (np.array(column) for column in zip(*sample, strict=True))
    counts = count_pairs(levels, scores)
    matrix, pairs = inversion_matrix(counts), np.outer(counts.sizes, counts.sizes)
    upper = np.triu_indices(len(counts.levels), 1)
    if len(upper[0]):
        assert np.average(matrix[upper], weights=pairs[upper]) == pytest.approx(c_index(counts), abs=1e-12)


@pytest.mark.parametrize(
    ("sizes", "c_random", "tau_random", "tau_binary", "ceiling"),
    [
        ([500] * 5, 0.700, 0.358, 0.632, 0.895),
        ([80, 96, 60, 62, 90, 135, 138], 0.626, 0.232, 0.502, 0.919),
        ([500, 642, 327, 500], 0.757, 0.441, 0.717, 0.859),
    ],
)
def test_reference_points_of_the_published_test_sets(sizes, c_random, tau_random, tau_binary, ceiling) -> None:
    points = reference_points(dict(enumerate(sizes)))
    assert [round(v, 3) for v in points.values() if v is not None] == [c_random, tau_random, tau_binary, ceiling]


def test_reference_points_are_what_such_scores_get() -> None:
    sizes = {0: 40, 1: 30, 2: 20, 3: 30}
    levels = np.repeat(list(sizes), list(sizes.values())).astype(float)
    points = reference_points(sizes)
    binary = count_pairs(levels, (levels > 0).astype(float))
    assert kendall_tau_b(binary) == pytest.approx(points["kendall_tau_b_perfect_binary"], abs=1e-12)
    untied = count_pairs(levels, levels + np.linspace(0, 0.5, len(levels)))
    assert kendall_tau_b(untied) == pytest.approx(points["kendall_tau_b_max_untied"], abs=1e-12)
    rng = np.random.default_rng(0)
    drawn = [
        count_pairs(levels, np.where(levels > 0, 1 + rng.random(len(levels)), rng.random(len(levels))))
        for _ in range(400)
    ]
    assert np.mean([c_index(c) for c in drawn]) == pytest.approx(points["c_index_random_severity"], abs=3e-3)
    assert np.mean([kendall_tau_b(c) for c in drawn]) == pytest.approx(
        points["kendall_tau_b_random_severity"], abs=5e-3
    )


def test_bootstrap_equals_metrics_of_the_resampled_images() -> None:
    rng = np.random.default_rng(1)
    levels = rng.integers(0, 4, 60).astype(float)
    scores = np.round(levels + rng.normal(0, 1, 60), 1)
    found = bootstrap(levels, scores, draws=20, seed=5)
    again = np.random.default_rng(5)
    for draw in range(20):
        groups = [np.flatnonzero(levels == level) for level in np.unique(levels)]
        # Scores within a group are drawn in the group's own order, as the implementation does.
        chosen = np.concatenate([g[again.integers(0, len(g), len(g))] for g in groups])
        counts = count_pairs(levels[chosen], scores[chosen])
        above = chosen[levels[chosen] > 0]
        abnormal = count_pairs(levels[above], scores[above])
        assert found["c_index"][draw] == pytest.approx(c_index(counts), abs=1e-12)
        assert found["kendall_tau_b"][draw] == pytest.approx(kendall_tau_b(counts), abs=1e-12)
        assert found["auroc_whole"][draw] == pytest.approx(aurocs(counts)["whole"], abs=1e-12)
        assert found["abnormal_c_index"][draw] == pytest.approx(c_index(abnormal), abs=1e-12)
        assert found["abnormal_kendall_tau_b"][draw] == pytest.approx(kendall_tau_b(abnormal), abs=1e-12)


def test_a_scorer_does_not_differ_from_itself_but_from_a_worse_one() -> None:
    rng = np.random.default_rng(3)
    levels, names = rng.integers(0, 4, 300).astype(float), ["a"] * 300
    good, bad = levels + rng.normal(0, 0.5, 300), levels + rng.normal(0, 4, 300)
    assert differences(levels, good, good, names)[1] == {name: (0.0, [0.0, 0.0]) for name in METRICS}
    _, better = differences(levels, good, bad, names)[1]["c_index"]
    assert better is not None and better[0] > 0


def test_a_perfect_order_lies_in_its_own_interval_and_below_five_a_level_there_is_none() -> None:
    for per_level in (5, 20):
        levels = np.repeat([0, 1, 2], per_level)
        found = evaluate(levels, np.arange(len(levels)))
        for name, value in (("c_index", found["c_index"]), ("kendall_tau_b", found["kendall_tau_b"])):
            low, high = found["intervals"][name]
            assert low < value <= high == pytest.approx(value)
    few = evaluate(np.repeat([0, 1, 2], 4), np.arange(12))
    assert set(few["intervals"].values()) == {None} and any("Fewer than 5" in note for note in few["notes"])


def test_the_draws_of_an_interval_do_not_matter_nor_does_the_order_of_rows() -> None:
    rng = np.random.default_rng(4)
    levels, names = np.tile(np.repeat([0, 1, 2], 8), 3), np.repeat(["a", "b", "c"], 24)
    scores = levels + rng.normal(size=72)
    found = evaluate(levels, scores, names)["intervals"]
    order = rng.permutation(72)
    mixed = evaluate(levels[order], scores[order], names[order], draws=7, seed=9)["intervals"]
    assert all(mixed[name] == pytest.approx(ends, abs=1e-12) for name, ends in found.items())
    one = [np.ptp(evaluate(levels[:24], scores[k : k + 24])["intervals"]["c_index"]) for k in (0, 24, 48)]
    assert np.ptp(found["c_index"]) / np.mean(one) == pytest.approx(3**-0.5, rel=0.2)


def test_equal_scores_in_a_subset_count_as_no_order() -> None:
    levels, names = np.tile(np.repeat([0, 1], 10), 2), np.repeat(["a", "b"], 20)
    scores = np.concatenate([np.arange(20), np.ones(20)])
    found = evaluate(levels, scores, names)
    perfect = found["subsets"]["a"]["kendall_tau_b"]
    assert found["kendall_tau_b"] == pytest.approx(perfect / 2)
    low, high = found["intervals"]["kendall_tau_b"]
    assert low < perfect / 2 < high
    assert found["subsets"]["b"]["intervals"]["kendall_tau_b"] is None


KEYS = {
    "n", "n_scored", "coverage", "levels", "auroc", "c_index", "kendall_tau_b", "abnormal_only", "ties", "reference",
    "intervals", "subsets", "notes",
}  # fmt: skip


def test_the_form_of_evaluate() -> None:
    result = evaluate([0, 0, 0.5, 1, 2, 2], [0.1, math.nan, 0.5, math.inf, 0.7, 0.6], draws=50)
    assert set(result) == KEYS
    assert result["levels"] == {"0": 2, "0.5": 1, "1": 1, "2": 2}
    assert (result["n"], result["n_scored"], result["coverage"]) == (6, 4, 4 / 6)
    assert result["auroc"] == {"whole": 1.0, "0.5": 1.0, "1": None, "2": 1.0}
    assert result["c_index"] == 1.0
    assert any("infinite" in note for note in result["notes"])
    assert any("2 of 6 images have no score" in note for note in result["notes"])
    json.dumps(result, allow_nan=False)


def test_fractions_are_ordered_as_they_are_unless_the_benchmarks_way_is_asked_for() -> None:
    levels, backwards = np.repeat([0, 1 / 3, 2 / 3, 1], 3), np.repeat([3.0, 2, 1, 0], 3)
    as_is = evaluate(levels, backwards, draws=0)
    assert (as_is["c_index"], as_is["abnormal_only"]["c_index"]) == (0.0, 0.0)
    assert as_is["levels"] == {"0": 3, "0.333333": 3, "0.666667": 3, "1": 3}
    assert as_is["notes"][0] == AS_IS_NOTE
    rounded = evaluate(levels, -backwards, draws=0, rounding="rounded-up")
    assert rounded["levels"] == {"0": 3, "1": 9}
    assert rounded["notes"][0] == ROUNDED_UP_NOTE
    assert evaluate([0, 1, 2], [1, 2, 3], draws=0)["notes"] == []
    with pytest.raises(InputError, match="'up' is no way to take levels; there are as-is and rounded-up"):
        evaluate([0, 1], [1, 2], rounding="up")


def test_levels_that_differ_by_rounding_alone_are_one() -> None:
    assert evaluate([0, 1 / 3, 0.33333333], [0, 1, 2], draws=0)["levels"] == {"0": 1, "0.333333": 2}


def test_levels_of_a_run_are_rounded_up_where_its_subset_asks_for_it() -> None:
    rows = pd.DataFrame({"level": [0.5, 1, 0.5], "rounded_up": [True, True, False]})
    levels, notes = ordered(rows)
    assert (levels.tolist(), notes) == ([1, 1, 0.5], [ROUNDED_UP_NOTE, AS_IS_NOTE])
    assert ordered(rows, "as-is")[0].tolist() == [0.5, 1, 0.5]
    assert ordered(rows[["level"]], "rounded-up")[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("levels", "scores", "sentence"),
    [
        ([1, 1], [0.1, 0.2], "need two levels"),
        ([0, 1], [math.nan, math.nan], "No image has a score"),
        ([1, 2], [0.1, 0.2], "No scored image is of level 0"),
        ([0, 1], [3.0, 3.0], "All scores are equal"),
        ([], [], "No image has a score"),
    ],
)
def test_what_cannot_be_computed_is_none_with_a_sentence(levels, scores, sentence) -> None:
    result = evaluate(levels, scores, draws=10)
    assert any(sentence in note for note in result["notes"])
    assert result["kendall_tau_b"] is None or sentence.startswith("No scored image")
    json.dumps(result, allow_nan=False)


def test_subsets_are_averaged_never_pooled() -> None:
    levels = np.tile([0, 0, 1, 1], 2)
    scores = np.array([1, 2, 3, 4, 1001, 1002, 1003, 1004.0])
    result = evaluate(levels, scores, ["a"] * 4 + ["b"] * 4, draws=20)
    assert result["c_index"] == 1.0  # pooled it would be below 1
    assert set(result) == KEYS
    assert set(result["subsets"]) == {"a", "b"}
    assert result["subsets"]["a"] == evaluate(levels[:4], scores[:4], draws=20)
    mixed = evaluate(levels, [1, 2, 3, 4, 4, 3, 2, 1], ["a"] * 4 + ["b"] * 4, draws=0)
    assert mixed["c_index"] == 0.5
    assert mixed["intervals"] == {"c_index": None, "kendall_tau_b": None, "auroc_whole": None}


def test_a_million_images_do_not_overflow() -> None:
    levels = np.repeat([0, 1], 500_000)
    counts = count_pairs(levels, levels.astype(float))
    assert c_index(counts) == 1.0
    assert kendall_tau_b(counts) == pytest.approx(1.0, abs=1e-12)
