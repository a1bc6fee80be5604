"""Pictures of the report as data: an image, and beside it the image under the anomaly maps of some runs."""

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

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


class Pictures:
    """Makes the pictures of one store; display ranges are read once a run and subset."""

    def __init__(self, store: Store) -> None:
        self.store = store
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
        folder = self.store.settings.thumbnails / dataset_id
        try:
            digest = row["content_hash"]
            window = self._cards(dataset_id).subset(row["subset"]).window
            plain = read_image(thumbnail(Path(row["path"]), folder, SIDE, digest, content_hash=digest, window=window))
        except (MadError, OSError):
            return None
        panels, seen = [plain], []
        for run in runs:
            try:
                anomaly_map = self.store.read_map(run, row["image_id"])
                if anomaly_map is not None:
                    panels.append(self._overlaid(run, row["subset"], plain, anomaly_map))
                    seen.append(run)
            except MadError:  # the file of the maps is gone or cut off
                continue
        gap = np.zeros((plain.shape[0], _GAP, 4), np.uint8)
        opaque = [np.dstack([panel, np.full(panel.shape[:2], 255, np.uint8)]) for panel in panels]
        joined = [opaque[0], *(one for panel in opaque[1:] for one in (gap, panel))]
        pixels = np.hstack(joined)
        return _data(pixels), seen, (pixels.shape[1], pixels.shape[0])

    def _overlaid(self, run: Run, subset: str, plain: np.ndarray, anomaly_map: np.ndarray) -> np.ndarray:
        key = run.id, subset
        if key not in self._ranges:
            self._ranges[key] = display_range(self.store, run.id, subset)
        low, high, _ = self._ranges[key] or (float(np.nanmin(anomaly_map)), float(np.nanmax(anomaly_map)), 0.0)
        height, width = plain.shape[:2]
        scaled = np.nan_to_num((anomaly_map - low) / max(high - low, 1e-12)).clip(0, 1).astype(np.float32)
        sized = np.asarray(Image.fromarray(scaled).resize((width, height), Image.Resampling.BILINEAR))
        colours = colour_map("viridis")[(sized * 255).astype(np.uint8)]
        return (plain * (1 - _OPACITY) + colours * _OPACITY).astype(np.uint8)


def _data(pixels: np.ndarray) -> str:
    kept = io.BytesIO()
    Image.fromarray(pixels).save(kept, "WEBP", quality=80, method=2)
    return "data:image/webp;base64," + base64.b64encode(kept.getvalue()).decode("ascii")
