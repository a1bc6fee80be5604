"""The learner: from a few grades to an order of severity, a level with its probability, and the reasons.

Severity is a Gaussian process over the images. Its covariance is a sum: one linear kernel for each group of features,
measured in spreads of the normals, and the slope of a detector's score, which is believed in before any grade is seen.
How much each counts is what makes the grades most likely. Two grades a level leave an order close to the detector's;
with more, what tells levels apart takes over. All that says how well it does (levels, sets, shares) comes from
fits that have not seen the image in question, in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mad_core.errors import InputError
from mad_core.learning.conformal import level_sets
from mad_core.learning.cuts import Cuts, fit_cuts
from mad_core.learning.evidence import Evidence, NormalScale, joined
from mad_core.learning.gaussian import Posterior, condition
from mad_core.learning.kernels import NOISE, Kernels, fit_amplitudes, weighted

MARGIN = 0.5
"""By how many levels the worse of two compared images is at least worse."""
PAIR_NOISE = 0.25
"""Variance of a comparison around that, in squared levels."""
ROUNDS = 10
UNLIKE = 1.5
"""An image is unlike all graded ones if it is farther from the nearest than any of these from its own, times this."""


@dataclass(frozen=True)
class Comparison:
    """The answer to "which is worse?": two rows of the evidence that was compared."""

    worse: int
    better: int


@dataclass(frozen=True)
class Predicted:
    """What a learner says of m images.

    Parameters
    ----------
    severity, deviation : ndarray of shape (m,)
        On the scale of the levels, not confined to it, and the standard deviation of a grade around it.
    probabilities : ndarray of shape (m, L)
        Of each level.
    expected, spread : ndarray of shape (m,)
        Mean and standard deviation of the level.
    """

    severity: np.ndarray
    deviation: np.ndarray
    probabilities: np.ndarray
    expected: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Learner:
    """A fitted learner; :func:`learn` makes one.

    Parameters
    ----------
    scale : NormalScale
    kernels : Kernels
    amplitudes : mapping of str to float
        Of each group, of the detector, and of the noise, in variances of the grades.
    graded : Evidence
        The graded images, their features as departures.
    compared : Evidence
        Images of comparisons, likewise.
    grades : ndarray of shape (n,)
    folds : ndarray of shape (n,)
        Graded images that are left out together.
    pairs : sequence of Comparison
        The answers that the grades alone would not give, which therefore teach.
    cuts : Cuts
    """

    scale: NormalScale
    kernels: Kernels
    amplitudes: Mapping[str, float]
    graded: Evidence
    compared: Evidence
    grades: np.ndarray
    folds: np.ndarray
    pairs: Sequence[Comparison]
    posterior: Posterior
    cuts: Cuts

    @property
    def levels(self) -> np.ndarray:
        """The levels that were graded, ascending."""
        return self.cuts.levels

    @property
    def noise(self) -> float:
        """Variance of a grade around the severity, in squared levels."""
        return self.amplitudes[NOISE] * self._unit**2

    @property
    def _unit(self) -> float:
        return float(self.grades.std())

    @property
    def _taught(self) -> Evidence:
        return joined(self.graded, self.compared)

    def departures(self, images: Evidence) -> Evidence:
        """Images with their features measured in spreads of the normals, as the methods below take them."""
        return Evidence(images.detector, self.scale.departures(images.groups))

    def predict(self, images: Evidence) -> Predicted:
        """Severity and level of images, raw features."""
        rows = self.departures(images)
        cross = self._cross(rows)
        prior = weighted(self.kernels.diagonals(rows), self.amplitudes)
        severity = self.grades.mean() + self._unit * self.posterior.mean(cross)
        deviation = self._unit * np.sqrt(self.posterior.variance(cross, prior) + self.amplitudes[NOISE])
        return self._predicted(severity, deviation)

    @cached_property
    def out_of_fold(self) -> Predicted:
        """What fits without its fold say of each graded image."""
        return self._predicted(*_left_out(self.posterior, self.folds, self.grades))

    def sets(self, predicted: Predicted, miss: float) -> np.ndarray:
        """Levels that cannot be ruled out, (m, L) bool; see :func:`mad_core.learning.conformal.level_sets`."""
        own = strangeness(self.out_of_fold.probabilities)
        column = np.searchsorted(self.levels, self.grades)
        return level_sets(
            strangeness(predicted.probabilities), own[np.arange(len(own)), column], self.grades, self.levels, miss
        )

    def contributions(self, images: Evidence) -> dict[str, np.ndarray]:
        """What each group and the detector add to the severity of each image, in levels."""
        taught = self._design.T @ self.posterior.weights
        kernels = self.kernels.between(self.departures(images), self._taught)
        return {name: self._unit * self.amplitudes[name] * kernel @ taught for name, kernel in kernels.items()}

    def covariance(self, images: Evidence) -> np.ndarray:
        """Covariance (m, m) of the severities of images, in squared levels."""
        rows = self.departures(images)
        prior = weighted(self.kernels.between(rows, rows), self.amplitudes)
        return self._unit**2 * self.posterior.covariance(self._cross(rows), prior)

    def distances(self, images: Evidence) -> np.ndarray:
        """How far images are from each graded one, (m, n), in what counts for severity."""
        return self._distances(self.departures(images))

    def unlike(self, images: Evidence) -> np.ndarray:
        """Whether each image lies outside everything graded, (m,) bool: its level is a guess into the blue."""
        among = self._distances(self.graded)
        np.fill_diagonal(among, np.inf)
        return self.distances(images).min(axis=1) > UNLIKE * among.min(axis=1).max()

    def _distances(self, rows: Evidence) -> np.ndarray:
        own, graded = (weighted(self.kernels.diagonals(of), self.amplitudes) for of in (rows, self.graded))
        cross = weighted(self.kernels.between(rows, self.graded), self.amplitudes)
        return np.sqrt(np.maximum(own[:, None] + graded - 2 * cross, 0.0))

    def _predicted(self, severity: np.ndarray, deviation: np.ndarray) -> Predicted:
        chances = self.cuts.probabilities(severity, deviation)
        return Predicted(severity, deviation, chances, self.cuts.expected(chances), self.cuts.spread(chances))

    @property
    def _design(self) -> np.ndarray:
        return design(len(self.graded), len(self.compared), self.pairs)

    def _cross(self, rows: Evidence) -> np.ndarray:
        return weighted(self.kernels.between(rows, self._taught), self.amplitudes) @ self._design.T


def learn(
    graded: Evidence,
    grades: np.ndarray,
    scale: NormalScale,
    *,
    together: Sequence[str] | None = None,
    compared: Evidence | None = None,
    comparisons: Sequence[Comparison] = (),
) -> Learner:
    """Fit a learner; a second for some hundred grades.

    Parameters
    ----------
    graded : Evidence
        The graded images, raw features.
    grades : ndarray of shape (n,)
        Their levels.
    scale : NormalScale
        Of the training normals.
    together : sequence of n str, optional
        Patient, part or lot of each graded image: one is judged by fits without all of its group.
    compared : Evidence, optional
        Images of comparisons.
    comparisons : sequence of Comparison
        Answers to "which is worse?", by rows of ``compared``.

    Raises
    ------
    InputError
        If fewer than two levels are graded, or fewer than four images.
    """
    grades = np.asarray(grades, dtype=np.float64)
    if len(grades) < 4 or len(np.unique(grades)) < 2:
        raise InputError(
            f"Grades of at least four images and two levels are needed; there are {len(grades)} of "
            f"{len(np.unique(grades))}."
        )
    rows = Evidence(graded.detector, scale.departures(graded.groups))
    beside = rows.rows(np.zeros(0, dtype=np.int64))
    if compared is not None:
        beside = Evidence(compared.detector, scale.departures(compared.groups))
    kernels = Kernels.of(rows)
    targets = (grades - grades.mean()) / grades.std()
    amplitudes = fit_amplitudes(kernels.between(rows, rows), targets)
    taught = joined(rows, beside)
    covariance = weighted(kernels.between(taught, taught), amplitudes)
    pairs, posterior = _with_comparisons(covariance, amplitudes[NOISE], targets, grades.std(), comparisons)
    folds = folds_of(len(grades), together)
    cuts = fit_cuts(*_left_out(posterior, folds, grades), grades)
    return Learner(scale, kernels, amplitudes, rows, beside, grades, folds, pairs, posterior, cuts)


def folds_of(count: int, together: Sequence[str] | None) -> np.ndarray:
    """A number for each image, the same for those of one group; an image without a group is its own."""
    if together is None:
        return np.arange(count)
    names = [f"group {name}" if name else f"image {number}" for number, name in enumerate(together)]
    return np.unique(names, return_inverse=True)[1]


def strangeness(probabilities: np.ndarray) -> np.ndarray:
    """How badly each level fits, (m, L): the probability that the level is farther to the likelier side than it."""
    below = np.cumsum(probabilities, axis=1) - probabilities
    return np.maximum(below, 1 - below - probabilities)


def design(graded: int, compared: int, pairs: Sequence[Comparison]) -> np.ndarray:
    """What was observed, as sums of severities: each graded image, then the difference of each pair."""
    rows = np.zeros((graded + len(pairs), graded + compared))
    rows[np.arange(graded), np.arange(graded)] = 1.0
    for row, pair in enumerate(pairs, start=graded):
        rows[row, graded + pair.worse] += 1.0
        rows[row, graded + pair.better] -= 1.0
    return rows


def _with_comparisons(
    covariance: np.ndarray, noise: float, targets: np.ndarray, unit: float, comparisons: Sequence[Comparison]
) -> tuple[tuple[Comparison, ...], Posterior]:
    """A squared hinge on each comparison, by turns: those that the severities contradict pull, the others rest."""
    count = len(targets)
    pairs: tuple[Comparison, ...] = ()
    for _ in range(ROUNDS):
        observed = design(count, len(covariance) - count, pairs)
        errors = np.concatenate([np.full(count, noise), np.full(len(pairs), PAIR_NOISE / unit**2)])
        wanted = np.concatenate([targets, np.full(len(pairs), MARGIN / unit)])
        posterior = condition(observed @ covariance @ observed.T + np.diag(errors), wanted)
        severity = covariance @ observed.T @ posterior.weights
        beside = severity[count:]
        violated = tuple(p for p in comparisons if beside[p.worse] - beside[p.better] < MARGIN / unit)
        if violated == pairs:
            break
        pairs = violated
    return pairs, posterior


def _left_out(posterior: Posterior, folds: np.ndarray, grades: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Severity and deviation of each graded image by fits without its fold, on the scale of the levels."""
    further = folds.max() + 1 + np.arange(len(posterior.targets) - len(folds))
    means, variances = posterior.left_out(np.concatenate([folds, further]))
    unit = grades.std()
    return grades.mean() + unit * means[: len(folds)], unit * np.sqrt(variances[: len(folds)])
