"""The next pictures to grade, from what is known so far: a learner, or nothing but the features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mad_core.learning.active import most_informative, most_spread
from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.learning.kernels import NOISE, Kernels, weighted
from mad_core.learning.learner import SEVERITY, Learner, learn

POOL = 400
"""Pictures that are weighed against each other, spread evenly over the severities where there are more."""


def next_to_grade(
    pool: Evidence, scale: NormalScale, count: int, graded: Evidence | None = None, grades: Sequence[float] = ()
) -> np.ndarray:
    """Rows of ``pool`` to grade next, the one that teaches most first; a batch serves several people.

    Parameters
    ----------
    pool : Evidence
        Pictures without a grade, raw features.
    scale : NormalScale
    count : int
    graded : Evidence, optional
        Pictures with a grade.
    grades : sequence of float
        Theirs.

    Returns
    -------
    ndarray of shape (min(count, m),), int64
    """
    levels = np.asarray(grades, dtype=np.float64)
    if graded is None or len(levels) < 4 or len(np.unique(levels)) < 2:
        return first_to_grade(pool, scale, count, graded)
    return next_by_learner(learn(graded, levels, scale), pool, count)


def next_by_learner(learner: Learner, pool: Evidence, count: int) -> np.ndarray:
    """As :func:`next_to_grade`, by a learner that is there already."""
    rows = thinned(learner.predict(pool).severity, POOL)
    few = pool.rows(rows)
    predicted = learner.predict(few)
    chosen = most_informative(
        predicted.severity, learner.covariance(few), learner.noise, predicted.probabilities, learner.levels, count
    )
    return rows[chosen]


def first_to_grade(pool: Evidence, scale: NormalScale, count: int, graded: Evidence | None = None) -> np.ndarray:
    """Rows to grade where too few grades say anything: spread over the features and the detector's scores.

    Parameters
    ----------
    graded : Evidence, optional
        Pictures graded so far; what is like them is left for later.
    """
    rows = thinned(pool.detector, POOL)
    images = scale.departures(pool.rows(rows))
    kernels = Kernels.of(images)
    amplitudes = {name: float(np.exp(prior.mean)) for name, prior in SEVERITY.priors(list(images.groups)).items()}
    covariance = weighted(kernels.between(images, images), amplitudes)
    if graded is not None and len(graded):
        judged = scale.departures(graded)
        cross = weighted(kernels.between(images, judged), amplitudes)
        own = weighted(kernels.between(judged, judged), amplitudes) + amplitudes[NOISE] * np.eye(len(judged))
        covariance = covariance - cross @ np.linalg.solve(own, cross.T)
    return rows[most_spread(covariance, amplitudes[NOISE], count)]


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` rows, spread evenly over the order of their values."""
    order = np.argsort(values, kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int))]
