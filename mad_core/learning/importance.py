"""Which features carry the order: what each adds to it, and what is lost when it is dealt out at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mad_core.learning.kernels import weighted
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
    parts = out_of_fold_parts(learner)
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


def out_of_fold_parts(learner: Learner) -> dict[str, np.ndarray]:
    """What each group adds to the severity of each graded image by a fit without its fold, (n,) each, in levels.

    Comparisons are left aside: they are few, and none of an image that is graded.
    """
    kernels = learner.kernels.between(learner.graded, learner.graded)
    count, unit = len(learner.grades), float(learner.grades.std())
    targets = (learner.grades - learner.grades.mean()) / unit
    covariance = weighted(kernels, learner.amplitudes) + learner.noise / unit**2 * np.eye(count)
    parts = {name: np.empty(count) for name in kernels}
    for fold in np.unique(learner.folds):
        out = learner.folds == fold
        weights = np.linalg.solve(covariance[np.ix_(~out, ~out)], targets[~out])
        for name, kernel in kernels.items():
            parts[name][out] = unit * learner.amplitudes[name] * kernel[np.ix_(out, ~out)] @ weights
    return parts


def _order(levels: np.ndarray, severity: np.ndarray) -> float:
    return c_index(count_pairs(levels, severity)) or 0.0
