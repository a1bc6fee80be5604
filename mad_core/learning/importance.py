"""Which features carry the order: what each adds to it, and what is lost when it is dealt out at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mad_core.learning.learner import Learner
from mad_core.metrics.ranking import c_index, count_pairs

DRAWS = 200


@dataclass(frozen=True)
class Share:
    """How much one group of features counts.

    Parameters
    ----------
    name : str
        ``"detector"``, or a group of features.
    share : float
        Of the variance of the graded images' severities out of fold; all shares together are 1, and one of a group
        that works against the others is negative.
    loss : float
        By how much the C-index of the graded images, out of fold, falls when the group's part is dealt out at random.
    low, high : float
        Interval of that loss over the deals, 95 %.
    """

    name: str
    share: float
    loss: float
    low: float
    high: float


def shares(learner: Learner, seed: int = 0, draws: int = DRAWS) -> list[Share]:
    """The share of each group, the largest first.

    Parameters
    ----------
    draws : int
        Deals for each group's interval.
    """
    parts = learner.contributions_left_out
    total = np.sum(list(parts.values()), axis=0)
    spread = float(total.var()) or 1.0
    whole = _order(learner.grades, total)
    rng = np.random.default_rng(seed)
    result = []
    for name, part in parts.items():
        lost = [whole - _order(learner.grades, total - part + rng.permutation(part)) for _ in range(draws)]
        low, high = np.quantile(lost, (0.025, 0.975))
        covariance = float(np.mean((part - part.mean()) * (total - total.mean())))
        result.append(Share(name, covariance / spread, float(np.mean(lost)), float(low), float(high)))
    return sorted(result, key=lambda each: -each.share)


def _order(levels: np.ndarray, severity: np.ndarray) -> float:
    return c_index(count_pairs(levels, severity)) or 0.0
