"""From an anomaly map to an image score: pure functions of arrays.

The maximum, which most detectors use, never sees extent; the mean of the highest share does, more the
larger the share is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mad_core.errors import InputError


def _highest(share: float) -> Callable[[np.ndarray], float]:
    def mean_of_highest(values: np.ndarray) -> float:
        count = max(1, round(values.size * share))
        return float(np.partition(values, values.size - count)[-count:].mean(dtype=np.float64))

    return mean_of_highest


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


REDUCTIONS: Mapping[str, Callable[[np.ndarray], float]] = {
    "max": lambda values: float(values.max()),
    "top1": _highest(0.01),
    "top5": _highest(0.05),
    "top10": _highest(0.10),
    "top25": _highest(0.25),
    "mean": lambda values: float(values.mean(dtype=np.float64)),
    "rms": _rms,
}
"""Reductions by name: the maximum, the mean of the highest 1, 5, 10 or 25 %, the mean, the root mean square."""


def reduce_map(anomaly_map: np.ndarray, reduction: str) -> float:
    """The image score of an anomaly map.

    Parameters
    ----------
    anomaly_map : ndarray of shape (H, W)
        Raw units, higher = more anomalous.
    reduction : str
        A name in ``REDUCTIONS``.

    Returns
    -------
    float
        In the map's units; NaN if the map holds a NaN.

    Raises
    ------
    InputError
        If the reduction is unknown or the map is empty.
    """
    if reduction not in REDUCTIONS:
        raise InputError(f"No reduction is called '{reduction}'; known are {', '.join(REDUCTIONS)}.")
    if anomaly_map.size == 0:
        raise InputError("An empty anomaly map has no score.")
    if np.isnan(anomaly_map).any():
        return float("nan")
    return REDUCTIONS[reduction](anomaly_map.ravel())
