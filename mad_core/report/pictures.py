"""Pictures of the report as data: an image, and beside it the image under the anomaly maps of some runs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from mad_core.errors import MadError
from mad_core.images import read_image, thumbnail
from mad_core.palette import colour_map
from mad_core.runs.results import display_range
from mad_core.runs.store import Run, Store

SIDE = 240
"""Longest side of a picture, pixels."""
_OPACITY = 0.55
_GAP = 4
Scale = Literal["range", "threshold"]


@dataclass(frozen=True, eq=False)
class Overlay:
    """An image under a run's map: uint8 (H, W, 3), and the ends of the colour scale in the map's units.

    With ``anchor``, the run's threshold, colours are evidence, value / (value + threshold), from 0 to 1.
    """

    run: Run
    pixels: np.ndarray
    low: float
    high: float
    anchor: float | None = None


def evidence(values: np.ndarray, threshold: float) -> np.ndarray:
    """value / (value + threshold), float32 in 0-1: 0.5 at the threshold, 0 at and below 0."""
    above = np.maximum(values, 0).astype(np.float32)
    return above / (above + np.float32(threshold))


class Pictures:
    """Makes the pictures of one store; display ranges are read once a run and subset.

    With the scale ``"threshold"`` colours are anchored at each run's threshold, where it has one above 0.
    """

    def __init__(self, store: Store, scale: Scale = "range") -> None:
        self.store, self.scale = store, scale
        self._cards = cache(lambda dataset_id: store.dataset_info(dataset_id).card)
        self._ranges: dict[tuple[str, str], tuple[float, float, float] | None] = {}

    def row(
        self, dataset_id: str, row: Mapping[Any, Any], runs: Sequence[Run]
    ) -> tuple[str, list[Run], tuple[int, int]] | None:
        """The image and, at its right, its maps; None where the file cannot be read any more.

        Returns
        -------
        address, runs, size
            A ``data:`` address, the runs whose maps stand there in order, and width and height in pixels.
        """
        try:
            plain = self.plain(dataset_id, row, SIDE)
        except (MadError, OSError):
            return None
        overlaid = list(self.overlaid(plain, row, runs))
        panels = [plain, *(overlay.pixels for overlay in overlaid)]
        gap = np.zeros((plain.shape[0], _GAP, 4), np.uint8)
        opaque = [np.dstack([panel, np.full(panel.shape[:2], 255, np.uint8)]) for panel in panels]
        joined = [opaque[0], *(one for panel in opaque[1:] for one in (gap, panel))]
        pixels = np.hstack(joined)
        return _data(pixels), [overlay.run for overlay in overlaid], (pixels.shape[1], pixels.shape[0])

    def plain(self, dataset_id: str, row: Mapping[Any, Any], side: int) -> np.ndarray:
        """The image alone, uint8 (H, W, 3), its longest side at most so many pixels.

        Raises
        ------
        ImageError
            If its file cannot be read any more, or holds other bytes than were imported.
        """
        digest, folder = row["content_hash"], self.store.settings.thumbnails / dataset_id
        window = self._cards(dataset_id).subset(row["subset"]).window
        return read_image(thumbnail(Path(row["path"]), folder, side, digest, content_hash=digest, window=window))

    def overlaid(self, plain: np.ndarray, row: Mapping[Any, Any], runs: Sequence[Run]) -> Iterator[Overlay]:
        """The image under the map of each run that has one."""
        for run in runs:
            try:
                anomaly_map = self.store.read_map(run, row["image_id"])
            except MadError:  # the file of the maps is gone or cut off
                continue
            if anomaly_map is not None:
                yield self._overlaid(run, row["subset"], plain, anomaly_map)

    def _overlaid(self, run: Run, subset: str, plain: np.ndarray, anomaly_map: np.ndarray) -> Overlay:
        key = run.id, subset
        if key not in self._ranges:
            self._ranges[key] = display_range(self.store, run.id, subset)
        own = float(np.nanmin(anomaly_map)), float(np.nanmax(anomaly_map)), 0.0
        low, high, threshold = self._ranges[key] or own
        anchor = threshold if self.scale == "threshold" and threshold > 0 else None
        height, width = plain.shape[:2]
        if anchor is None:
            scaled = np.nan_to_num((anomaly_map - low) / max(high - low, 1e-12)).clip(0, 1).astype(np.float32)
        else:
            scaled = evidence(np.nan_to_num(anomaly_map), anchor)
        sized = np.asarray(Image.fromarray(scaled).resize((width, height), Image.Resampling.BILINEAR))
        colours = colour_map("viridis")[(sized * 255).astype(np.uint8)]
        mixed = (plain * (1 - _OPACITY) + colours * _OPACITY).astype(np.uint8)
        return Overlay(run, mixed, *((low, high) if anchor is None else (0.0, 1.0)), anchor)


def _data(pixels: np.ndarray) -> str:
    kept = io.BytesIO()
    Image.fromarray(pixels).save(kept, "WEBP", quality=80, method=2)
    return "data:image/webp;base64," + base64.b64encode(kept.getvalue()).decode("ascii")
