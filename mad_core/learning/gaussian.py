"""Gaussian-process regression in closed form: means, variances, evidence, and what a fit without some rows would say.

With hundreds of grades at most everything is one inverse of a small matrix (Rasmussen and Williams 2006, Gaussian
Processes for Machine Learning, algorithm 2.1 and section 5.4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky


@dataclass(frozen=True)
class Posterior:
    """What observations say of a Gaussian process.

    Parameters
    ----------
    precision : ndarray of shape (n, n)
        Inverse of the observations' covariance, noise included.
    targets : ndarray of shape (n,)
        The observations.
    weights : ndarray of shape (n,)
        ``precision @ targets``.
    log_evidence : float
        Log density of the observations before they were seen.
    """

    precision: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    log_evidence: float

    def mean(self, cross: np.ndarray) -> np.ndarray:
        """Expected values at points whose covariance with the observations is ``cross``, (m, n): (m,)."""
        return cross @ self.weights

    def covariance(self, cross: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Covariance (m, m) of the values at points of covariance ``prior`` with each other."""
        return prior - cross @ self.precision @ cross.T

    def variance(self, cross: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """The diagonal of :meth:`covariance`, from that of ``prior``, (m,)."""
        return np.maximum(prior - np.einsum("mi,ij,mj->m", cross, self.precision, cross), 0.0)

    def left_out(self, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the other folds say of each observation.

        Parameters
        ----------
        folds : ndarray of shape (n,)
            Observations of one fold are left out together: those of a patient, say; or each alone.

        Returns
        -------
        means, variances : ndarrays of shape (n,)
            Of the observation, noise included.
        """
        means, variances = np.empty(len(folds)), np.empty(len(folds))
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            covariance = np.linalg.inv(self.precision[np.ix_(rows, rows)])
            means[rows] = self.targets[rows] - covariance @ self.weights[rows]
            variances[rows] = np.diag(covariance)
        return means, variances


def condition(covariance: np.ndarray, targets: np.ndarray) -> Posterior:
    """The posterior of observations with this covariance (n, n), noise included, and mean zero.

    Raises
    ------
    LinAlgError
        If the covariance is not positive definite.
    """
    factor = cholesky(covariance, lower=True)
    precision = cho_solve((factor, True), np.eye(len(targets)))
    weights = precision @ targets
    half_log_determinant = float(np.log(np.diag(factor)).sum())
    evidence = -0.5 * float(targets @ weights) - half_log_determinant - 0.5 * len(targets) * np.log(2 * np.pi)
    return Posterior(precision, targets, weights, evidence)
