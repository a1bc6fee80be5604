"""From a severity on the scale of the levels to a probability for each level: cumulative probits, fitted out of fold.

``P(level >= k) = Phi((severity - cut_k) / (stretch * deviation))`` (McCullagh 1980, Regression Models for Ordinal
Data). The cuts are drawn towards the middle between neighbouring levels and the stretch towards 1, as a few grades say
little about either; they are fitted to severities of images whose own grades were left out, so that the probabilities
are those that new images deserve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr
from scipy.stats import norm

CUT_PRIOR = 0.35
"""Standard deviation of a cut around the middle of its two levels, in distances of these."""
STRETCH_PRIOR = 0.5
"""Standard deviation of the logarithm of the stretch."""
LEAST = 1e-9


@dataclass(frozen=True)
class Cuts:
    """Where one level ends and the next begins.

    Parameters
    ----------
    levels : ndarray of shape (L,)
        Ascending.
    places : ndarray of shape (L - 1,)
        Cuts on the scale of the levels, ascending.
    stretch : float
        By how much severities err more than their deviations say.
    """

    levels: np.ndarray
    places: np.ndarray
    stretch: float

    def probabilities(self, severity: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """Of each level, (m, L), for severities and their standard deviations (m,); rows sum to 1."""
        return _probabilities(severity, deviation, self.places, self.stretch)

    def slope(self, severity: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """By how much the expected level rises with the severity, (m,)."""
        width = (self.stretch * np.maximum(deviation, LEAST))[:, None]
        return (norm.pdf((severity[:, None] - self.places) / width) / width) @ np.diff(self.levels)

    def expected(self, probabilities: np.ndarray) -> np.ndarray:
        """The mean level, (m,)."""
        return probabilities @ self.levels

    def spread(self, probabilities: np.ndarray) -> np.ndarray:
        """The standard deviation of the level, (m,)."""
        mean = self.expected(probabilities)
        return np.sqrt(np.maximum(probabilities @ self.levels**2 - mean**2, 0.0))


def fit_cuts(severity: np.ndarray, deviation: np.ndarray, grades: np.ndarray) -> Cuts:
    """Cuts from graded images.

    Parameters
    ----------
    severity, deviation : ndarray of shape (n,)
        What fits without an image's grade say of it, on the scale of the levels.
    grades : ndarray of shape (n,)
        At least two levels among them.
    """
    levels, ranks = np.unique(grades, return_inverse=True)
    gaps = np.diff(levels)
    middles = levels[:-1] + gaps / 2

    def unpack(free: np.ndarray) -> tuple[np.ndarray, float]:
        # The first cut moves freely, the later ones by positive distances, so that they stay in order.
        steps = np.diff(middles) * np.exp(free[1:-1])
        return middles[0] + np.concatenate([[0.0], np.cumsum(steps)]) + gaps[0] * free[0], float(np.exp(free[-1]))

    def loss(free: np.ndarray) -> float:
        places, stretch = unpack(free)
        chances = _probabilities(severity, deviation, places, stretch)[np.arange(len(ranks)), ranks]
        prior = (((places - middles) / (CUT_PRIOR * gaps)) ** 2).sum() + (free[-1] / STRETCH_PRIOR) ** 2
        return float(0.5 * prior - np.log(chances + LEAST).sum())

    bounds = [(-3.0, 3.0)] * (len(levels) - 1) + [(-2.0, 2.0)]
    free = minimize(loss, np.zeros(len(levels)), method="L-BFGS-B", bounds=bounds).x
    return Cuts(levels, *unpack(free))


def _probabilities(severity: np.ndarray, deviation: np.ndarray, places: np.ndarray, stretch: float) -> np.ndarray:
    above = ndtr((severity[:, None] - places) / (stretch * np.maximum(deviation, LEAST))[:, None])
    full = np.concatenate([np.ones((len(severity), 1)), above, np.zeros((len(severity), 1))], axis=1)
    return full[:, :-1] - full[:, 1:]
