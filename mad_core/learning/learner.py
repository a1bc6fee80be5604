"""The learner: from a few grades to an order of severity, a level with its probability, and the reasons.

Two questions, as a person asks them (a hurdle model: Cragg 1971, Econometrica 39, 829-844): is it abnormal, and how bad
is it if so? Each is a Gaussian process over the images. The first leans on the detector, counts training normals as
level 0, and lets features in on strong evidence only; the second learns from abnormal images what makes them worse.
Severity is the cube of the chance of the first times the level that the second expects. Two grades a level leave an
order close to the detector's; with more, what tells levels apart takes over. All that says how well it does (levels,
sets, shares) comes from fits that have not seen the image in question, in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mad_core.errors import InputError
from mad_core.learning.conformal import level_sets
from mad_core.learning.cuts import Cuts, fit_cuts
from mad_core.learning.evidence import Evidence, NormalScale, joined
from mad_core.learning.kernels import Belief
from mad_core.learning.regression import UNTOLD, Comparison, Regression, regress

PRESENCE = Belief(leaning=0.7, slope=-2.5, groups=-3.0)
SEVERITY = Belief(leaning=0.3, slope=-2.5, groups=1.0)
EXAMPLE_NOISE = 4.0
"""How much a training normal errs as an image of level 0, in multiples of a graded one."""
BEYOND = 0.01
"""Of the number behind a level, beside the expected level: what lies beyond all cuts still has an order."""
POWER = 3.0
"""Of the chance that an image is abnormal, in its severity: what surely is comes before what might be and is worse.
On real pictures 1 ordered abnormal images alike, and put more normals among them."""
UNLIKE = 1.5
"""An image is unlike all graded ones if it is farther from the nearest than any of these from its own, times this."""


@dataclass(frozen=True)
class Predicted:
    """What a learner says of m images.

    Parameters
    ----------
    severity : ndarray of shape (m,)
        What images are put in order by, on the scale of the levels.
    probabilities : ndarray of shape (m, L)
        Of each level.
    expected, spread : ndarray of shape (m,)
        Mean and standard deviation of the level.
    """

    severity: np.ndarray
    probabilities: np.ndarray
    expected: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class QuestionFit:
    """A regression, and where one level ends and the next begins on its numbers."""

    regression: Regression
    cuts: Cuts


@dataclass(frozen=True)
class Answers:
    """The numbers that the questions get of m images and their standard deviations, (m,) each."""

    presence: tuple[np.ndarray, np.ndarray] | None
    severity: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Learner:
    """A fitted learner; :func:`learn` makes one.

    Parameters
    ----------
    scale : NormalScale
    graded : Evidence
        The graded images, their features as departures.
    grades : ndarray of shape (n,)
    folds : ndarray of shape (n,)
        Graded images that are left out together.
    presence : QuestionFit or None
        Is it abnormal? None where no graded image is normal.
    severity : QuestionFit or None
        How bad is it, if so? None where only one abnormal level was graded.
    """

    scale: NormalScale
    graded: Evidence
    grades: np.ndarray
    folds: np.ndarray
    presence: QuestionFit | None
    severity: QuestionFit | None

    @property
    def levels(self) -> np.ndarray:
        """The levels that were graded, ascending."""
        return np.unique(self.grades)

    @property
    def regressions(self) -> list[Regression]:
        """Those of the questions that are asked, the decisive one for severity last."""
        return [question.regression for question in (self.presence, self.severity) if question]

    def departures(self, images: Evidence) -> Evidence:
        """Images as the learner sees them: measured against the normals."""
        return self.scale.departures(images)

    def predict(self, images: Evidence) -> Predicted:
        """Severity and level of images, raw features."""
        rows = self.departures(images)
        return self._predicted(self._answers(rows))

    @cached_property
    def out_of_fold(self) -> Predicted:
        """What fits without its fold say of each graded image."""
        return self._predicted(self._left_out)

    def sets(self, predicted: Predicted, miss: float) -> np.ndarray:
        """Levels that cannot be ruled out, (m, L) bool; see :func:`mad_core.learning.conformal.level_sets`."""
        own = strangeness(self.out_of_fold.probabilities)
        column = np.searchsorted(self.levels, self.grades)
        return level_sets(
            strangeness(predicted.probabilities), own[np.arange(len(own)), column], self.grades, self.levels, miss
        )

    def covariance(self, images: Evidence) -> np.ndarray:
        """Covariance (m, m) of the severities of images, to first order, in squared levels."""
        rows = self.departures(images)
        slopes = self._slopes(self._answers(rows))
        return np.sum(
            [np.outer(slope, slope) * of.covariance(rows) for slope, of in zip(slopes, self.regressions, strict=True)],
            axis=0,
        )

    @cached_property
    def noise(self) -> float:
        """Variance of a grade around the severity, of a typical graded image, in squared levels."""
        slopes = self._slopes(self._left_out)
        return float(
            sum((slope**2).mean() * of.noise for slope, of in zip(slopes, self.regressions, strict=True)) + 1e-9
        )

    def slopes(self, images: Evidence) -> list[np.ndarray]:
        """By how much the severity of images rises with the number of each of :attr:`regressions`, (m,) each."""
        return self._slopes(self._answers(self.departures(images)))

    def contributions(self, images: Evidence) -> dict[str, np.ndarray]:
        """What each group and the detector add to the severity of images, to first order, in levels, (m,) each."""
        rows = self.departures(images)
        return self._added(self._answers(rows), [of.parts(rows) for of in self.regressions])

    @cached_property
    def contributions_left_out(self) -> dict[str, np.ndarray]:
        """As :meth:`contributions`, of the graded images by fits without their folds; comparisons aside."""
        return self._added(self._left_out, [of.parts_left_out(self.folds) for of in self.regressions])

    def distances(self, images: Evidence) -> np.ndarray:
        """How far images are from each graded one, (m, n), in what counts."""
        return self.regressions[-1].distances(self.departures(images), self.graded)

    def unlike(self, images: Evidence) -> np.ndarray:
        """Whether each image lies outside everything graded, (m,) bool: its level is a guess into the blue."""
        among = self.regressions[-1].distances(self.graded, self.graded)
        np.fill_diagonal(among, np.inf)
        return self.distances(images).min(axis=1) > UNLIKE * among.min(axis=1).max()

    @cached_property
    def _left_out(self) -> Answers:
        presence, severity = (
            question and question.regression.left_out(self.folds) for question in (self.presence, self.severity)
        )
        return Answers(presence, severity)

    def _answers(self, rows: Evidence) -> Answers:
        presence, severity = (
            question and question.regression.predict(rows) for question in (self.presence, self.severity)
        )
        return Answers(presence, severity)

    def _predicted(self, answers: Answers) -> Predicted:
        chance, level = self._chance(answers), self._level(answers)
        if self.severity and answers.severity:
            abnormal = self.severity.cuts.probabilities(*answers.severity)
        else:
            abnormal = np.ones((len(level), 1))
        below = (1 - chance)[:, None]
        probabilities = np.hstack([below, chance[:, None] * abnormal]) if self.levels[0] == 0 else abnormal
        expected = probabilities @ self.levels
        spread = np.sqrt(np.maximum(probabilities @ self.levels**2 - expected**2, 0.0))
        return Predicted(chance**POWER * level, probabilities, expected, spread)

    def _chance(self, answers: Answers) -> np.ndarray:
        """That each image is abnormal."""
        if self.presence and answers.presence:
            return self.presence.cuts.probabilities(*answers.presence)[:, 1]
        assert answers.severity is not None
        return np.ones(len(answers.severity[0]))

    def _level(self, answers: Answers) -> np.ndarray:
        """How bad each image is if it is abnormal."""
        if self.severity and answers.severity:
            cuts, number = self.severity.cuts, answers.severity[0]
            return cuts.expected(cuts.probabilities(*answers.severity)) + BEYOND * number
        assert answers.presence is not None
        return np.full(len(answers.presence[0]), self.levels[-1])

    def _slopes(self, answers: Answers) -> list[np.ndarray]:
        """By how much severity rises with each question's number, (m,) each."""
        chance, slopes = self._chance(answers), []
        if self.presence and answers.presence:
            rise = POWER * chance ** (POWER - 1) * self.presence.cuts.slope(*answers.presence)
            slopes.append(self._level(answers) * rise)
        if self.severity and answers.severity:
            slopes.append(chance**POWER * (self.severity.cuts.slope(*answers.severity) + BEYOND))
        return slopes

    def _added(self, answers: Answers, parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        slopes = self._slopes(answers)
        return {
            name: np.sum([slope * of[name] for slope, of in zip(slopes, parts, strict=True)], axis=0)
            for name in parts[0]
        }


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
        Their levels, 0 = normal.
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
        If fewer than two levels are graded, or fewer than four images, or a level lies below 0.
    """
    grades = np.asarray(grades, dtype=np.float64)
    if len(grades) < 4 or len(np.unique(grades)) < 2:
        raise InputError(
            f"Grades of at least four images and two levels are needed; there are {len(grades)} of "
            f"{len(np.unique(grades))}."
        )
    if (grades < 0).any():
        raise InputError("A severity level is 0, which is normal, or more; there is one below 0.")
    rows, folds = scale.departures(graded), folds_of(len(grades), together)
    beside = None if compared is None else scale.departures(compared)
    severity = None
    if len(np.unique(grades[grades > 0])) > 1:
        noise = np.where(grades > 0, 1.0, UNTOLD)
        fit = regress(rows, grades, noise, SEVERITY, scale.narrowest, compared=beside, comparisons=comparisons)
        severity = _question_fit(fit, folds, grades, grades > 0)
    return Learner(scale, rows, grades, folds, _presence(rows, grades, scale, folds), severity)


def _presence(rows: Evidence, grades: np.ndarray, scale: NormalScale, folds: np.ndarray) -> QuestionFit | None:
    abnormal, noise = (grades > 0).astype(np.float64), np.ones(len(grades))
    if abnormal.all():
        return None
    targets = abnormal
    if scale.examples is not None:
        rows = joined(rows, scale.examples)
        targets = np.concatenate([targets, np.zeros(len(scale.examples))])
        noise = np.concatenate([noise, np.full(len(scale.examples), EXAMPLE_NOISE)])
    fit = regress(rows, targets, noise, PRESENCE, scale.narrowest)
    return _question_fit(fit, folds, abnormal, noise[: len(grades)] == 1)


def _question_fit(fit: Regression, folds: np.ndarray, grades: np.ndarray, own: np.ndarray) -> QuestionFit:
    numbers, deviations = fit.left_out(folds)
    return QuestionFit(fit, fit_cuts(numbers[own], deviations[own], grades[own]))


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
