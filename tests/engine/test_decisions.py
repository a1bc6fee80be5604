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
    normals_needed,
    ordinal_confusion,
    overkill_by_group,
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


def test_conformal_sets_hold_what_they_promise_for_each_level_and_so_under_any_mix() -> None:
    rng = np.random.default_rng(6)
    covered = {0.0: [], 1.0: [], 2.0: []}
    for _ in range(300):
        levels = rng.choice(3, 200, p=[0.5, 0.3, 0.2]).astype(float)
        scores = levels + rng.normal(0, 0.8, 200)
        fit = isotonic_fit(levels[:60], scores[:60])
        found = conformal(fit(scores[60:160]), levels[60:160], 0.8, SCALE)
        for level, own in covered.items():  # the field may be of one level alone
            fresh = level + rng.normal(0, 0.8, 40)
            own.append(found.sets(fit(fresh))[:, int(level)].mean())
    for own in covered.values():
        assert np.mean(own) >= 0.8 - 3 * np.std(own) / 300**0.5
    few = conformal([0.0, 1.0], [0.0, 1.0], 0.9)
    assert few.radius == np.inf and few.sets([0.5], SCALE).all()
    away = -np.arange(1, 10) / 10
    assert conformal(away, np.zeros(9), 0.9).radius == 0.9  # the 9th of 9 = ceil(10 · 0.9)
    low, high = conformal(away, np.zeros(9), 0.9, SCALE).ends([0.4, 1.6])
    assert low.tolist() == [0, 1] and high.tolist() == [2, 2]  # levels without images may always be


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=15), st.floats(0.01, 1))
def test_the_overkill_is_kept_by_the_next_normal_and_no_lower_cut_keeps_it(scores: list[int], overkill: float) -> None:
    """Whichever of n + 1 exchangeable normals comes last, it is caught with the chance that was promised at most."""
    values = np.array(scores, dtype=float)
    caught = [values[k] >= overkill_cut(np.delete(values, k), overkill) for k in range(len(values)) if len(values) > 1]
    assert np.mean(caught or [0]) <= overkill + 1e-9
    cut = overkill_cut(values, overkill)
    assert np.isinf(cut) == (len(values) < normals_needed(overkill))
    if len(set(scores)) == len(scores) and np.isfinite(cut) and (values < cut).any():
        assert (1 + (values >= values[values < cut].max()).sum()) / (len(values) + 1) > overkill - 1e-9


def test_new_normals_are_caught_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(8)
    for n in (3, 10, 19, 60):
        cuts = [overkill_cut(rng.normal(size=n), 0.05) for _ in range(400)]
        caught = [float((rng.normal(size=200) >= cut).mean()) for cut in cuts]
        assert np.mean(caught) <= 0.05 + 3 * np.std(caught) / 20
    assert normals_needed(0.05) == 19 and normals_needed(0.01) == 99


def test_a_cut_on_one_group_says_what_it_catches_of_each() -> None:
    scores, groups = np.concatenate([np.arange(40.0), np.arange(40.0) + 20]), ["mon"] * 40 + ["tue"] * 40
    found = overkill_by_group(scores, 0.05, groups, placed_on=["mon"])
    assert (found.normals, found.needed, found.least) == (40, 19, 1 / 41)
    assert found.caught == {"mon": (1, 40), "tue": (21, 40)}
    assert overkill_by_group(scores, 0.05).caught[""][1] == 80
    assert np.isinf(overkill_by_group(scores[:5], 0.05, groups[:5]).cut)
    with pytest.raises(InputError):
        overkill_by_group(scores, 0.05, groups, placed_on=["wed"])


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
