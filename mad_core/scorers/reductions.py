"""From an anomaly map to an image score: pure functions of arrays.

The maximum, which most detectors use, never sees extent; the mean of the highest share does, more the
larger the share is. Area, mass and number of regions ask how much lies above a threshold, which comes from
maps of normal images. Area and mass are shares of the map's pixels, so that maps of different sizes compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mad_core.errors import InputError

if TYPE_CHECKING:
    import torch

SHARES: Mapping[str, float] = {"top1": 0.01, "top5": 0.05, "top10": 0.10, "top25": 0.25}
"""Reductions that take the mean of the highest cells, and how many of them."""


def mean_of_highest(values: np.ndarray, count: int) -> float:
    """Mean of the ``count`` highest values, at least one and at most all of them."""
    count = min(max(1, count), values.size)
    return float(np.partition(values, values.size - count)[-count:].mean(dtype=np.float64))


def _highest(share: float) -> Callable[[np.ndarray], float]:
    return lambda values: mean_of_highest(values, round(values.size * share))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


REDUCTIONS: Mapping[str, Callable[[np.ndarray], float]] = {
    "max": lambda values: float(values.max()),
    **{name: _highest(share) for name, share in SHARES.items()},
    "mean": lambda values: float(values.mean(dtype=np.float64)),
    "rms": _rms,
}
"""Reductions by name: the maximum, the mean of the highest 1, 5, 10 or 25 %, the mean, the root mean square."""


def reduced(anomaly_map: torch.Tensor, reduction: str) -> torch.Tensor:
    """One of ``REDUCTIONS`` of a torch tensor (H, W), as a tensor without axes: for graphs that are exported."""
    values = anomaly_map.flatten()
    if reduction in SHARES:
        return values.topk(max(1, round(len(values) * SHARES[reduction]))).values.mean()
    by_name = {"max": values.amax, "mean": values.mean, "rms": lambda: values.square().mean().sqrt()}
    return by_name[reduction]()


def area(anomaly_map: np.ndarray, threshold: float) -> float:
    """Share of the pixels above the threshold, 0 to 1."""
    return float(np.count_nonzero(anomaly_map > threshold) / anomaly_map.size)


def mass(anomaly_map: np.ndarray, threshold: float) -> float:
    """What lies above the threshold, summed and divided by the number of pixels: area times mean excess."""
    excess = anomaly_map.astype(np.float64) - threshold
    return float(excess[excess > 0].sum() / anomaly_map.size)


def regions(anomaly_map: np.ndarray, threshold: float) -> float:
    """Connected components above the threshold; pixels that touch at a corner are connected."""
    return float(count_regions(anomaly_map > threshold))


def count_regions(marked: np.ndarray) -> int:
    """8-connected components of a bool array of shape (H, W)."""
    import cv2  # slow to import, and the catalogue imports this module

    labels, _ = cv2.connectedComponents(np.ascontiguousarray(marked).view(np.uint8), connectivity=8)
    return labels - 1


THRESHOLDED: Mapping[str, Callable[[np.ndarray, float], float]] = {"area": area, "mass": mass, "regions": regions}
"""Reductions that need a threshold, by name."""

ALL = (*REDUCTIONS, *THRESHOLDED)

TITLES: Mapping[str, str] = {
    "max": "maximum",
    "top1": "mean of the highest 1 %",
    "top5": "mean of the highest 5 %",
    "top10": "mean of the highest 10 %",
    "top25": "mean of the highest 25 %",
    "mean": "mean",
    "rms": "root mean square",
    "area": "area above threshold",
    "mass": "mass above threshold",
    "regions": "regions above threshold",
}
"""What each is called where people read it."""


def left_out(anomaly_map: np.ndarray, there: np.ndarray) -> np.ndarray:
    """A map (H, W) whose ignored cells, bool (H, W), hold the least of the others: nothing stands out there."""
    if not there.any() or there.all():
        return anomaly_map
    return np.where(there, anomaly_map[~there].min(), anomaly_map)


def reduce_map(anomaly_map: np.ndarray, reduction: str, threshold: float | None = None) -> float:
    """The image score of an anomaly map.

    Parameters
    ----------
    anomaly_map : ndarray of shape (H, W)
        Raw units, higher = more anomalous.
    reduction : str
        A name in ``ALL``.
    threshold : float, optional
        In the map's units; the names in ``THRESHOLDED`` need it.

    Returns
    -------
    float
        In the map's units (``area``: a share, ``regions``: a count); NaN if the map holds a NaN.

    Raises
    ------
    InputError
        If the reduction is unknown, the map is empty, or a threshold is needed and missing.
    """
    if reduction not in ALL:
        raise InputError(f"No reduction is called '{reduction}'; known are {', '.join(ALL)}.")
    if anomaly_map.size == 0:
        raise InputError("An empty anomaly map has no score.")
    if reduction in THRESHOLDED and threshold is None:
        raise InputError(f"The reduction '{reduction}' needs a threshold.")
    if np.isnan(anomaly_map).any():
        return float("nan")
    if threshold is None or reduction in REDUCTIONS:
        return REDUCTIONS[reduction](anomaly_map.ravel())
    return THRESHOLDED[reduction](anomaly_map, threshold)
