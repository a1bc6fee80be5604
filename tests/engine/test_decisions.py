"""Cut-points and what they are worth: against every possible set of cuts, loops over images, and scikit-learn's fit."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mad_core.errors import InputError
from mad_core.metrics import agreement
from mad_core.metrics.decisions import (
    between_scores,
    call_levels,
    conformal,
    cuts_by_cost,
    distance_cost,
    isotonic_fit,
    kappa_of,
    mean_cost,
    miss_rates,
    ordinal_confusion,
    overkill_cut,
    rates_of,
    redrawn,
    wilson,
    worth,
)

SCALE = np.array([0.0, 1.0, 2.0])
ROWS = st.lists(st.tuples(st.sampled_from(SCALE.tolist()), st.integers(0, 6)), min_size=1, max_size=14)
PRICES = st.lists(st.integers(0, 9), min_size=9, max_size=9)


def cost_by_loop(levels: np.ndarray, scores: np.ndarray, cuts: np.ndarray, cost: np.ndarray) -> float:
    total = 0.0
    for level, score in zip(levels, scores, strict=True):
        total += cost[int(level), sum(score >= cut for cut in cuts)]
    return total / len(levels)


@settings(max_examples=150, deadline=None)
@given(ROWS, PRICES)
def test_cuts_by_cost_are_the_cheapest_of_all_cuts(rows: list[tuple[float, int]], prices: list[int]) -> None:
    levels, scores = np.array(rows, dtype=float).T
    cost = np.array(prices, dtype=float).reshape(3, 3)
    places = range(len(np.unique(scores)) + 1)
    cheapest = min(
        cost_by_loop(levels, scores, between_scores(np.unique(scores), np.array(p)), cost)
        for p in combinations_with_replacement(places, 2)
    )
    cuts = cuts_by_cost(levels, scores, SCALE, cost)
    assert (np.diff(cuts) >= 0).all()
    assert cost_by_loop(levels, scores, cuts, cost) == pytest.approx(cheapest)
    assert mean_cost(ordinal_confusion(levels, scores, cuts, SCALE), cost) == pytest.approx(cheapest)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_cuts_for_a_mix_are_those_of_images_repeated(rows: list[tuple[float, int]]) -> None:
    levels, scores = np.array(rows, dtype=float).T
    counts = np.array([(levels == level).sum() for level in SCALE])
    times = np.array([5, 1, 3])[levels.astype(int)]
    cost = distance_cost(SCALE, 4, 1)
    cuts = cuts_by_cost(levels, scores, SCALE, cost, counts * [5, 1, 3])
    repeated = np.repeat(levels, times), np.repeat(scores, times)
    best = cuts_by_cost(*repeated, SCALE, cost)
    assert cost_by_loop(*repeated, cuts, cost) == pytest.approx(cost_by_loop(*repeated, best, cost))


def test_separated_levels_are_told_without_an_error_and_dearer_misses_lower_the_cuts() -> None:
    levels, scores = np.repeat(SCALE, 5), np.arange(15.0)
    assert cuts_by_cost(levels, scores, SCALE, distance_cost(SCALE, 1, 1)).tolist() == [4.5, 9.5]
    rng = np.random.default_rng(0)
    levels = np.repeat(SCALE, 200)
    scores = levels + rng.normal(0, 1, 600)
    dear = cuts_by_cost(levels, scores, SCALE, distance_cost(SCALE, 20, 1))
    cheap = cuts_by_cost(levels, scores, SCALE, distance_cost(SCALE, 1, 20))
    assert (dear < cheap).all()


def test_cuts_between_neighbouring_numbers_still_part_them() -> None:
    low = 1.0
    high = float(np.nextafter(low, 2.0))
    cut = between_scores(np.array([low, high]), np.array([1]))[0]
    assert low < cut <= high


def test_half_levels_and_called_levels() -> None:
    scale = np.array([0.0, 0.5, 2.0])
    called = call_levels([0.1, 0.2, np.nan, 9.0], [0.2, 1.0], scale)
    assert called[[0, 1, 3]].tolist() == [0.0, 0.5, 2.0] and np.isnan(called[2])
    table = ordinal_confusion([0, 0.5, 2, 2], [0.1, 5, 0.3, 5], [0.2, 1.0], scale)
    assert table.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("cuts", [[1.0], [2.0, 1.0], [np.nan, 1.0], [0.0, np.inf], [1, 2, 3]])
def test_what_are_no_cuts_is_a_sentence(cuts: list[float]) -> None:
    with pytest.raises(InputError, match=r"[Cc]ut-points"):
        call_levels([1.0], cuts, SCALE)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20))
def test_kappa_of_a_table_is_that_of_two_raters(rows: list[tuple[int, int]]) -> None:
    first, second = np.array(rows, dtype=float).T
    table = agreement.confusion(first, second, SCALE)
    other = agreement.quadratic_weighted_kappa(first, second, SCALE)
    assert kappa_of(table, SCALE) == pytest.approx(np.nan if other is None else other, nan_ok=True)


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_isotonic_fit_is_that_of_pooled_violators(rows: list[tuple[float, int]]) -> None:
    levels, scores = np.array(rows, dtype=float).T
    fit = isotonic_fit(levels, scores)
    blocks: list[list[float]] = []  # mean, weight, distinct scores
    for score in np.unique(scores):
        of = levels[scores == score]
        blocks.append([float(of.mean()), len(of), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, weight, count = blocks.pop()
            before = blocks[-1]
            joined = before[1] + weight
            blocks[-1] = [(before[0] * before[1] + mean * weight) / joined, joined, before[2] + count]
    expected = [mean for mean, _, count in blocks for _ in range(int(count))]
    assert fit.fitted == pytest.approx(expected)
    assert (np.diff(fit(np.linspace(-1, 8, 50))) >= -1e-12).all()


def test_cuts_of_the_fit_stand_half_way_between_levels() -> None:
    fit = isotonic_fit(np.repeat(SCALE, 4), np.arange(12.0))
    assert fit.cuts(SCALE).tolist() == [3.5, 7.5]
    assert fit(5.0) == 1.0
    never = isotonic_fit([0.0, 0.0], [1.0, 2.0]).cuts(SCALE)
    assert (never > 2.0).all()


def test_conformal_intervals_hold_what_they_promise_and_more_where_images_are_few() -> None:
    rng = np.random.default_rng(6)
    covered = []
    for _ in range(300):
        levels = rng.integers(0, 3, 160).astype(float)
        scores = levels + rng.normal(0, 0.8, 160)
        fit = isotonic_fit(levels[:60], scores[:60])
        found = conformal(fit(scores[60:90]), levels[60:90], 0.8)
        sets = found.sets(fit(scores[90:]), SCALE)
        covered.append(sets[np.arange(70), levels[90:].astype(int)].mean())
    assert np.mean(covered) >= 0.8 - 3 * np.std(covered) / 300**0.5
    few = conformal([0.0, 1.0], [0.0, 1.0], 0.9)
    assert few.radius == np.inf and few.sets([0.5], SCALE).all()
    residuals = np.arange(1, 10) / 10
    assert conformal(np.zeros(9), residuals, 0.9).radius == 0.9  # the 9th of 9 = ceil(10 · 0.9)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=15), st.floats(0, 1))
def test_the_overkill_is_kept_and_no_lower_cut_keeps_it(scores: list[int], overkill: float) -> None:
    values = np.array(scores, dtype=float)
    cut = overkill_cut(values, overkill)
    assert (values >= cut).mean() <= overkill + 1e-9
    lower = values[values < cut]
    if len(lower):
        assert (values >= lower.max()).mean() > overkill


def test_misses_are_counted_for_each_level_and_have_intervals() -> None:
    found = miss_rates([0, 1, 1, 2, 2, 2], [9, 0.1, 0.9, 0.2, 0.8, 0.9], 0.5)
    assert found == {1.0: (1, 2), 2.0: (1, 3)}
    assert wilson(0, 0) == [0.0, 1.0]
    low, high = wilson(5, 20)
    assert (low, high) == (pytest.approx(0.1119, abs=1e-4), pytest.approx(0.4687, abs=1e-4))


def test_redrawn_tables_keep_their_rows_and_give_intervals() -> None:
    table = np.array([[40, 10, 0], [5, 30, 15], [0, 0, 0]])
    drawn = redrawn(table, draws=300, seed=2)
    assert (drawn.sum(axis=2) == [50, 50, 0]).all()
    found = worth(table, SCALE, distance_cost(SCALE, 3, 1), draws=300, seed=2)
    for value, interval in found.values():
        assert value is not None and interval is not None and interval[0] <= value <= interval[1]
    assert found["exact"][0] == pytest.approx(0.7)
    assert found["cost"][0] == pytest.approx((10 + 15 + 15) / 100)
    assert np.isnan(rates_of(table)[2]).all() and rates_of(table)[0].tolist() == [0.8, 0.2, 0.0]
