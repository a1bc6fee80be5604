"""The default detector's look before a multimodal model is asked: how surely an image departs from normal, and where.

A model that is shown a few normals takes for a departure what others of them show too. The detector has seen all of
them: what it does not find is greyed out of the difference view, and an image that scores like normals that it has not
learned from counts as normal by so much. No torch here but the detector's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from mad_core.errors import InputError, UnavailableError, WorkError
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Scorer
from mad_core.scorers.hybrid import ScoreScale
from mad_core.scorers.multimodal.difference import GREY

FEWEST, MOST = 16, 60
"""Normals below which two thirds of them teach too little of what is normal, and of which more are left out."""
JUDGED = 3
"""One of so many normals says what normals score; the detector learns from the others."""
DOUBT, STEP = 1.5, 0.7
"""Spreads above what normals score at which an image departs as likely as not, and over which that turns."""
LEAST_SPREAD = 1.0
"""Of what normals score; the detector's own unit."""
LOW, HIGH = 0.6, 0.995
"""Quantiles of an image's own map between which grey turns into the full view."""


@dataclass(frozen=True)
class FirstLook:
    """What the detector finds in an image.

    Parameters
    ----------
    share : float
        How surely the image departs from normal, 0 to 1.
    surface : ndarray of shape (h, w), float32, or None
        How much of the difference view is shown at each place, 0 to 1; None: all of it.
    """

    share: float = 1.0
    surface: np.ndarray | None = None

    def greyed(self, view: np.ndarray) -> np.ndarray:
        """A difference view, uint8 of shape (H, W, 3), with what the detector does not find in grey."""
        if self.surface is None:
            return view
        gate = cv2.resize(self.surface, (view.shape[1], view.shape[0]), interpolation=cv2.INTER_LINEAR)
        gate = cv2.GaussianBlur(gate, (0, 0), 2.0)[..., None]
        return (GREY + (view.astype(np.float32) - GREY) * gate).round().clip(0, 255).astype(np.uint8)


class DetectorFirst:
    """The default detector, fitted on a subset's normals; :meth:`look` may be called from several threads.

    Parameters
    ----------
    normals : sequence of Item
        Two or more; fewer than ``FEWEST`` say too little.
    context : Context

    Raises
    ------
    InputError, UnavailableError, WorkError
        If the detector cannot run here, or too few normals can be read.
    """

    def __init__(self, normals: Sequence[Item], context: Context) -> None:
        order = context.rng().permutation(len(normals))[:MOST]
        judged, learned = (sorted(part.tolist()) for part in (order[::JUDGED], np.delete(order, np.s_[::JUDGED])))
        self._parts = [normals[k] for k in learned], [normals[k] for k in judged]
        self._learned = {item.path for item in self._parts[0]}
        self._context = replace(
            context, progress=lambda done, total: None, calibration=(), results=None, resources=None
        )
        self._lock = threading.Lock()
        self._detectors: dict[bool, _Detector] = {}
        self._detector(False)

    def look(self, item: Item) -> FirstLook:
        """What is found in one image; a normal that the detector has learned from is judged by a fit on the others."""
        with self._lock:
            return self._detector(item.path in self._learned).look(item, self._context)

    def facts(self) -> dict[str, Any]:
        """What a run's record says of it, JSON-able."""
        scale, (learned, judged) = self._detectors[False].scale, self._parts
        return {"scorer": catalog.DEFAULT, "learned": len(learned), "judged": len(judged), **vars(scale)}

    def _detector(self, turned: bool) -> _Detector:
        if turned not in self._detectors:
            learned, judged = self._parts[::-1] if turned else self._parts
            self._detectors[turned] = _Detector.fitted(learned, judged, self._context)
        return self._detectors[turned]


@dataclass(frozen=True)
class _Detector:
    """A fitted detector, and what normals score that it has not learned from."""

    scorer: Scorer
    scale: ScoreScale

    @classmethod
    def fitted(cls, learned: Sequence[Item], judged: Sequence[Item], context: Context) -> _Detector:
        info = catalog.scorer(catalog.DEFAULT)
        parameters = info.check({})
        info.check_available(parameters)
        scorer = info.create(parameters)
        scorer.fit(learned, context)
        scores = [one.score for one in scorer.score(judged, context) if one.score is not None]
        if not scores:
            raise InputError("None of the normals that say what normals score can be read.")
        return cls(scorer, ScoreScale.of(np.array(scores), LEAST_SPREAD))

    def look(self, item: Item, context: Context) -> FirstLook:
        (scored,) = self.scorer.score([item], context)
        if scored.score is None or scored.map is None:
            return FirstLook()
        spreads = (scored.score - self.scale.middle) / self.scale.spread
        share = 0.5 * (1 + math.tanh((spreads - DOUBT) / (2 * STEP)))
        return FirstLook(share, share * _raised(scored.map))


def first_look(normals: Sequence[Item], context: Context, *, required: bool) -> DetectorFirst | None:
    """The detector, or None where there are too few normals for it or it cannot run here.

    Raises
    ------
    InputError, UnavailableError, WorkError
        If it is required and cannot be had.
    """
    if len(normals) < FEWEST and not required:
        return None
    try:
        return DetectorFirst(normals, context)
    except (InputError, UnavailableError, WorkError):
        if required:
            raise
        return None


def _raised(anomaly_map: np.ndarray) -> np.ndarray:
    """A map, float32 of shape (h, w), as shares of what stands out of it, 0 to 1."""
    low, high = np.quantile(anomaly_map, (LOW, HIGH))
    return np.clip((anomaly_map - low) / max(float(high - low), 1e-9), 0, 1).astype(np.float32)
