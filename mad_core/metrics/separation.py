"""How far levels lie apart in a feature space: silhouettes, distances, and a linear probe, with draws for intervals.

All of it is computed from two (n, n) arrays, inner products and distances, so that parts of the images cost no more
than taking rows; leading axes hold several parts of one size at once.

Intervals come from halves: half of the images of each level, drawn without replacement, on which everything is done
again, the probe included (the delete-d jackknife of Shao and Wu 1989, with d = n / 2). Drawing with replacement would
not do here: an image that is drawn twice lies at distance 0 from itself, and stands on both sides of a fold.

Images that belong together (a patient's, a lot's) are drawn and dealt into folds as one: one of them in another fold
would tell the probe the answer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from mad_core.errors import InputError
from mad_core.metrics.units import by_number, strata_of

FOLDS, REPEATS = 5, 10
"""Folds of the probe, and how often images are dealt into folds for its value."""
PENALTY = 1.0
"""Weight of the ridge penalty, in mean squared lengths of a feature vector."""
_AT_ONCE = 4_000_000
"""Numbers of an array that are held at a time, about."""
_TRIES = 200
"""Draws of groups in a row that may miss a level."""


@dataclass(frozen=True, eq=False)
class Separation:
    """What was measured, with leading axes where it was measured on several parts.

    Parameters
    ----------
    order : ndarray of shape (...)
        C-index of the probe, 0-1; 0.5 is chance.
    silhouette : ndarray of shape (...)
        Mean over the images, -1 to 1.
    ratio : ndarray of shape (...)
        Mean distance between levels over that within them; 1 where levels mean nothing.
    silhouettes : ndarray of shape (..., L)
        Mean of each level.
    ratios : ndarray of shape (..., L, L)
        Mean distance between two levels over the mean of the two distances within them; 1 on the diagonal.
    orders : ndarray of shape (..., L, L)
        Share of pairs in which the probe puts the image of the later level above that of the earlier one.
    """

    order: np.ndarray
    silhouette: np.ndarray
    ratio: np.ndarray
    silhouettes: np.ndarray
    ratios: np.ndarray
    orders: np.ndarray


_NAMES = tuple(field.name for field in fields(Separation))


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Features of mean 0 and spread 1, (n, d); one that never changes is 0."""
    return (vectors - vectors.mean(0)) / (vectors.std(0) + 1e-9)


def products_and_distances(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inner products and Euclidean distances of features (n, d), both (n, n)."""
    products = vectors @ vectors.T
    squares = np.diag(products)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
    np.fill_diagonal(apart, 0)
    return products, apart


def separation(
    products: np.ndarray,
    apart: np.ndarray,
    levels: np.ndarray,
    learn: int | None = None,
    units: np.ndarray | None = None,
) -> Separation:
    """Everything, for images in a random order within their levels.

    Parameters
    ----------
    products, apart : ndarray of shape (..., n, n)
    levels : ndarray of shape (n,)
        Whole numbers, two different ones at least.
    learn : int, optional
        Most images that the probe learns from; all of the other folds where absent.
    units : ndarray of shape (n,), int64, optional
        What images belong together with, as :func:`mad_core.metrics.units.units_of` gives it.
    """
    member = _member(levels)
    sizes = member.sum(0)
    each = silhouettes(apart, levels)
    sums = member.T @ (apart @ member)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    across = ~np.eye(len(sizes), dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):  # a level of one image has no distance within it
        means = sums / pairs
        ratio = (sums[..., across].sum(-1) / pairs[across].sum()) / (sums[..., ~across].sum(-1) / np.trace(pairs))
    own = np.diagonal(means, axis1=-2, axis2=-1)
    predicted = probe(products, levels, learn, units)
    below, above = predicted[..., :, None], predicted[..., None, :]
    wins = member.T @ ((above > below) + 0.5 * (above == below)) @ member
    upper = np.triu(np.outer(sizes, sizes), 1)
    return Separation(
        order=np.triu(wins, 1).sum((-2, -1)) / upper.sum(),
        silhouette=each.mean(-1),
        ratio=ratio,
        silhouettes=each @ member / sizes,
        ratios=means / ((own[..., :, None] + own[..., None, :]) / 2),
        orders=wins / np.outer(sizes, sizes),
    )


def silhouettes(apart: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The silhouette of each image (Rousseeuw 1987), -1 to 1, (..., n); 0 where it is alone in its level."""
    member = _member(levels)
    sums, sizes, own = apart @ member, member.sum(0), member.astype(bool)
    peers = member @ sizes - 1
    within = sums[..., own] / np.maximum(peers, 1)
    other = np.where(own, np.inf, sums / sizes).min(-1)
    return np.where(peers > 0, (other - within) / np.maximum(np.maximum(other, within), 1e-12), 0.0)


def probe(
    products: np.ndarray, levels: np.ndarray, learn: int | None = None, units: np.ndarray | None = None
) -> np.ndarray:
    """The level of each image as ridge regression predicts it from other folds, (..., n).

    Images take turns within their level: the first goes to the first fold, the second to the second. Images that belong
    together go to one fold, and take turns within those of the same highest level.
    """
    place = _turns(levels) if units is None else _turns_of_units(levels, units)
    predicted = np.full(products.shape[:-1], float(levels.mean()))
    for fold in range(FOLDS):
        gone, there = np.flatnonzero(place % FOLDS == fold), np.flatnonzero(place % FOLDS != fold)
        there = there[np.argsort(place[there], kind="stable")[:learn]]
        if len(gone) and len(there):
            predicted[..., gone] = _ridge(products, levels, there, gone)
    return predicted


def _turns(levels: np.ndarray) -> np.ndarray:
    """Which one of its level each is, from 0."""
    place = np.concatenate([np.arange(count) for count in np.unique(levels, return_counts=True)[1]])
    return place[np.argsort(np.argsort(levels, kind="stable"), kind="stable")]


def _turns_of_units(levels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Which unit of its highest level each image is of, in the order in which they first occur; shape (n,)."""
    order = np.argsort(np.unique(units, return_index=True)[1], kind="stable")
    turns = np.empty(len(order), dtype=np.int64)
    turns[order] = _turns(strata_of(levels, units)[order])
    return turns[units]


def _ridge(products: np.ndarray, levels: np.ndarray, there: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Predictions for ``gone`` from ``there``, both centred on the mean of ``there``."""
    kernel = products[..., there[:, None], there]
    column = kernel.mean(-1, keepdims=True)
    whole = column.mean(-2, keepdims=True)
    kernel = kernel - column - np.swapaxes(column, -2, -1) + whole
    scale = PENALTY * np.trace(kernel, axis1=-2, axis2=-1)[..., None, None] / len(there) + 1e-12
    target = levels[there] - levels[there].mean()
    target = np.broadcast_to(target[:, None], (*kernel.shape[:-1], 1))
    weights = np.linalg.solve(kernel + scale * np.eye(len(there)), target)
    across = products[..., gone[:, None], there]
    across = across - np.swapaxes(column, -2, -1) - across.mean(-1, keepdims=True) + whole
    return (across @ weights)[..., 0] + levels[there].mean()


def _member(levels: np.ndarray) -> np.ndarray:
    """Which image is of which level, (n, L), 0 or 1."""
    return (levels[:, None] == np.unique(levels)).astype(np.float64)


# -- values and draws -----------------------------------------------------------------------------


def measured(
    products: np.ndarray,
    apart: np.ndarray,
    levels: np.ndarray,
    rng: np.random.Generator,
    learn: int | None = None,
    units: np.ndarray | None = None,
) -> Separation:
    """The value of everything: the mean over :data:`REPEATS` ways to deal images into folds."""
    if units is None:
        parts = _parts(products, apart, levels, np.unique(levels, return_counts=True)[1], REPEATS, rng, learn)
    else:
        parts = _parts_of_units(products, apart, levels, units, 1.0, REPEATS, rng, learn)
    whole = joined(parts)
    return Separation(**{name: getattr(whole, name).mean(0) for name in _NAMES})


def halves(
    products: np.ndarray,
    apart: np.ndarray,
    levels: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    learn: int | None = None,
    units: np.ndarray | None = None,
) -> Iterator[Separation]:
    """Everything on ``draws`` random halves of each level, rounded up, some draws at a time.

    Of images that belong together half of the units of each highest level are drawn. The probe learns from half as many
    images. :func:`spread_factor` goes with it.

    Raises
    ------
    InputError
        If hardly any half of the units has every level.
    """
    kept = _half(levels)
    least = None if learn is None else -(-learn * int(kept.sum()) // len(levels))
    if units is not None:
        return _parts_of_units(products, apart, levels, units, 0.5, draws, rng, least)
    return _parts(products, apart, levels, kept, draws, rng, least)


def spread_factor(levels: np.ndarray, units: np.ndarray | None = None) -> float:
    """By how much the spread over halves is to be multiplied: sqrt(m / (n - m)) for m of n images; NaN for m = n.

    It turns the spread of parts drawn without replacement into that of samples of the size at hand. Of images that
    belong together units count.
    """
    of = levels if units is None else strata_of(levels, units)
    m, n = int(_half(of).sum()), len(of)
    return (m / (n - m)) ** 0.5 if n > m else float("nan")


def _half(levels: np.ndarray) -> np.ndarray:
    return -(-np.unique(levels, return_counts=True)[1] // 2)


def _parts(
    products: np.ndarray,
    apart: np.ndarray,
    levels: np.ndarray,
    kept: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    learn: int | None,
) -> Iterator[Separation]:
    groups = [np.flatnonzero(levels == level) for level in np.unique(levels)]
    there = np.concatenate([levels[group[:count]] for group, count in zip(groups, kept, strict=True)])
    step = max(1, _AT_ONCE // len(there) ** 2)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        chosen = [
            rng.permuted(np.broadcast_to(group, (rows, len(group))), axis=1)[:, :count]
            for group, count in zip(groups, kept, strict=True)
        ]
        taken = np.concatenate(chosen, axis=1)
        at = taken[:, :, None], taken[:, None, :]
        yield separation(products[at], apart[at], there, learn)


def _parts_of_units(
    products: np.ndarray,
    apart: np.ndarray,
    levels: np.ndarray,
    units: np.ndarray,
    share: float,
    draws: int,
    rng: np.random.Generator,
    learn: int | None,
) -> Iterator[Separation]:
    """As :func:`_parts`, of whole units, a draw at a time: they differ in size."""
    members = [np.flatnonzero(units == unit) for unit in range(int(units.max()) + 1)]
    tops = strata_of(levels, units)
    strata = [np.flatnonzero(tops == top) for top in np.unique(tops)]
    distinct = len(np.unique(levels))
    for _ in range(draws):
        for _ in range(_TRIES):
            drawn = np.concatenate([rng.permutation(own)[: int(np.ceil(share * len(own)))] for own in strata])
            taken = np.concatenate([members[unit] for unit in rng.permutation(drawn)])
            if len(np.unique(levels[taken])) == distinct:
                break
        else:
            raise InputError("Too few groups have images of each level for halves of whole groups.")
        at = taken[None, :, None], taken[None, None, :]
        yield separation(products[at], apart[at], levels[taken], learn, by_number(units[taken]))


def joined(parts: Iterable[Separation]) -> Separation:
    """Parts one after the other along the first axis."""
    separations = list(parts)
    return Separation(**{name: np.concatenate([getattr(part, name) for part in separations]) for name in _NAMES})
