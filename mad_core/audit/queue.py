"""In which order labels are looked at, and how many random reviews tell the share of wrong labels.

Pure functions over tables.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.metrics.special import NORMAL

QueueOrder = Literal["suspicion", "random", "level", "disagreement", "unreviewed", "learning", "worst", "sent"]
ORDERS: tuple[QueueOrder, ...] = get_args(QueueOrder)


def ordered(
    suspicion: pd.DataFrame,
    order: QueueOrder = "suspicion",
    *,
    reviewed: Collection[str] = (),
    ahead: Sequence[str] = (),
    seed: int = 0,
) -> list[str]:
    """Ids of the images in the order in which they are to be looked at.

    Parameters
    ----------
    suspicion : DataFrame
        From :func:`mad_core.audit.suspicion.suspicions`: ``image_id``, ``level``, ``suspicion``, ``disagreement``, and
        ``rank`` for ``worst``.
    order : {"suspicion", "random", "level", "disagreement", "unreviewed", "learning", "worst", "sent"}
        The most suspicious first; drawn by ``seed`` and the ids alone, so that images which come later do not
        change the order of the others (the first n are a fair sample); lowest level first, the most suspicious
        first within a level; where scorers disagree most with each other; what nobody has reviewed yet, then the
        rest, each by suspicion; what teaches most (``ahead``), then the rest at random; the highest scores first;
        what was sent from Images (``ahead``), then the rest, each with the highest scores first. What is not known
        comes last, and ties stand in the order of the ids' digests.
    reviewed : collection of str
        Ids that have a review, for ``unreviewed``.
    ahead : sequence of str
        Ids that come first in ``learning``, in this order, and in ``sent``.
    seed : int

    Raises
    ------
    InputError
        If there is no such order.
    """
    by = _BY.get(order)
    if by is None:
        raise InputError(f"'{order}' is no order of the queue; there are {', '.join(ORDERS)}.")
    ids = suspicion["image_id"].tolist()
    drawn = np.array([hashlib.blake2b(f"{seed}\0{image}".encode(), digest_size=16).digest() for image in ids])
    place = {image_id: number for number, image_id in enumerate(ahead)}
    facts = suspicion.assign(
        reviewed=np.isin(np.array(ids, dtype=object).astype(str), list(reviewed)),
        ahead=np.array([place.get(image_id, np.nan) for image_id in ids], dtype=np.float64),
    )
    keys = by(facts)
    places = np.lexsort((np.argsort(np.argsort(drawn)), *reversed(keys)))
    return [ids[place] for place in places]


Keys = list[np.ndarray]


def _highest(values: Any) -> np.ndarray:
    """Sorts the highest first and what is not known last."""
    return -np.nan_to_num(np.asarray(values, dtype=np.float64), nan=-np.inf)


def _worst(table: pd.DataFrame) -> np.ndarray:
    return _highest(table["rank"]) if "rank" in table else np.zeros(len(table))


_BY: Mapping[str, Callable[[pd.DataFrame], Keys]] = {
    "suspicion": lambda table: [_highest(table["suspicion"])],
    "random": lambda table: [],
    "level": lambda table: [table["level"].to_numpy(dtype=np.float64), _highest(table["suspicion"])],
    "disagreement": lambda table: [_highest(table["disagreement"]), _highest(table["suspicion"])],
    "unreviewed": lambda table: [table["reviewed"].to_numpy(dtype=np.float64), _highest(table["suspicion"])],
    "learning": lambda table: [_highest(-table["ahead"])],
    "worst": lambda table: [_worst(table)],
    "sent": lambda table: [table["ahead"].isna().to_numpy(dtype=np.float64), _worst(table)],
}


@dataclass(frozen=True)
class ErrorRate:
    """Share of labels that are wrong, from reviews drawn at random.

    Parameters
    ----------
    rate, low, high : float
        Estimate and the ends of its interval, 0 to 1.
    wrong, reviews, population : int
    """

    rate: float
    low: float
    high: float
    wrong: int
    reviews: int
    population: int


def reviews_needed(rate: float, half_width: float, population: int, confidence: float = 0.95) -> int:
    """How many random reviews give the share of wrong labels within plus or minus ``half_width``.

    The least number of reviews, drawn without replacement, at which half of the length of Wilson's interval with
    finite-population correction (see :func:`error_rate`) is no more than ``half_width``, if ``rate`` of the labels
    are wrong.

    Parameters
    ----------
    rate : float
        What is expected, 0 to 1; 0.5 is the safe assumption.
    half_width : float
        0.02 for ± 2 %.
    population : int
        Labels there are.

    Returns
    -------
    int
        1 to ``population``.

    Raises
    ------
    InputError
    """
    if not 0 <= rate <= 1 or not 0 < half_width <= 1 or not 0 < confidence < 1 or population < 1:
        raise InputError(
            "A rate lies between 0 and 1, a half width and a confidence above 0 and below 1, and there is an image."
        )
    low, high = 1, population
    # The length falls as reviews are added, so halving finds the least number.
    while low < high:
        middle = (low + high) // 2
        below, above = _wilson(rate, middle, population, confidence)
        if (above - below) / 2 <= half_width:
            high = middle
        else:
            low = middle + 1
    return low


def error_rate(wrong: int, reviews: int, population: int, confidence: float = 0.95) -> ErrorRate:
    """The share of wrong labels with its interval, from reviews of labels drawn at random without replacement.

    Wilson's interval (1927), in which the variance has the finite-population correction (N - n) / (N - 1): with
    every label reviewed it is the point itself. Reviews in the order of suspicion must not enter: they would say
    that far too many labels are wrong. The interval is never narrower than what was found allows: the wrong ones
    found stay wrong, and the right ones right.

    Raises
    ------
    InputError
        If there is no review, or the numbers contradict each other.
    """
    if not 0 <= wrong <= reviews <= population or reviews < 1:
        raise InputError(
            "There is at least one review, no more wrong labels than reviews, nor more reviews than labels."
        )
    rate = wrong / reviews
    low, high = _wilson(rate, reviews, population, confidence)
    low, high = max(low, wrong / population), min(high, 1 - (reviews - wrong) / population)
    return ErrorRate(rate, min(low, rate), max(high, rate), wrong, reviews, population)


def _wilson(rate: float, reviews: int, population: int, confidence: float) -> tuple[float, float]:
    correction = (population - reviews) / (population - 1) if population > 1 else 0.0
    z2 = NORMAL.inv_cdf((1 + confidence) / 2) ** 2 * correction
    centre = (rate + z2 / (2 * reviews)) / (1 + z2 / reviews)
    half = math.sqrt(z2 * (rate * (1 - rate) / reviews + z2 / (4 * reviews**2))) / (1 + z2 / reviews)
    return max(centre - half, 0.0), min(centre + half, 1.0)
