"""A number for each image from a few known ones: a Gaussian process over groups of features, beside a detector.

The mean leans on the detector's score before anything is known; the covariance is a sum of one linear kernel for each
group of features and one for what the slope on the detector may be instead. How much each counts is what makes the
targets most likely.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mad_core.learning.evidence import Evidence, joined
from mad_core.learning.gaussian import Posterior, condition
from mad_core.learning.kernels import DETECTOR, NOISE, Belief, Kernels, fit_amplitudes, weighted

MARGIN = 0.5
"""By how many levels the worse of two compared images is at least worse."""
PAIR_NOISE = 0.25
"""Variance of a comparison around that, in squared levels."""
ROUNDS = 10
LEAST_LEANING = 0.5
"""Share of what a number leans on the detector that grades cannot take away: a handful of them may lie the wrong way
round by chance, and must not turn the order of all others over."""
PINNED = -12.0
"""Logarithm of the variance of a slope that is not learned."""
UNTOLD = 1e6
"""Noise of a row whose target counts for nothing, in multiples of the others'."""


@dataclass(frozen=True)
class Comparison:
    """The answer to "which is worse?": two rows of the evidence that was compared."""

    worse: int
    better: int


@dataclass(frozen=True)
class Regression:
    """A fitted regression; :func:`regress` makes one. Its images are departures.

    Parameters
    ----------
    kernels : Kernels
    amplitudes : mapping of str to float
        Of each group, of the detector, and of the noise, in variances of the targets.
    belief : Belief
    evidence : Evidence
        The n rows that were told, then the compared ones.
    pairs : sequence of Comparison
        The answers that the targets alone would not give, which therefore teach.
    errors : ndarray
        Variance of each observation, in variances of the targets.
    posterior : Posterior
    middle, unit : float
        Mean and spread of the targets.
    """

    kernels: Kernels
    amplitudes: Mapping[str, float]
    belief: Belief
    evidence: Evidence
    pairs: Sequence[Comparison]
    errors: np.ndarray
    posterior: Posterior
    middle: float
    unit: float

    @property
    def noise(self) -> float:
        """Variance of a target around the number, in squared units of the targets."""
        return self.amplitudes[NOISE] * self.unit**2

    def predict(self, rows: Evidence) -> tuple[np.ndarray, np.ndarray]:
        """The number, and the standard deviation of a target around it, (m,) each."""
        cross = self._cross(rows)
        prior = weighted(self.kernels.diagonals(rows), self.amplitudes)
        variance = self.posterior.variance(cross, prior) + self.amplitudes[NOISE]
        return self._in_units(self.posterior.mean(cross), rows), self.unit * np.sqrt(variance)

    def left_out(self, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`predict`, of the first ``len(folds)`` known rows, each by a fit without its fold."""
        count = len(folds)
        means, variances = self.posterior.left_out(_each_alone_after(folds, len(self.errors)))
        own = np.maximum(variances[:count] - self.errors[:count], 0.0) + self.amplitudes[NOISE]
        return self._in_units(means[:count], self.evidence.rows(np.arange(count))), self.unit * np.sqrt(own)

    def covariance(self, rows: Evidence) -> np.ndarray:
        """Covariance (m, m) of the numbers."""
        prior = weighted(self.kernels.between(rows, rows), self.amplitudes)
        return self.unit**2 * self.posterior.covariance(self._cross(rows), prior)

    def parts(self, rows: Evidence) -> dict[str, np.ndarray]:
        """What each group and the detector add to the number, (m,) each: all of it but a constant."""
        taught = self.design.T @ self.posterior.weights
        return self._parts({name: of @ taught for name, of in self.kernels.between(rows, self.evidence).items()}, rows)

    def parts_left_out(self, folds: np.ndarray) -> dict[str, np.ndarray]:
        """As :meth:`parts`, of the first ``len(folds)`` known rows by fits without their folds; comparisons aside."""
        count, told = len(folds), self._told
        rows = self.evidence.rows(np.arange(told))
        kernels = self.kernels.between(rows, rows)
        covariance = weighted(kernels, self.amplitudes) + np.diag(self.errors[:told])
        every, left_out = _each_alone_after(folds, told), {name: np.empty(count) for name in kernels}
        for fold in np.unique(folds):
            out, rest = np.flatnonzero(folds == fold), np.flatnonzero(every != fold)
            weights = np.linalg.solve(covariance[np.ix_(rest, rest)], self.posterior.targets[rest])
            for name, kernel in kernels.items():
                left_out[name][out] = kernel[np.ix_(out, rest)] @ weights
        return self._parts(left_out, self.evidence.rows(np.arange(count)))

    def distances(self, rows: Evidence, others: Evidence) -> np.ndarray:
        """How far rows are from others, (m, n), in what counts."""
        own, other = (weighted(self.kernels.diagonals(of), self.amplitudes) for of in (rows, others))
        cross = weighted(self.kernels.between(rows, others), self.amplitudes)
        return np.sqrt(np.maximum(own[:, None] + other - 2 * cross, 0.0))

    @property
    def slope(self) -> float:
        """By how many spreads of the targets the number rises with one spread of the detector's scores."""
        taught = self.kernels.standard(self.evidence.detector) @ self.design.T @ self.posterior.weights
        return self.belief.leaning + self.amplitudes[DETECTOR] * float(taught)

    @property
    def _told(self) -> int:
        return len(self.errors) - len(self.pairs)

    @property
    def design(self) -> np.ndarray:
        return design(self._told, len(self.evidence) - self._told, self.pairs)

    def _cross(self, rows: Evidence) -> np.ndarray:
        return weighted(self.kernels.between(rows, self.evidence), self.amplitudes) @ self.design.T

    def _leaning(self, rows: Evidence) -> np.ndarray:
        return self.belief.leaning * self.kernels.standard(rows.detector)

    def _in_units(self, numbers: np.ndarray, rows: Evidence) -> np.ndarray:
        return self.middle + self.unit * (numbers + self._leaning(rows))

    def _parts(self, sums: Mapping[str, np.ndarray], rows: Evidence) -> dict[str, np.ndarray]:
        parts = {name: self.unit * self.amplitudes[name] * of for name, of in sums.items()}
        return parts | {DETECTOR: parts[DETECTOR] + self.unit * self._leaning(rows)}


def regress(
    rows: Evidence,
    targets: np.ndarray,
    noise: np.ndarray,
    belief: Belief,
    narrowest: float = 0.0,
    *,
    compared: Evidence | None = None,
    comparisons: Sequence[Comparison] = (),
) -> Regression:
    """Fit a regression; where the slope on the detector falls below ``LEAST_LEANING``, with the slope held there.

    Parameters
    ----------
    rows : Evidence
        Images, their features as departures.
    targets : ndarray of shape (n,)
        The number of each.
    noise : ndarray of shape (n,)
        How much each errs, in multiples of the noise that is fitted. What is 1 sets units; a row of ``UNTOLD`` is only
        there to be judged by fits without its fold.
    belief : Belief
        What is believed before.
    narrowest : float
        As :meth:`Kernels.of` takes it.
    compared, comparisons
        As for :func:`mad_core.learning.learner.learn`.
    """
    given = compared, comparisons
    fit = _conditioned(rows, targets, noise, belief, narrowest, *given)
    least = LEAST_LEANING * belief.leaning
    if fit.slope >= least:
        return fit
    return _conditioned(rows, targets, noise, replace(belief, leaning=least, slope=PINNED), narrowest, *given)


def _conditioned(
    rows: Evidence,
    targets: np.ndarray,
    noise: np.ndarray,
    belief: Belief,
    narrowest: float,
    compared: Evidence | None,
    comparisons: Sequence[Comparison],
) -> Regression:
    own, told = noise == 1, noise < UNTOLD
    middle, unit = float(targets[own].mean()), float(targets[own].std()) or 1.0
    kernels = Kernels.of(rows.rows(own), narrowest)
    rest = (targets - middle) / unit - belief.leaning * kernels.standard(rows.detector)
    inner = kernels.between(rows.rows(told), rows.rows(told))
    amplitudes = fit_amplitudes(inner, rest[told], noise[told], belief)
    evidence = joined(rows, compared) if compared is not None else rows
    covariance = weighted(kernels.between(evidence, evidence), amplitudes)
    errors, leaning = amplitudes[NOISE] * noise, belief.leaning * kernels.standard(evidence.detector)
    pairs: tuple[Comparison, ...] = ()
    for _ in range(ROUNDS):  # a squared hinge: the comparisons that the numbers contradict pull, the others rest
        observed = design(len(rows), len(evidence) - len(rows), pairs)
        wanted = np.concatenate([rest, [MARGIN / unit - _apart(leaning[len(rows) :], pair) for pair in pairs]])
        every = np.concatenate([errors, np.full(len(pairs), PAIR_NOISE / unit**2)])
        posterior = condition(observed @ covariance @ observed.T + np.diag(every), wanted)
        numbers = (leaning + covariance @ observed.T @ posterior.weights)[len(rows) :]
        violated = tuple(pair for pair in comparisons if _apart(numbers, pair) < MARGIN / unit)
        if violated == pairs:
            break
        pairs = violated
    return Regression(kernels, amplitudes, belief, evidence, pairs, every, posterior, middle, unit)


def design(told: int, compared: int, pairs: Sequence[Comparison]) -> np.ndarray:
    """What was observed, as sums over the known rows: each that was told, then the difference of each pair."""
    rows = np.zeros((told + len(pairs), told + compared))
    rows[np.arange(told), np.arange(told)] = 1.0
    for row, pair in enumerate(pairs, start=told):
        rows[row, told + pair.worse] += 1.0
        rows[row, told + pair.better] -= 1.0
    return rows


def _apart(numbers: np.ndarray, pair: Comparison) -> float:
    return float(numbers[pair.worse] - numbers[pair.better])


def _each_alone_after(folds: np.ndarray, count: int) -> np.ndarray:
    """Folds of ``count`` rows: those given, then one for each further row."""
    return np.concatenate([folds, folds.max() + 1 + np.arange(count - len(folds))])
