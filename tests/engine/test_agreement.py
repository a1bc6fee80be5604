"""Agreement of raters: published worked examples, reference implementations, brute-force twins."""

from __future__ import annotations

import itertools
import time

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from mad_core.errors import InputError
from mad_core.metrics.agreement import (
    bias,
    bootstrap_alpha,
    bootstrap_kappa,
    confusion,
    differences,
    drift,
    krippendorff_alpha,
    quadratic_weighted_kappa,
)
from mad_core.metrics.intervals import percentile_interval

NAN = np.nan
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
"""Krippendorff 2011, section C: four observers, twelve units, any number of missing ratings."""

tables = st.integers(1, 5).flatmap(
    lambda raters: st.lists(
        st.lists(st.sampled_from([NAN, 0.0, 0.5, 1.0, 2.0, 4.0]), min_size=raters, max_size=raters),
        min_size=1,
        max_size=14,
    )
)
pairs = st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, 3.0])] * 2), min_size=1, max_size=40)


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_equals_the_published_example(metric, alpha: float) -> None:
    found = krippendorff_alpha(PUBLISHED, metric)
    assert found == pytest.approx(alpha, abs=5e-4)
    assert found == pytest.approx(krippendorff.alpha(PUBLISHED, level_of_measurement=metric), abs=1e-12)


def brute_alpha(ratings: np.ndarray, metric: str) -> float | None:
    """From the definition: every pair of ratings, within items and of all."""
    units = [[v for v in column if not np.isnan(v)] for column in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    everything = [v for unit in units for v in unit]
    n = len(everything)

    def apart(c: float, k: float) -> float:
        if metric == "nominal":
            return float(c != k)
        if metric == "interval":
            return (c - k) ** 2
        low, high = min(c, k), max(c, k)
        between = sum(low <= v <= high for v in everything)
        return (between - (everything.count(c) + everything.count(k)) / 2) ** 2

    observed = sum(apart(c, k) / (len(unit) - 1) for unit in units for c, k in itertools.permutations(unit, 2))
    expected = sum(apart(c, k) for c, k in itertools.permutations(everything, 2))
    return 1 - (n - 1) * observed / expected if expected else None


@settings(max_examples=200, deadline=None)
@given(tables, st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_equals_its_twin_and_the_reference(table: list[list[float]], metric) -> None:
    ratings = np.array(table).T
    expected = brute_alpha(ratings, metric)
    found = krippendorff_alpha(ratings, metric)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))
    if expected is not None:
        assert found == pytest.approx(krippendorff.alpha(ratings, level_of_measurement=metric), abs=1e-9)


def test_alpha_says_what_it_cannot_do() -> None:
    assert krippendorff_alpha(np.full((3, 4), NAN)) is None
    assert krippendorff_alpha(np.array([[1.0, 1.0], [1.0, 1.0]])) is None
    assert krippendorff_alpha(np.array([[1.0, NAN], [NAN, 2.0]])) is None
    assert krippendorff_alpha(np.empty((2, 0))) is None
    with pytest.raises(InputError, match="raters by items"):
        krippendorff_alpha(np.ones(3))
    with pytest.raises(InputError, match="'cubic'"):
        krippendorff_alpha(PUBLISHED, "cubic")  # pyright: ignore[reportArgumentType]


def weighted(table: np.ndarray, weights: np.ndarray) -> float:
    """Weighted kappa of a table of counts, as Cohen 1968 defines it."""
    p = table / table.sum()
    return 1 - (p * weights).sum() / (np.outer(p.sum(axis=1), p.sum(axis=0)) * weights).sum()


def test_weighted_kappa_equals_the_published_example() -> None:
    table = np.array([[44, 7, 9], [5, 20, 5], [1, 3, 6]])  # Cohen 1968, in hundredths: kappa .492, weighted .348
    assert weighted(table, 1 - np.eye(3)) == pytest.approx(0.492, abs=5e-4)
    assert weighted(table, np.array([[0, 1, 3], [1, 0, 6], [3, 6, 0]])) == pytest.approx(0.348, abs=5e-4)
    a, b = (np.repeat(axis.ravel(), table.ravel()).astype(float) for axis in np.indices(table.shape))
    squares = (np.arange(3)[:, None] - np.arange(3)) ** 2
    found = quadratic_weighted_kappa(a, b, [0, 1, 2])
    assert found == pytest.approx(weighted(table, squares), abs=1e-12)
    assert found == pytest.approx(1 - 0.60 / 1.10, abs=1e-12)
    assert found == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"), abs=1e-12)
    assert np.array_equal(confusion(a, b, [0, 1, 2]), table)


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_kappa_and_confusion_equal_the_reference(ratings: list[tuple[float, float]]) -> None:
    a, b = (np.array(column) for column in zip(*ratings, strict=True))
    levels = [0, 1, 2, 3]
    found = quadratic_weighted_kappa(a, b, levels)
    if len(set(a) | set(b)) == 1:
        assert found is None
    else:
        expected = cohen_kappa_score(a.astype(int), b.astype(int), labels=levels, weights="quadratic")
        assert found == pytest.approx(expected, abs=1e-9)
    assert np.array_equal(confusion(a, b, levels), sklearn_confusion(a.astype(int), b.astype(int), labels=levels))


def test_kappa_leaves_out_what_one_of_both_lacks_and_knows_its_scale() -> None:
    a, b = np.array([0, 1, 2, NAN, 2]), np.array([0, 2, 2, 1, NAN])
    assert quadratic_weighted_kappa(a, b, [0, 1, 2]) == quadratic_weighted_kappa(a[:3], b[:3], [0, 1, 2])
    halves = quadratic_weighted_kappa([0, 0.5, 1], [0, 1, 1], [0, 0.5, 1])
    assert halves == pytest.approx(quadratic_weighted_kappa([0, 1, 2], [0, 2, 2], [0, 1, 2]))
    assert confusion([2, 0], [0, 0], [2, 0]).tolist() == [[0, 1], [0, 1]]
    assert quadratic_weighted_kappa([], [], [0, 1]) is None
    with pytest.raises(InputError, match="rating 7"):
        quadratic_weighted_kappa([7.0], [1.0], [0, 1])
    with pytest.raises(InputError, match="same length"):
        quadratic_weighted_kappa([1.0], [1.0, 0.0], [0, 1])


def test_bootstrap_is_that_of_whole_items() -> None:
    # Each draw, made by hand from the same generator, must give the same value.
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 30)
    ratings = np.clip(truth + rng.integers(-1, 2, (3, 30)), 0, 3).astype(float)
    ratings[rng.random(ratings.shape) < 0.2] = NAN
    usable = ratings[:, (~np.isnan(ratings)).sum(axis=0) > 1]
    chosen = np.random.default_rng(9).integers(0, usable.shape[1], (40, usable.shape[1]))
    expected = [brute_alpha(usable[:, columns], "ordinal") for columns in chosen]
    assert bootstrap_alpha(ratings, draws=40, seed=9) == pytest.approx(expected, abs=1e-9)
    a, b = (row[~np.isnan(ratings[:2]).any(axis=0)] for row in ratings[:2])
    chosen = np.random.default_rng(9).integers(0, len(a), (40, len(a)))
    expected = [cohen_kappa_score(a[i].astype(int), b[i].astype(int), weights="quadratic") for i in chosen]
    assert bootstrap_kappa(a, b, range(4), draws=40, seed=9) == pytest.approx(expected, abs=1e-9)


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)

    def sample(items: int) -> np.ndarray:
        truth = rng.integers(0, 4, items)
        return np.clip(truth + rng.choice([-1, 0, 0, 1], (3, items)), 0, 3).astype(float)

    exact = krippendorff_alpha(sample(200_000))
    assert exact is not None
    inside = 0
    for seed in range(100):
        interval = percentile_interval(bootstrap_alpha(sample(80), draws=300, seed=seed))
        assert interval is not None
        inside += interval[0] <= exact <= interval[1]
    assert inside >= 88


def test_bias_is_the_distance_to_the_others() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 4, 200).astype(float)
    ratings = np.stack([truth, truth + 1.0, truth])
    ratings[2, ::3] = NAN
    ratings[:2, 1::3] = NAN
    found = bias(ratings, draws=200)
    assert [one.n for one in found] == [133, 133, 66]
    assert found[0].value == pytest.approx(np.nanmean(differences(ratings)[0]))
    assert found[1].value == pytest.approx(1.0)
    assert found[2].value == pytest.approx(-0.5)
    against_labels = bias(ratings, truth, draws=200)
    assert [one.value for one in against_labels] == [0.0, 1.0, 0.0]
    assert against_labels[1].interval == [1.0, 1.0]
    assert bias(np.array([[1.0, 2.0]]))[0].value is None


def test_drift_is_found_and_its_absence_too() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 4, 400).astype(float)
    order = rng.permutation(400)
    steady = truth + rng.choice([-1, 0, 1], 400)
    drifting = truth + order / 400  # ends one level higher: a quarter of a level per hundred
    found = drift(np.stack([steady, drifting]), np.stack([order, order]), truth, draws=300)
    assert found[1].value == pytest.approx(0.25, abs=1e-6)
    low, high = found[0].interval or [1.0, 1.0]
    assert low < 0 < high
    assert drift(np.array([[1.0, NAN]]), np.array([[0.0, 1.0]]), [1.0, 1.0])[0].value is None
    gaps = np.where(np.arange(400) % 2 == 0, NAN, truth)  # the reference is known for every other image alone
    assert drift(drifting[None], order[None], gaps, draws=0)[0].value == pytest.approx(0.25, abs=1e-6)


def test_thousands_of_images_take_no_time() -> None:
    ratings = np.random.default_rng(3).integers(0, 7, (3, 4_000)).astype(float)
    started = time.perf_counter()
    bootstrap_alpha(ratings, draws=1_000)
    assert time.perf_counter() - started < 5
