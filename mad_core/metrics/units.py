"""Images that belong together (a patient's, a part's, a lot's) are drawn, dealt and counted as one unit.

They share what no other image has: taken for independent they make intervals too narrow, and one of them that was
learned from tells the answer of another.
"""

from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError

FEWEST = 5
"""Units that every level has at least, if it has so many images, where draws and intervals take whole units; of fewer
groups nothing can be said of others, and images are taken one by one."""


def groups_of(rows: pd.DataFrame) -> Any:
    """The column ``group`` of a table of images; None where it has none."""
    return rows.get("group")


def units_of(groups: Any, n: int) -> np.ndarray | None:
    """The unit of each image, counted from 0.

    Parameters
    ----------
    groups : array of shape (n,), optional
        What each image belongs to; an image whose entry is None, NaN or empty is a unit by itself.

    Returns
    -------
    ndarray of shape (n,), int64, or None
        None where every image is a unit by itself.

    Raises
    ------
    InputError
        If there is not one entry an image.
    """
    if groups is None:
        return None
    names = np.asarray(groups, dtype=object)
    if names.shape != (n,):
        raise InputError(f"groups has {names.size} entries for {n} images: the group of each is needed, None without.")
    called = [f"group {name}" if is_group(name) else f"image {at}" for at, name in enumerate(names.tolist())]
    return by_number(np.array(called, dtype=object)) if len(set(called)) < n else None


def held(levels: np.ndarray, groups: Any) -> np.ndarray | None:
    """As :func:`units_of`; None also where a level has images of too few groups, see :data:`FEWEST`."""
    units = units_of(groups, len(levels))
    if units is None:
        return None
    at = np.unique(levels, return_inverse=True)[1]
    enough = counts_by_level(at, units) >= np.minimum(np.bincount(at), FEWEST)
    return units if enough.all() else None


def group_by_image(rows: pd.DataFrame) -> dict[str, str]:
    """The group of each image that has one, by its id."""
    pairs = zip(rows["image_id"], rows["group"], strict=True) if "group" in rows else ()
    return {image: group for image, group in pairs if is_group(group)}


def in_words(rows: pd.DataFrame) -> str:
    """How many images of how many groups there are, and that they are taken together; empty where none is."""
    named = [*group_by_image(rows).values()]
    if len(set(named)) == len(named):
        return ""
    return (
        f"{len(named):,} of the images are of {len(set(named)):,} groups: what is dealt into parts are whole groups, "
        f"and so is what draws and intervals take, where every level has images of {FEWEST} groups."
    )


def is_group(name: Any) -> bool:
    """Whether an entry names a group: it is neither None, NaN nor empty."""
    return not (name is None or type(name).__name__ == "NAType" or name != name or name == "")


def independent(levels: np.ndarray, groups: Any) -> int:
    """How many units there are."""
    units = held(levels, groups)
    return len(levels) if units is None else int(units.max()) + 1


def by_number(units: np.ndarray) -> np.ndarray:
    """Names or numbers of units, counted anew from 0."""
    return np.unique(units.astype(str), return_inverse=True)[1]


def strata_of(levels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The highest level of each unit, shape (U,): what units are drawn and dealt within."""
    tops = np.full(int(units.max()) + 1 if len(units) else 0, -np.inf)
    np.maximum.at(tops, units, levels)
    return tops


def counts_by_level(strata: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """How many units have an image of each level, shape (L,); levels are counted from 0."""
    if units is None:
        return np.bincount(strata)
    pairs = np.unique(np.stack([strata, units]), axis=1)
    return np.bincount(pairs[0])


def fewest_units(levels: np.ndarray, groups: Any) -> int:
    """How many units the level with the fewest has."""
    return int(counts_by_level(np.unique(levels, return_inverse=True)[1], held(levels, groups)).min())


def dealt(levels: np.ndarray, units: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold for each image: units are dealt whole, those of each highest level evenly; shape (n,)."""
    strata, fold, start = strata_of(levels, units), np.zeros(int(units.max()) + 1, dtype=np.int64), 0
    for stratum in np.unique(strata):
        own = rng.permutation(np.flatnonzero(strata == stratum))
        fold[own] = (np.arange(len(own)) + start) % folds
        start += len(own)
    return fold[units]
