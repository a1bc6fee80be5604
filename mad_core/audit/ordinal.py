"""What severity level do the scores of an image point to? Predictions out of fold, by two ordinal models.

Each image is judged by models that never saw its label: the images of a subset are dealt into folds, level by
level, and each fold is predicted from the others. Scores enter as normal scores of their ranks, so that neither
their unit nor an outlier matters. The two models fail differently, so their mean is more robust than either:

- cumulative logits with proportional odds (McCullagh 1980, Regression Models for Ordinal Data), with a ridge;
- a Gaussian for each level (Fisher 1936) whose mean is drawn towards a straight line over the levels and whose
  covariance is drawn towards the common one, the more so the fewer images the level has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from mad_core.datasets.dataset import level_key
from mad_core.metrics.units import by_number, units_of
from mad_core.metrics.units import dealt as dealt_whole

FEWEST = 4
"""Images below which a level is judged together with its nearest one."""
FOLDS = 5
ROUNDS = 2
"""After the first round images count by how far their labels are trusted, so that errors do not teach the second."""
ERRORS = 0.05
RIDGE = 1.0
LINE = 4.0
"""As how many images the straight line over the levels counts in a level's mean."""
PRIOR = 1.0
COMMON = 20.0
"""As how many images the common covariance counts in a level's."""
SHRINK = 0.1
"""How far the common covariance is drawn towards its diagonal."""
_LEAST = 1e-9
_STEPS = 25
_ENOUGH = 1e-3
_MIXING = 50


@dataclass(frozen=True)
class Groups:
    """Levels in order, those with few images taken together.

    Parameters
    ----------
    of : ndarray of shape (n,), int
        Group of each image's label.
    levels : ndarray of shape (K,)
        Mean level of a group's images.
    names : sequence of str
        ``"L3"``, or ``"L3 to L3.5"`` where levels are taken together.
    """

    of: np.ndarray
    levels: np.ndarray
    names: tuple[str, ...]

    @cached_property
    def apart(self) -> np.ndarray:
        """Distance of each pair of groups in levels, as part of the largest; shape (K, K), 0 to 1."""
        distances = np.abs(self.levels[:, None] - self.levels)
        return distances / max(float(distances.max()), _LEAST)


def grouped(levels: np.ndarray, fewest: int = FEWEST) -> Groups:
    """Take neighbouring levels together until each group has ``fewest`` images, the smallest gap first.

    Parameters
    ----------
    levels : ndarray of shape (n,)
        Finite.
    """
    distinct, place, counts = np.unique(levels, return_inverse=True, return_counts=True)
    parts = [[i] for i in range(len(distinct))]

    def size(part: Sequence[int]) -> int:
        return int(counts[list(part)].sum())

    while len(parts) > 1 and min(size(part) for part in parts) < fewest:
        at = min(range(len(parts)), key=lambda i: size(parts[i]))
        beside = [i for i in (at - 1, at + 1) if 0 <= i < len(parts)]
        to = min(beside, key=lambda i: (min(abs(distinct[a] - distinct[b]) for a in parts[i] for b in parts[at]), i))
        low = min(at, to)
        parts[low : low + 2] = [sorted([*parts[at], *parts[to]])]
    group_of = np.empty(len(distinct), dtype=np.int64)
    for group, part in enumerate(parts):
        group_of[part] = group
    of = group_of[place.ravel()]
    means = np.array([np.average(distinct[part], weights=counts[part]) for part in parts])
    return Groups(of, means, tuple(_name(distinct[part]) for part in parts))


def _name(levels: np.ndarray) -> str:
    first, last = level_key(levels[0]), level_key(levels[-1])
    return f"L{first}" if first == last else f"L{first} to L{last}"


@dataclass(frozen=True)
class Predictions:
    """What the scores of one subset say of its labels.

    Parameters
    ----------
    groups : Groups
    joint : ndarray of shape (n, K)
        Probability of each group of levels from all scorers together; a row of NaN where no scorer has a score.
    alone : ndarray of shape (m, n, K)
        The same from each scorer by itself; a row of NaN where it has none.
    """

    groups: Groups
    joint: np.ndarray
    alone: np.ndarray

    def words(self) -> list[str]:
        """What the scorers, each by itself, say of each image; empty where none has a score.

        Such as ``"three of four scorers place it among L3"``; of levels that are named as often, the one that is
        likelier by all scorers together. If that would have another level, it is said too.
        """
        seen = np.isfinite(self.alone).all(axis=2)
        choice = np.where(seen, np.nan_to_num(self.alone).argmax(axis=2), -1)
        joint = np.nan_to_num(self.joint)
        texts = []
        for votes, together in zip(choice.T, joint, strict=True):
            counts = np.bincount(votes[votes >= 0], minlength=len(together))
            most = int(counts.max())
            group = int(np.lexsort((together, counts))[-1])
            text = _sentence(most, int(counts.sum()), len(votes), self.groups.names[group]) if most else ""
            best = int(together.argmax())
            texts.append(f"{text}, together among {self.groups.names[best]}" if most and best != group else text)
        return texts


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number(count: int) -> str:
    """A whole number in words up to ten."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def _sentence(most: int, scored: int, scorers: int, name: str) -> str:
    if scorers == 1:
        return f"the scorer places it among {name}"
    who = f"all {number(scored)}" if most == scored > 1 else f"{number(most)} of {number(scored)}"
    if scored == 1:
        text = f"the one scorer with a score places it among {name}"
    elif most == scored == 2:
        text = f"both scorers place it among {name}"
    else:
        text = f"{who} scorers {'places' if most == 1 else 'place'} it among {name}"
    without = scorers - scored
    if not without or scored == 1:
        return text
    return f"{text} ({number(without)} {'has' if without == 1 else 'have'} no score)"


def predict(
    levels: np.ndarray, scores: np.ndarray, *, folds: int = FOLDS, seed: int = 0, together: Any = None
) -> Predictions | None:
    """Out-of-fold ordinal predictions of the levels of one subset.

    Parameters
    ----------
    levels : ndarray of shape (n,)
        Labels, finite.
    scores : ndarray of shape (n, m)
        Raw units, one column a scorer, higher is more severe; NaN where an image failed.
    folds, seed : int
        How many folds, and by which draw images are dealt into them.
    together : array of shape (n,), optional
        What images belong to (a patient, a part): those of one are dealt into one fold.

    Returns
    -------
    Predictions or None
        None where the scored images have fewer than two groups of ``FEWEST`` images. Takes about 0.1 s for 4,000
        images and four scorers.
    """
    scores = np.where(np.isfinite(scores), scores, np.nan)
    seen = np.isfinite(scores)
    some = seen.any(axis=1)
    if some.sum() < 2 * FEWEST or len(np.unique(levels[some])) < 2:
        return None
    groups = grouped(levels)
    if len(np.unique(groups.of[some])) < 2:
        return None
    rng, units = np.random.default_rng(seed), units_of(together, len(levels))
    normal = normal_scores(scores)
    shape = (len(levels), len(groups.levels))
    joint = np.full(shape, np.nan)
    features, of = filled(normal)[some], groups.of[some]
    fold, trusted = _folds(of, None if units is None else units[some], folds, rng), np.ones(len(of))
    for _ in range(ROUNDS):
        both = [_out_of_fold(features, of, trusted, shape[1], fold, model) for model in MODELS]
        predictions = stacked(np.stack(both), of, trusted)
        trusted = _trusted(predictions[np.arange(len(of)), of], shape[1])
    joint[some] = predictions
    weights = np.ones(len(levels))
    weights[some] = trusted
    alone = np.full((scores.shape[1], *shape), np.nan)
    for number, column in enumerate(normal.T):
        rows = seen[:, number]
        if rows.sum() >= 2 * FEWEST and len(np.unique(groups.of[rows])) > 1:
            fold = _folds(groups.of[rows], None if units is None else units[rows], folds, rng)
            alone[number, rows] = _out_of_fold(
                column[rows, None], groups.of[rows], weights[rows], shape[1], fold, gaussian_probabilities
            )
    return Predictions(groups, joint, alone)


def _trusted(chance: np.ndarray, count: int) -> np.ndarray:
    """Chance that each label is right, if ``ERRORS`` of them are not and any other level is as likely then."""
    wrong = ERRORS * (1 - chance) / (count - 1)
    right = (1 - ERRORS) * chance
    return np.maximum(right / np.maximum(right + wrong, _LEAST), 1e-3)


def normal_scores(scores: np.ndarray) -> np.ndarray:
    """Each column's ranks, ties sharing their mean, as quantiles of the normal distribution; NaN stays NaN."""
    normal = np.full(scores.shape, np.nan)
    for column, into in zip(scores.T, normal.T, strict=True):
        seen = np.isfinite(column)
        if seen.any():
            into[seen] = ndtri((rankdata(column[seen]) - 0.5) / seen.sum())
    return normal


def filled(normal: np.ndarray) -> np.ndarray:
    """Missing normal scores as the other scorers of the image would have it (conditional mean of a Gaussian).

    Parameters
    ----------
    normal : ndarray of shape (n, m)
        Each column has mean zero over its finite values.

    Returns
    -------
    ndarray of shape (n, m)
        An image without any score gets zeros.
    """
    seen = np.isfinite(normal)
    if seen.all():
        return normal
    zeroed = np.where(seen, normal, 0.0)
    both = seen.astype(float).T @ seen
    # Ten images' worth of no relation keeps a pair of scorers that hardly meet from being believed.
    covariance = (zeroed.T @ zeroed) / (both + 10.0) + 1e-3 * np.eye(normal.shape[1])
    result = zeroed.copy()
    for pattern in np.unique(seen[~seen.all(axis=1)], axis=0):
        if pattern.any():
            rows = (seen == pattern).all(axis=1)
            coefficients = np.linalg.lstsq(covariance[np.ix_(pattern, pattern)], covariance[pattern][:, ~pattern])[0]
            result[np.ix_(rows, ~pattern)] = zeroed[np.ix_(rows, pattern)] @ coefficients
    return result


def _folds(groups: np.ndarray, units: np.ndarray | None, folds: int, rng: np.random.Generator) -> np.ndarray:
    if units is None:
        return dealt(groups, folds, rng)
    return dealt_whole(groups.astype(np.float64), by_number(units), folds, rng)


def dealt(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each image: each group is spread over the folds as evenly as it goes."""
    fold = np.empty(len(groups), dtype=np.int64)
    start = 0
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        fold[rows] = (np.arange(len(rows)) + start) % folds
        start += len(rows)
    return fold


Model = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From training features, their groups and weights, and unseen features to probabilities."""


def _out_of_fold(
    features: np.ndarray, groups: np.ndarray, weights: np.ndarray, count: int, fold: np.ndarray, model: Model
) -> np.ndarray:
    """Probabilities of shape (n, count); a group that the other folds lack has none."""
    probabilities = np.zeros((len(groups), count))
    for number in np.unique(fold):
        in_fold = fold == number
        learned, place = np.unique(groups[~in_fold], return_inverse=True)
        probabilities[np.ix_(in_fold, learned)] = model(features[~in_fold], place, weights[~in_fold], features[in_fold])
    return probabilities


def logit_probabilities(
    features: np.ndarray, groups: np.ndarray, weights: np.ndarray, unseen: np.ndarray
) -> np.ndarray:
    """Probability of each group, shape (q, K), from cumulative logits; as :func:`gaussian_probabilities`."""
    if groups.max() == 0:
        return np.ones((len(unseen), 1))
    return CumulativeLogits.fit(features, groups, weights).probabilities(unseen)


@dataclass(frozen=True)
class CumulativeLogits:
    """P(level ≤ k) = expit(thresholds[k] - x @ slopes), for k of 0 to K - 2."""

    thresholds: np.ndarray
    slopes: np.ndarray

    @classmethod
    def fit(
        cls, features: np.ndarray, groups: np.ndarray, weights: np.ndarray, ridge: float = RIDGE
    ) -> CumulativeLogits:
        """Penalised maximum likelihood by Fisher scoring.

        Parameters
        ----------
        features : ndarray of shape (n, m)
        groups : ndarray of shape (n,), int
            0 to K - 1, each there.
        weights : ndarray of shape (n,)
            As how many images each counts, above 0.
        ridge : float
            Half of it times the squared slopes is taken off the log likelihood.
        """
        share = np.cumsum(np.bincount(groups, weights))[:-1] / weights.sum()
        count = len(share) + 1
        model = cls(np.log(share / (1 - share)), np.zeros(features.shape[1]))
        below = model._below(features)
        value = model._value(below, groups, weights, ridge)
        for _ in range(_STEPS):
            step, gain = model._step(features, below, groups, weights, ridge)
            scale = 1.0
            while scale > 1e-4:
                new = cls(model.thresholds + scale * step[: count - 1], model.slopes + scale * step[count - 1 :])
                reached_below = new._below(features)
                reached = new._value(reached_below, groups, weights, ridge)
                if reached >= value:
                    break
                scale /= 2
            else:
                return model
            model, below, value = new, reached_below, reached
            if gain < _ENOUGH:
                break
        return model

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Probability of each group, shape (n, K)."""
        return np.maximum(np.diff(self._below(features), axis=1), _LEAST)

    def _below(self, features: np.ndarray) -> np.ndarray:
        ends = np.concatenate(([-np.inf], self.thresholds, [np.inf]))
        return expit(ends - (features @ self.slopes)[:, None])

    def _value(self, below: np.ndarray, groups: np.ndarray, weights: np.ndarray, ridge: float) -> float:
        if (np.diff(self.thresholds) <= 0).any():
            return -np.inf
        rows = np.arange(len(groups))
        own = np.maximum(below[rows, groups + 1] - below[rows, groups], _LEAST)
        return float(weights @ np.log(own) - ridge / 2 * self.slopes @ self.slopes)

    def _step(
        self, features: np.ndarray, below: np.ndarray, groups: np.ndarray, weights: np.ndarray, ridge: float
    ) -> tuple[np.ndarray, float]:
        """The scoring step, and twice what the log likelihood gains by it to second order."""
        chance = np.maximum(below[:, 1:] - below[:, :-1], _LEAST)
        slope = below * (1 - below)  # derivative at each end, shape (n, K + 1)
        by_shift = slope[:, :-1] - slope[:, 1:]  # derivative of each probability by x @ slopes
        rows, inner = np.arange(len(groups)), slope[:, 1:-1]
        own = weights / chance[rows, groups]
        last = len(self.thresholds)
        up = np.bincount(groups, own * slope[rows, groups + 1], last + 1)[:last]
        down = np.bincount(groups, own * slope[rows, groups], last + 1)[1:]
        gradient = np.concatenate((up - down, features.T @ (own * by_shift[rows, groups]) - ridge * self.slopes))
        inverse = weights[:, None] / chance
        scaled = by_shift * inverse
        information = np.zeros((len(gradient), len(gradient)))
        information[np.arange(last), np.arange(last)] = (inner**2 * (inverse[:, :-1] + inverse[:, 1:])).sum(axis=0)
        beside = -(inner[:, :-1] * inner[:, 1:] * inverse[:, 1:-1]).sum(axis=0)
        information[np.arange(last - 1), np.arange(1, last)] = beside
        information[np.arange(1, last), np.arange(last - 1)] = beside
        cross = (inner * (scaled[:, :-1] - scaled[:, 1:])).T @ features
        information[:last, last:], information[last:, :last] = cross, cross.T
        weight = (by_shift * scaled).sum(axis=1)
        information[last:, last:] = (features * weight[:, None]).T @ features + ridge * np.eye(features.shape[1])
        step = np.linalg.solve(information + 1e-8 * np.eye(len(gradient)), gradient)
        return step, float(step @ gradient)


def gaussian_probabilities(
    features: np.ndarray, groups: np.ndarray, weights: np.ndarray, unseen: np.ndarray
) -> np.ndarray:
    """Probability of each group, shape (q, K), from a Gaussian for each group of training images.

    Parameters
    ----------
    features : ndarray of shape (n, m)
    groups : ndarray of shape (n,), int
        0 to K - 1, each there.
    weights : ndarray of shape (n,)
        As how many images each counts, above 0.
    unseen : ndarray of shape (q, m)
    """
    count = int(groups.max()) + 1
    member = np.eye(count)[groups] * weights[:, None]
    sizes = member.sum(axis=0)
    means = member.T @ features / sizes[:, None]
    design = np.stack((np.ones(count), np.arange(count)), axis=1)
    weighted = design * sizes[:, None]
    line = design @ np.linalg.lstsq(weighted.T @ design, weighted.T @ means)[0]
    means = (sizes[:, None] * means + LINE * line) / (sizes[:, None] + LINE)
    residual = features - means[groups]
    common = (residual * weights[:, None]).T @ residual / weights.sum()
    common = (1 - SHRINK) * common + SHRINK * np.diag(np.diag(common)) + 1e-3 * np.eye(features.shape[1])
    logs = np.empty((len(unseen), count))
    for group in range(count):
        own, counts = residual[groups == group], weights[groups == group, None]
        covariance = ((own * counts).T @ own + COMMON * common) / (sizes[group] + COMMON)
        root = np.linalg.cholesky(covariance)
        distance = np.linalg.solve(root, (unseen - means[group]).T)
        logs[:, group] = np.log(sizes[group]) - np.log(np.diag(root)).sum() - (distance**2).sum(axis=0) / 2
    logs -= logs.max(axis=1, keepdims=True)
    chances = np.exp(logs)
    return np.maximum(chances / chances.sum(axis=1, keepdims=True), _LEAST)


MODELS: tuple[Model, ...] = (logit_probabilities, gaussian_probabilities)


def stacked(chances: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mix several models' out-of-fold probabilities so that they give the labels the highest likelihood.

    Parameters
    ----------
    chances : ndarray of shape (models, n, K)
    groups : ndarray of shape (n,), int
        Of the labels.
    weights : ndarray of shape (n,)
        As how many images each counts.

    Returns
    -------
    ndarray of shape (n, K)
        Shares of the models by expectation-maximisation, with ``PRIOR`` images' worth for each.
    """
    own = np.maximum(chances[:, np.arange(len(groups)), groups], _LEAST)
    share = np.full(len(chances), 1 / len(chances))
    for _ in range(_MIXING):
        of_model = share[:, None] * own
        counts = (weights * of_model / of_model.sum(axis=0)).sum(axis=1) + PRIOR
        share = counts / counts.sum()
    return np.tensordot(share, chances, axes=1)
