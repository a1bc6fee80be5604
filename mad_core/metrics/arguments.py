"""Arrays as people have them (lists, pandas, torch, text), as the metrics take them; what is wrong in a sentence."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mad_core.errors import InputError

EXACT = 2**53
"""Whole numbers from here on are not all told apart as float64."""
MOST = 1e6
"""Highest level that is taken for one."""


def checked(levels: Any, scores: Any, subsets: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels and scores as float64, subsets as text, each of shape (n,).

    A level is there for each image, 0 or above. A score may be absent (NaN, None) or infinite. Whole numbers that
    float64 does not tell apart are replaced by their ranks, which is all that metrics look at.

    Raises
    ------
    InputError
    """
    _check_index(levels, scores)
    at, values = _numbers(levels, "levels"), _numbers(scores, "scores")
    _check_lengths(len(at), scores=len(values))
    bad = np.flatnonzero(~np.isfinite(at))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(at)} levels are missing or infinite, the first at place {bad[0]}: a missing label is "
            "not a normal one, so leave these images out."
        )
    bad = np.flatnonzero((at < 0) | (at > MOST))
    if len(bad):
        raise InputError(f"Level {at[bad[0]]:g} at place {bad[0]} is none: levels are 0 (normal) to {MOST:g}.")
    return at, values, _names(subsets, len(at))


def check_draws(draws: Any, seed: Any, intervals: Sequence[str], allowed: Iterable[str]) -> None:
    """Raise an :class:`InputError` unless these can be used for a bootstrap."""
    for name, value in (("draws", draws), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise InputError(f"{name} is {value!r}, but a whole number from 0 is needed.")
    unknown = [name for name in ([intervals] if isinstance(intervals, str) else intervals) if name not in allowed]
    if unknown:
        raise InputError(f"'{unknown[0]}' has no interval; there are {', '.join(allowed)}.")


def _numbers(given: Any, what: str) -> np.ndarray:
    """Any array of numbers as float64 of shape (n,)."""
    if hasattr(given, "detach"):  # a torch tensor, perhaps with a gradient, on a GPU or of a type numpy does not know
        given = given.detach().cpu()
        given = (given.double() if given.is_floating_point() else given).numpy()
    try:
        array = np.asarray(np.ma.filled(given, np.nan) if isinstance(given, np.ma.MaskedArray) else given)
    except (TypeError, ValueError, RuntimeError):  # rows of several lengths, tensors with a gradient in a list
        raise InputError(f"{what} cannot be made an array of one number an image.") from None
    if array.ndim != 1:
        shape = f"shape {array.shape}" if array.ndim else f"the type {type(given).__name__}"
        raise InputError(f"{what} has {shape}, but one number an image is needed: a list or an array of shape (n,).")
    if array.dtype.kind in "iu" and len(array) and max(abs(int(array.max())), abs(int(array.min()))) > EXACT:
        return np.unique(array, return_inverse=True)[1].astype(np.float64)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    return np.array([_number(value, place, what) for place, value in enumerate(array.tolist())], dtype=np.float64)


def _number(value: Any, place: int, what: str) -> float:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{what} has {value!r} at place {place}, which is not a number.") from None


def _names(subsets: Any, n: int) -> np.ndarray:
    if subsets is None:
        return np.full(n, "", dtype=object)
    names = np.asarray(subsets, dtype=object)
    if names.ndim != 1:
        raise InputError("subsets is the name of each image's subset: a list or an array of shape (n,).")
    _check_lengths(n, subsets=len(names))
    for place, name in enumerate(names.tolist()):
        if name is None or type(name).__name__ == "NAType" or name != name:
            raise InputError(f"The image at place {place} has no subset.")
    return np.array([str(name) for name in names.tolist()], dtype=object)


def _check_lengths(n: int, **others: int) -> None:
    for name, length in others.items():
        if length != n:
            raise InputError(f"There are {n} levels and {length} {name}; one of each an image is needed.")


def _check_index(levels: Any, scores: Any) -> None:
    """Two Series are taken place by place; the same index in another order says that they are not meant so."""
    one: Any = getattr(levels, "index", None)
    other: Any = getattr(scores, "index", None)
    if not (hasattr(one, "equals") and hasattr(other, "equals")) or one.equals(other):
        return
    if len(one) == len(other) and one.is_unique and other.is_unique and len(one.union(other)) == len(one):
        raise InputError(
            "levels and scores have the same index in different orders: write scores.reindex(levels.index), or give "
            "both as arrays (.to_numpy()) where they already belong together place by place."
        )
