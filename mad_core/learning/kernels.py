"""How alike images are, group by group, and how much each group counts: set by what the grades make likely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError
from scipy.optimize import minimize

from mad_core.learning.evidence import Evidence
from mad_core.learning.gaussian import condition

OFFSET = 4.0
"""Variance of the level that all images share, in variances of the grades."""
DETECTOR = "detector"
NOISE = "noise"
STEPS = 40
FURTHEST = 3.0
"""Spreads from the middle beyond which a detector's score tells no more."""


@dataclass(frozen=True)
class Kernels:
    """Covariances between images, one for each group of features; each group's images are on average 1 long.

    Parameters
    ----------
    centre : mapping of str to ndarray of shape (d,)
    size : mapping of str to float
        Mean squared length of the graded images' centred features.
    middle, spread : float
        Of the detector's scores: those of the graded images.
    """

    centre: Mapping[str, np.ndarray]
    size: Mapping[str, float]
    middle: float
    spread: float

    @classmethod
    def of(cls, graded: Evidence, narrowest: float = 0.0) -> Kernels:
        """Scaled by the graded images; the detector's scores by ``narrowest`` where theirs lie closer together."""
        centre = {name: values.mean(axis=0) for name, values in graded.groups.items()}
        size = {
            name: float(((values - centre[name]) ** 2).sum(axis=1).mean()) or 1.0
            for name, values in graded.groups.items()
        }
        spread = max(float(graded.detector.std()), narrowest) or 1.0
        return cls(centre, size, float(np.median(graded.detector)), spread)

    def standard(self, detector: np.ndarray) -> np.ndarray:
        """Detector scores in spreads, at most ``FURTHEST`` to either side."""
        return np.clip((detector - self.middle) / self.spread, -FURTHEST, FURTHEST)

    def between(self, rows: Evidence, columns: Evidence) -> dict[str, np.ndarray]:
        """Covariances (rows, columns) by group, that of the detector's score among them."""
        linear = {
            name: (values - self.centre[name]) @ (columns.groups[name] - self.centre[name]).T / self.size[name]
            for name, values in rows.groups.items()
        }
        return {**linear, DETECTOR: np.outer(self.standard(rows.detector), self.standard(columns.detector))}

    def diagonals(self, rows: Evidence) -> dict[str, np.ndarray]:
        """The variance of each image by group."""
        linear = {
            name: ((values - self.centre[name]) ** 2).sum(axis=1) / self.size[name]
            for name, values in rows.groups.items()
        }
        return {**linear, DETECTOR: self.standard(rows.detector) ** 2}


def weighted(kernels: Mapping[str, np.ndarray], amplitudes: Mapping[str, float]) -> np.ndarray:
    """The covariance of severities, in variances of the grades."""
    return np.sum([amplitudes[name] * kernel for name, kernel in kernels.items()], axis=0) + OFFSET


@dataclass(frozen=True)
class Prior:
    """What is believed of an amplitude before any grade: its logarithm's mean and standard deviation."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Belief:
    """What is believed before any grade is seen.

    Parameters
    ----------
    leaning : float
        By how many spreads of the targets the number rises with one spread of the detector's scores.
    slope : float
        Logarithm of the variance of that slope.
    groups : float
        Logarithm of the share of the variance that all groups of features bring together.
    """

    leaning: float
    slope: float
    groups: float

    def priors(self, groups: Sequence[str]) -> dict[str, Prior]:
        """Of each group, which share what they bring; of the slope beside what it leans; of the noise."""
        share = self.groups - float(np.log(max(len(groups), 1)))
        return {name: Prior(share, 1.0) for name in groups} | {
            DETECTOR: Prior(self.slope, 0.5),
            NOISE: Prior(-1.0, 1.0),
        }


def fit_amplitudes(
    kernels: Mapping[str, np.ndarray], targets: np.ndarray, noise: np.ndarray, belief: Belief
) -> dict[str, float]:
    """How much each group counts, and the noise: the most probable ones, given the grades.

    Parameters
    ----------
    kernels : mapping of str to ndarray of shape (n, n)
        As :meth:`Kernels.between` gives them.
    targets : ndarray of shape (n,)
        Grades with mean 0 and variance 1.
    noise : ndarray of shape (n,)
        How much each errs, in multiples of what is fitted.
    belief : Belief

    Returns
    -------
    dict
        An amplitude for each kernel, and ``noise``, in variances of the grades.
    """
    names = list(kernels)
    believed = belief.priors([name for name in names if name != DETECTOR])
    mean = np.array([believed[name].mean for name in (*names, NOISE)])
    deviation = np.array([believed[name].deviation for name in (*names, NOISE)])
    stack = np.stack([*(kernels[name] for name in names), np.diag(noise)])

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        amplitudes = np.exp(logs)
        away = (logs - mean) / deviation
        try:
            posterior = condition(np.tensordot(amplitudes, stack, 1) + OFFSET, targets)
        except LinAlgError:
            return 1e12, away / deviation
        pull = np.outer(posterior.weights, posterior.weights) - posterior.precision
        slope = -0.5 * amplitudes * np.einsum("ij,kij->k", pull, stack)
        return -posterior.log_evidence + 0.5 * float(away @ away), slope + away / deviation

    bounds = [(m - 8.0, m + 8.0) for m in mean]
    logarithms = minimize(loss, mean, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}).x
    return dict(zip((*names, NOISE), np.exp(logarithms).tolist(), strict=True))
