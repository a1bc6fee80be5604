"""Separation of levels: against brute force and scikit-learn, and intervals that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import silhouette_samples

from mad_core.metrics.separation import (
    FOLDS,
    PENALTY,
    halves,
    joined,
    measured,
    probe,
    products_and_distances,
    separation,
    silhouettes,
    spread_factor,
    standardised,
)


def made(gap: float, seed: int, per_level: int = 20) -> tuple[np.ndarray, np.ndarray]:
    levels = np.repeat([0.0, 1.0, 2.0], per_level)
    vectors = np.random.default_rng(seed).normal(0, 1, (len(levels), 8))
    vectors[:, 0] += gap * levels
    return vectors, levels


def test_silhouettes_are_those_of_scikit_learn() -> None:
    vectors, levels = made(1.0, 0)
    _, apart = products_and_distances(vectors)
    assert np.allclose(apart, np.linalg.norm(vectors[:, None] - vectors, axis=2), atol=1e-6)
    assert np.allclose(silhouettes(apart, levels), silhouette_samples(vectors, levels))
    alone = np.array([0.0, 0.0, 1.0])
    assert silhouettes(apart[:3, :3], alone)[2] == 0


def test_the_probe_is_a_ridge_regression_on_the_other_folds() -> None:
    vectors, levels = made(1.0, 1)
    products, _ = products_and_distances(vectors)
    turn = np.tile(np.arange(20), 3) % FOLDS
    expected = np.empty(60)
    for fold in range(FOLDS):
        there, gone = turn != fold, turn == fold
        centred = vectors[there] - vectors[there].mean(0)
        penalty = PENALTY * (centred**2).sum() / there.sum()
        expected[gone] = Ridge(alpha=penalty).fit(vectors[there], levels[there]).predict(vectors[gone])
    assert np.allclose(probe(products, levels), expected)
    few = probe(products, levels, 12)  # the first four of each level that are not in the fold
    there = np.flatnonzero(turn != 0)[[0, 1, 2, 3, 16, 17, 18, 19, 32, 33, 34, 35]]
    penalty = PENALTY * ((vectors[there] - vectors[there].mean(0)) ** 2).sum() / 12
    assert np.allclose(
        few[turn == 0], Ridge(alpha=penalty).fit(vectors[there], levels[there]).predict(vectors[turn == 0])
    )


def test_ratios_and_orders_are_those_of_counting() -> None:
    vectors, levels = made(1.0, 2, per_level=7)
    products, apart = products_and_distances(vectors)
    found = separation(products, apart, levels)
    pairs = [(levels[i], levels[j], apart[i, j]) for i in range(21) for j in range(21) if i != j]
    within, between = ([d for a, b, d in pairs if (a == b) is np.bool_(kind)] for kind in (True, False))
    assert found.ratio == pytest.approx(np.mean(between) / np.mean(within))
    own = [np.mean([d for a, b, d in pairs if a == b == level]) for level in (0, 2)]
    across = np.mean([d for a, b, d in pairs if (a, b) == (0, 2)])
    assert found.ratios[0, 2] == pytest.approx(across / np.mean(own)) and found.ratios[1, 1] == pytest.approx(1)
    guess = probe(products, levels)
    right = {(a, b): np.mean(guess[levels == b] > guess[levels == a, None]) for a, b in ((0, 1), (0, 2), (1, 2))}
    assert found.orders[0, 2] == pytest.approx(right[0, 2])
    assert found.order == pytest.approx(np.mean(list(right.values())))
    assert found.silhouette == pytest.approx(found.silhouettes.mean())


def test_many_parts_at_once_are_as_one_after_the_other() -> None:
    vectors, levels = made(1.0, 3, per_level=6)
    parts = [products_and_distances(standardised(part)) for part in (vectors, vectors[::-1])]
    products, apart = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    both = separation(products, apart, levels)
    for number in range(2):
        one = separation(products[number], apart[number], levels)
        assert both.order[number] == one.order and np.allclose(both.ratios[number], one.ratios)


def test_halves_keep_the_levels_and_never_draw_an_image_twice() -> None:
    levels = np.repeat([0.0, 1.0], [7, 4])
    assert spread_factor(levels) == pytest.approx((6 / 5) ** 0.5) and np.isnan(spread_factor(np.arange(3.0)))
    apart = 1 - np.eye(11)  # the same image twice would bring distances of 0, and ratios other than 1
    drawn = joined(halves(np.eye(11), apart, levels, 50, np.random.default_rng(0)))
    assert drawn.order.shape == (50,) and np.allclose(drawn.ratio, 1) and np.allclose(drawn.ratios, 1)


def test_intervals_hold_the_mean_of_many_samples() -> None:
    """The order that a probe finds, over 40 samples of one distribution: at least 36 of 40 intervals hold the mean."""
    found = []
    for seed in range(40):
        vectors, levels = made(1.0, seed, per_level=10)
        space, rng = products_and_distances(standardised(vectors)), np.random.default_rng(seed)
        value = float(measured(*space, levels, rng).order)
        drawn = joined(halves(*space, levels, 100, rng)).order
        ends = value + (np.percentile(drawn, (2.5, 97.5)) - drawn.mean()) * spread_factor(levels)
        found.append((value, *ends))
    middle = np.mean([value for value, _, _ in found])
    assert sum(low <= middle <= high for _, low, high in found) >= 36
