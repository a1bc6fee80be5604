"""What a multimodal model said of an image, as features for the learner of severity; read without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ANSWER = "multimodal model"
"""The group's name, beside those of :mod:`mad_core.scorers.features.looks`."""
FEATURES = 3
LEAST = np.array([5.0, 5.0, 0.1])
"""Spreads among normals below which a difference says nothing: points, points, share."""
_SCALE = np.arange(101.0)


def answer(score: float, distribution: np.ndarray | None) -> np.ndarray:
    """Score, standard deviation of the distribution over 0-100, and its share above 50, shape (3,).

    Parameters
    ----------
    score : float
        In 0-100.
    distribution : ndarray of shape (101,) or None
        Probability of each number; None counts as all on the score.
    """
    if distribution is None:
        return np.array([score, 0.0, float(score > 50)])
    mean = float(distribution @ _SCALE)
    return np.array([score, float(distribution @ (_SCALE - mean) ** 2) ** 0.5, float(distribution[51:].sum())])


def spread_over(answers: Sequence[np.ndarray], places: Sequence[int], count: int) -> np.ndarray:
    """Answers about some of ``count`` normals at their places, (count, 3); the others get the mean of these."""
    rows = np.tile(np.mean(answers, axis=0), (count, 1))
    rows[list(places)] = answers
    return rows
