"""Which picture to grade next: the one whose grade is expected to change the order most, and a batch that is spread.

For each candidate and each level it may turn out to have, the posterior says by how much every other picture's severity
would move; what counts is how many pairs would change places (expected model change, Settles 2012, Active Learning,
4.1, with the order as the model). After each choice the covariance is conditioned on it, which needs no grade, so that
the next choice teaches something else: the greedy mode of a determinantal point process where all teach alike.
"""

from __future__ import annotations

import numpy as np

JUDGES = 120
"""Pictures whose order is watched, spread evenly over the severities."""
SHORTLIST = 12
"""Candidates a choice that are looked at again after the first one."""


def most_informative(
    mean: np.ndarray,
    covariance: np.ndarray,
    noise: float,
    probabilities: np.ndarray,
    levels: np.ndarray,
    count: int,
) -> np.ndarray:
    """Rows of ``count`` pictures to grade next, the most informative first.

    Parameters
    ----------
    mean : ndarray of shape (m,)
        Expected severity of each picture, on the scale of the levels.
    covariance : ndarray of shape (m, m)
        Of the severities.
    noise : float
        Variance of a grade around the severity.
    probabilities : ndarray of shape (m, L)
        Of each level.
    levels : ndarray of shape (L,)
    count : int
        All where there are no more.

    Returns
    -------
    ndarray of shape (min(count, m),), int64
    """
    judges = np.argsort(mean, kind="stable")[np.linspace(0, len(mean) - 1, min(JUDGES, len(mean))).round().astype(int)]
    covariance, left = covariance.copy(), np.arange(len(mean))
    chosen: list[int] = []
    while len(chosen) < min(count, len(mean)):
        gains = expected_changes(mean, covariance, noise, probabilities, levels, left, judges)
        order = np.argsort(-gains, kind="stable")
        chosen.append(int(left[order[0]]))
        keep = order[1:] if len(left) <= SHORTLIST * count else order[1 : SHORTLIST * count]
        left = left[keep]
        covariance = conditioned(covariance, chosen[-1], noise)
    return np.array(chosen, dtype=np.int64)


def expected_changes(
    mean: np.ndarray,
    covariance: np.ndarray,
    noise: float,
    probabilities: np.ndarray,
    levels: np.ndarray,
    candidates: np.ndarray,
    judges: np.ndarray,
) -> np.ndarray:
    """Expected share of pairs of ``judges`` that change places when a candidate is graded: (candidates,)."""
    first, second = np.triu_indices(len(judges), 1)
    apart = mean[judges][first] - mean[judges][second]
    gains = np.zeros(len(candidates))
    for place, candidate in enumerate(candidates):
        direction = covariance[judges, candidate] / (covariance[candidate, candidate] + noise)
        turned = direction[first] - direction[second]
        for level, chance in zip(levels, probabilities[candidate], strict=True):
            moved = apart + (level - mean[candidate]) * turned
            gains[place] += chance * float(np.mean(moved * apart < 0))
    return gains


def conditioned(covariance: np.ndarray, row: int, noise: float) -> np.ndarray:
    """The covariance once a picture is graded, whatever its grade."""
    column = covariance[:, row]
    return covariance - np.outer(column, column) / (column[row] + noise)


def most_spread(covariance: np.ndarray, noise: float, count: int) -> np.ndarray:
    """Rows of pictures that together say most where nothing is graded yet: each the most uncertain after the others."""
    covariance, chosen = covariance.copy(), []
    free = np.ones(len(covariance), dtype=bool)
    while len(chosen) < min(count, len(covariance)):
        row = int(np.where(free, np.diag(covariance), -np.inf).argmax())
        chosen.append(row)
        free[row] = False
        covariance = conditioned(covariance, row, noise)
    return np.array(chosen, dtype=np.int64)
