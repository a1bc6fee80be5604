"""Which image is worse? From comparisons in pairs to an order of severity with uncertainty, and the next pair to ask.

The model of Bradley and Terry (1952), in which image i is called worse than j with chance
expit(strength_i - strength_j). A tie counts as half a win of either (Davidson and others discuss finer ways; this
one keeps the likelihood concave and the order the same). A normal prior on the strengths keeps images that always
win, and groups of images that were never compared with each other, finite: each such group has the mean 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit
from scipy.stats import norm

from mad_core.errors import InputError

PRIOR_SD = 2.0
"""Standard deviation of the prior of a strength, in logits: 95 % of images within 4 of the mean."""
MOST = 3
"""How often a pair is judged before it is not asked again."""
_STEPS = 100
_NODES = 15


@dataclass(frozen=True)
class SeverityOrder:
    """A fitted order of severity.

    Parameters
    ----------
    images : tuple of n str
    strength : ndarray of shape (n,)
        In logits, higher is worse.
    covariance : ndarray of shape (n, n)
        Of the strengths: the inverse of the Hessian of the penalised log likelihood (Laplace's approximation).
    component : ndarray of shape (n,), int
        Images that no chain of comparisons joins have different numbers; their order among each other is unknown.
    judged : ndarray of shape (n, n), int
        How often each pair was compared; symmetric.
    """

    images: tuple[str, ...]
    strength: np.ndarray
    covariance: np.ndarray
    component: np.ndarray
    judged: np.ndarray

    @cached_property
    def error(self) -> np.ndarray:
        """Standard error of each strength, shape (n,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def connected(self) -> bool:
        """Whether comparisons join all images."""
        return len(np.unique(self.component)) <= 1

    def table(self, confidence: float = 0.95) -> pd.DataFrame:
        """A row per image, the worst first.

        Returns
        -------
        DataFrame
            ``image_id``, ``strength``, ``error``, ``low``, ``high`` (ends of the interval), ``component``,
            ``comparisons`` (how many it took part in).
        """
        z = float(norm.ppf((1 + confidence) / 2))
        table = pd.DataFrame(
            {
                "image_id": list(self.images),
                "strength": self.strength,
                "error": self.error,
                "low": self.strength - z * self.error,
                "high": self.strength + z * self.error,
                "component": self.component,
                "comparisons": self.judged.sum(axis=1),
            }
        )
        return table.sort_values(["strength", "image_id"], ascending=[False, True]).reset_index(drop=True)

    def chance(self, first: str, second: str) -> float:
        """Chance that ``first`` would be called worse than ``second``, uncertainty of the strengths left out."""
        places = {image: place for place, image in enumerate(self.images)}
        return float(expit(self.strength[places[first]] - self.strength[places[second]]))


def fit(comparisons: pd.DataFrame, images: Sequence[str] = (), *, prior_sd: float = PRIOR_SD) -> SeverityOrder:
    """Fit the strengths by penalised maximum likelihood (Newton's method; the likelihood is concave).

    Parameters
    ----------
    comparisons : DataFrame
        A row per judgement: ``image_id``, ``other``, ``after``: 1 if the first is the worse, 0 if the other, 0.5 if
        they are equal.
    images : sequence of str
        Images that belong to the order whether they were compared or not; those in ``comparisons`` always do.
    prior_sd : float
        Standard deviation of the normal prior, in logits.

    Returns
    -------
    Order
        About 10 ms for 200 images.

    Raises
    ------
    InputError
        If an outcome is none of 1, 0.5 and 0, or an image is compared with itself.
    """
    first, second = comparisons["image_id"].tolist(), comparisons["other"].tolist()
    outcome = comparisons["after"].to_numpy(dtype=np.float64)
    if not np.isin(outcome, (0.0, 0.5, 1.0)).all() or any(a == b for a, b in zip(first, second, strict=True)):
        raise InputError("A comparison is of two different images and says 1 (the first is worse), 0 or 0.5 (equal).")
    if not prior_sd > 0:
        raise InputError("The prior's standard deviation is above 0.")
    compared = tuple(dict.fromkeys([*images, *first, *second]))
    place = {image: i for i, image in enumerate(compared)}
    n = len(compared)
    a = np.array([place[image] for image in first], dtype=np.int64)
    b = np.array([place[image] for image in second], dtype=np.int64)
    wins = np.zeros((n, n))
    np.add.at(wins, (a, b), outcome)
    np.add.at(wins, (b, a), 1 - outcome)
    judged = wins + wins.T
    joined = connected_components(coo_matrix(judged), directed=False)[1] if n else np.empty(0, dtype=np.int64)
    strength, covariance = _newton(wins, judged, prior_sd)
    return SeverityOrder(compared, strength, covariance, joined.astype(np.int64), np.rint(judged).astype(np.int64))


def _newton(wins: np.ndarray, judged: np.ndarray, prior_sd: float) -> tuple[np.ndarray, np.ndarray]:
    precision, n = prior_sd**-2, len(wins)
    strength = np.zeros(n)
    value = _value(strength, wins, precision)
    for _ in range(_STEPS):
        chance = expit(strength[:, None] - strength)
        gradient = (wins - judged * chance).sum(axis=1) - precision * strength
        if not n or np.abs(gradient).max() < 1e-10:
            break
        step = np.linalg.solve(_curvature(strength, judged, precision), gradient)
        scale, rounding = 1.0, 1e-12 * (1 + abs(value))  # at the top a full step can seem to lead down by this much
        while (reached := _value(strength + scale * step, wins, precision)) < value - rounding and scale > 1e-8:
            scale /= 2
        strength, value = strength + scale * step, reached
    return strength, np.linalg.inv(_curvature(strength, judged, precision))


def _value(strength: np.ndarray, wins: np.ndarray, precision: float) -> float:
    return float((wins * log_expit(strength[:, None] - strength)).sum() - precision / 2 * strength @ strength)


def _curvature(strength: np.ndarray, judged: np.ndarray, precision: float) -> np.ndarray:
    """Minus the Hessian of the penalised log likelihood."""
    chance = expit(strength[:, None] - strength)
    information = judged * chance * (1 - chance)
    return np.diag(information.sum(axis=1) + precision) - information


def next_pair(order: SeverityOrder, *, most: int = MOST, seed: int = 0) -> tuple[str, str] | None:
    """The pair whose comparison teaches most about the order.

    Expected information gain of the answer (mutual information of the answer and the strengths), with the
    difference of the two strengths taken as normal: near even and uncertain pairs gain most. Images that nothing
    joins yet are uncertain against each other, so they are joined early.

    Parameters
    ----------
    order : SeverityOrder
    most : int
        Pairs judged this often are not asked again.
    seed : int
        Which of equal pairs is taken, and which of both images is named first.

    Returns
    -------
    (first, second) or None
        None where every pair was judged ``most`` times, or there are fewer than two images. About 20 ms for 200.
    """
    rows, columns = np.triu_indices(len(order.images), 1)
    open_ = order.judged[rows, columns] < most
    rows, columns = rows[open_], columns[open_]
    if not len(rows):
        return None
    gain = information_gain(order, rows, columns)
    rng = np.random.default_rng(seed)
    best = rng.choice(np.flatnonzero(gain >= gain.max() - 1e-9))
    one, other = order.images[rows[best]], order.images[columns[best]]
    return (one, other) if rng.random() < 0.5 else (other, one)


def information_gain(order: SeverityOrder, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Expected information gain of comparing pairs of images, in nats.

    Parameters
    ----------
    order : SeverityOrder
    rows, columns : ndarray of shape (p,), int
        Places of the pairs' images in ``order.images``.
    """
    spread = np.diag(order.covariance)
    variance = np.maximum(spread[rows] + spread[columns] - 2 * order.covariance[rows, columns], 0)
    mean = order.strength[rows] - order.strength[columns]
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    chance = expit(mean[:, None] + np.sqrt(variance)[:, None] * nodes)
    share = weights / weights.sum()
    return _entropy(chance @ share) - _entropy(chance) @ share


def _entropy(chance: np.ndarray) -> np.ndarray:
    safe = np.clip(chance, 1e-15, 1 - 1e-15)
    return -safe * np.log(safe) - (1 - safe) * np.log1p(-safe)
