"""Kendall's taus with a third quantity held fixed, against loops over pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from mad_core.metrics.partial import MOST, bootstrap_c_index, bootstrap_taus, levels_by_area, partial_tau, taus
from mad_core.metrics.ranking import c_index, count_pairs

ROWS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=25)


def within_by_loop(levels: np.ndarray, scores: np.ndarray, areas: np.ndarray) -> float:
    agreement = by_score = by_area = 0
    for i in range(len(levels)):
        for j in range(i):
            if levels[i] == levels[j]:
                a, b = np.sign(scores[i] - scores[j]), np.sign(areas[i] - areas[j])
                agreement, by_score, by_area = agreement + a * b, by_score + abs(a), by_area + abs(b)
    return agreement / (by_score * by_area) ** 0.5 if by_score * by_area else np.nan


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_every_tau_is_that_of_a_loop_or_of_scipy(rows: list[tuple[int, int, int]]) -> None:
    levels, scores, areas = np.array(rows, dtype=float).T
    found = taus(levels, scores, areas)
    for value, (a, b) in (
        (found.score_level, (scores, levels)),
        (found.score_area, (scores, areas)),
        (found.level_area, (levels, areas)),
    ):
        assert value[0] == pytest.approx(kendalltau(a, b).statistic, nan_ok=True)
    assert found.within_levels[0] == pytest.approx(within_by_loop(levels, scores, areas), nan_ok=True)
    xy, xz, yz = found.score_level[0], found.score_area[0], found.level_area[0]
    if (1 - xz**2) * (1 - yz**2) > 1e-6:
        by_hand = (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5
        assert found.score_level_at_area[0] == pytest.approx(by_hand, nan_ok=True)


def test_partial_tau_of_the_book() -> None:
    """Kendall 1942: nothing changes where the third is unrelated; nothing is left where it settles one of both."""
    assert partial_tau(0.4, 0.0, 0.0) == pytest.approx(0.4)
    assert partial_tau(0.25, 0.5, 0.5) == pytest.approx(0.0)
    assert np.isnan(partial_tau(0.4, 1.0, 0.4))


def test_a_draw_is_the_tau_of_the_images_it_drew() -> None:
    rng = np.random.default_rng(3)
    levels = np.repeat([1.0, 2.0], [6, 8])
    scores, areas = rng.integers(0, 5, 14).astype(float), rng.random(14)
    drawn = bootstrap_taus(levels, scores, areas, draws=3, seed=11)
    again = np.random.default_rng(11)
    picks = [group[again.integers(0, len(group), (3, len(group)))] for group in (np.arange(6), np.arange(6, 14))]
    for draw, rows in enumerate(np.concatenate(picks, axis=1)):
        assert drawn.score_level[draw] == pytest.approx(kendalltau(scores[rows], levels[rows]).statistic)
        assert drawn.score_area[draw] == pytest.approx(kendalltau(scores[rows], areas[rows]).statistic)
        assert drawn.within_levels[draw] == pytest.approx(within_by_loop(levels[rows], scores[rows], areas[rows]))


def test_a_score_that_is_the_area_owes_it_all_and_one_that_is_the_level_nothing() -> None:
    rng = np.random.default_rng(0)
    levels = np.repeat([1.0, 2.0, 3.0], 60)
    areas = levels + rng.normal(0, 1.0, 180)
    by_area = taus(levels, areas + rng.normal(0, 0.01, 180), areas)
    by_level = taus(levels, levels + rng.normal(0, 0.1, 180), areas)
    assert by_area.explained[0] > 0.9
    assert by_level.explained[0] < 0.3


def test_an_order_against_severity_has_no_share_to_explain() -> None:
    found = taus([1.0, 1.0, 2.0, 2.0], [4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 1.0, 2.0])
    assert found.score_level[0] < 0 and np.isnan(found.explained[0])


def test_no_draws_and_too_many_images() -> None:
    found = bootstrap_taus([1, 2], [1, 2], [1, 2], draws=0)
    assert found.score_level.shape == (0,)
    with pytest.raises(ValueError, match="take at most"):
        taus(*(np.arange(MOST + 1.0) for _ in range(3)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6)), min_size=1, max_size=30))
def test_levels_by_area_rise_with_the_area_and_keep_the_sizes(rows: list[tuple[int, int]]) -> None:
    levels, areas = np.array(rows, dtype=float).T
    found = levels_by_area(levels, areas)
    order = np.argsort(areas, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert all(len(set(found[areas == area])) == 1 for area in set(areas))
    distinct = levels_by_area(levels, areas + 0.01 * np.arange(len(areas)))
    assert sorted(distinct) == sorted(levels)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_c_index_against_any_order_is_the_metric(rows: list[tuple[int, int, int]]) -> None:
    levels, scores, _ = np.array(rows, dtype=float).T
    value, drawn = bootstrap_c_index(levels, scores, levels, draws=0)
    assert value == (None if (plain := c_index(count_pairs(levels, scores))) is None else pytest.approx(plain))
    assert drawn.shape == (0,)


def test_draws_of_the_c_index_are_paired_with_those_of_the_taus() -> None:
    rng = np.random.default_rng(8)
    levels = np.repeat([1.0, 2.0, 3.0], 10)
    scores = levels + rng.normal(0, 1, 30)
    _, drawn = bootstrap_c_index(levels, scores, levels, draws=50, seed=4)
    tau = bootstrap_taus(levels, scores, levels, draws=50, seed=4).score_level
    assert np.corrcoef(drawn, tau)[0, 1] > 0.99
