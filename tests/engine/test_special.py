"""What is computed in numpy alone, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage, special, stats
from scipy.optimize import isotonic_regression

from mad_core.datasets.demo.texture import blur, closed, sampled
from mad_core.metrics.special import mean_ranks, monotone, student_quantile

VALUES = arrays(np.float64, st.integers(1, 40), elements=st.integers(-5, 5).map(lambda n: n / 4))


@given(VALUES)
def test_ranks_share_their_mean_where_tied(values: np.ndarray) -> None:
    assert np.array_equal(mean_ranks(values), stats.rankdata(values))


@given(VALUES, st.integers(0, 9))
def test_the_nearest_monotone_values(values: np.ndarray, seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(values))
    assert monotone(values, weights) == pytest.approx(isotonic_regression(values, weights=weights).x, abs=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 119, 1999, 2000, 2001, 100_000])
@pytest.mark.parametrize("probability", [0.55, 0.9, 0.975, 0.995])
def test_students_quantile(freedom: int, probability: float) -> None:
    theirs = special.stdtrit(freedom, probability)
    assert student_quantile(probability, freedom) == pytest.approx(theirs, rel=1e-11)


def test_the_demo_is_drawn_as_scipy_would() -> None:
    rng = np.random.default_rng(3)
    field = rng.standard_normal((64, 64))
    for sigma in (0.5, 1.6, 5):
        assert np.array_equal(blur(field, sigma), ndimage.gaussian_filter(field, sigma, mode="nearest", truncate=3.0))
    y, x = rng.uniform(-9, 72, (2, 64, 64))
    theirs = ndimage.map_coordinates(field, [y, x], order=1, mode="nearest")
    assert sampled(field, y, x) == pytest.approx(theirs, abs=1e-13)
    for share in (0.1, 0.5, 0.9):
        mask = rng.random((64, 64)) < share
        assert np.array_equal(closed(mask), ndimage.binary_closing(mask, iterations=1))
