"""The scorer that needs no download: extreme filter responses, compared with normals at nearby positions.

The image is filtered (:mod:`mad_core.scorers.features.filters`); on a grid of overlapping windows the strongest
response of each filter is kept, because a small defect shows in a window's extreme and drowns in its
mean. Each filter and position is scaled by what normals show there, and the distance to the nearest
normal window nearby is the anomaly map.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from mad_core.scorers.contract import Context, Item, Scored
from mad_core.scorers.features.filters import responses
from mad_core.scorers.features.neighbours import RowBank
from mad_core.scorers.features.positions import GRID, cells
from mad_core.scorers.features.windows import WindowBank, centre_and_spread, in_windows, spread_of_strongest
from mad_core.scorers.graph import Graph, PictureGraph
from mad_core.scorers.image_scorer import (
    DeepScorer,
    in_unit,
    joined_samples,
    map_shape,
    on_aspect,
    read_normals,
    sample,
    scaled,
    single_threaded,
    working_scale,
)
from mad_core.scorers.reductions import reduce_map

FEWEST_NORMALS = 4
MOST_ROWS = 20_000
"""Windows of normals that are compared with where positions tell nothing."""


def windows_of(pixels: torch.Tensor) -> torch.Tensor:
    """Logarithm of the strongest responses in each window (C, GRID, GRID) of a picture (3, H, W) in 0-1."""
    return torch.log1p(in_windows(responses(pixels, 2 * GRID)))


class FilterBank(DeepScorer):
    """See the module; parameters ``size``, ``positions``, ``reach``, ``bank`` and ``reduction``."""

    scale: float = 1.0
    device: str = "cpu"
    positionless: Mapping[str, Any] = {"positions": "all"}
    seen: int = 0
    """Normals that the bank is a sample of."""

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        self.device = context.device
        chosen, self.seen = sample(normals, self.parameters["bank"], context), len(normals)
        with single_threaded():
            self.scale = working_scale(chosen, self.parameters["size"])
            total = len(chosen)
            prepared = read_normals(chosen, self.prepare, context, fewest=FEWEST_NORMALS, total=total, read=self.read)
        self.learn(torch.stack([features.cpu() for features, _ in prepared]), context)

    def add_normals(self, normals: Sequence[Item], context: Context) -> None:
        with single_threaded():
            read = read_normals(normals, self.prepare, context, fewest=1, total=len(normals), read=self.read)
        new, most = torch.stack([features.cpu() for features, _ in read]), self.parameters["bank"]
        kept, taken = joined_samples(len(self.features), len(new), self.seen, most, context.rng())
        self.seen += len(new)
        self.learn(torch.cat([self.features[kept], new[taken]]), context)

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        with single_threaded():
            yield from super().score(images, context)

    @torch.inference_mode()
    def prepare(self, image: np.ndarray) -> tuple[torch.Tensor, tuple[int, int]]:
        """Logarithm of the strongest response in each window, (C, GRID, GRID), and the size of the map (height, width).

        Many small steps an image: the loader's threads share them better than threads within each step would.
        """
        small = scaled(image, self.scale, self.parameters["size"])
        return windows_of(torch.from_numpy(in_unit(small).transpose(2, 0, 1)).to(self.device)), map_shape(image)

    def graph(self, height: int, width: int, context: Context) -> Graph:
        image = np.zeros((height, width, 3), np.uint8)
        working = scaled(image, self.scale, self.parameters["size"]).shape[:2]

        def answer(pixels: torch.Tensor) -> tuple[None, torch.Tensor]:
            return None, self._grids(windows_of(pixels[0] / 255)[None])

        reduction = self.parameters["reduction"]
        return PictureGraph(nn.Module(), (height, width), working, answer, map_shape(image), reduction)

    @torch.inference_mode()
    def learn(self, features: torch.Tensor, context: Context) -> None:
        """Centre and scale of every filter at every position, then the bank."""
        if self.parameters["positions"] == "nearby":
            centre, spread = centre_and_spread(features)
        else:
            shape = features.shape[1:]
            centre = features.mean((0, 2, 3), keepdim=True)[0].expand(shape).contiguous()
            within = features.std((0, 2, 3)) + 0.5 * spread_of_strongest(features)
            spread = within[:, None, None].expand(shape).contiguous()
        self._use(features, centre, spread, context)

    def _use(self, features: torch.Tensor, centre: torch.Tensor, spread: torch.Tensor, context: Context) -> None:
        self.features, self.centre, self.spread = features, centre, spread
        features, centre, spread = (tensor.to(context.device) for tensor in (features, centre, spread))
        if self.parameters["positions"] == "nearby":
            self.nearby, self.anywhere = WindowBank(features, centre, spread, self.parameters["reach"]), None
        else:
            self.nearby, self.anywhere = None, self._rows(features, centre, spread, context)

    def _rows(
        self, features: torch.Tensor, centre: torch.Tensor, spread: torch.Tensor, context: Context
    ) -> tuple[RowBank, torch.Tensor, torch.Tensor]:
        """Windows of normals without their places, at most ``MOST_ROWS``; their middle and weight (C,)."""
        middle, weight = centre.mean((1, 2)), 1 / spread[:, 0, 0]
        rows = (cells(features) - middle).flatten(0, 1) * weight
        keep = np.sort(context.rng().choice(len(rows), min(len(rows), MOST_ROWS), replace=False))
        return RowBank(rows[torch.from_numpy(keep).to(rows.device)]), middle, weight

    @torch.inference_mode()
    def mapped(self, prepared: Sequence[tuple[torch.Tensor, tuple[int, int]]]) -> list[np.ndarray]:
        """The anomaly map of each prepared image."""
        grids = self._grids(torch.stack([features for features, _ in prepared]))
        return [on_aspect(grid, shape) for grid, (_, shape) in zip(grids, prepared, strict=True)]

    def _grids(self, windows: torch.Tensor) -> torch.Tensor:
        """Distances to normals (N, GRID, GRID) of the windows of pictures."""
        if self.nearby is not None:
            return self.nearby.distance(windows)
        assert self.anywhere is not None
        bank, middle, weight = self.anywhere
        rows = ((windows.flatten(2).transpose(1, 2) - middle) * weight).flatten(0, 1)
        return (bank.nearest(rows) / rows.shape[1] ** 0.5).view(-1, GRID, GRID)

    def infer(self, prepared: Sequence[tuple[torch.Tensor, tuple[int, int]]], context: Context) -> list[Any]:
        return [
            (reduce_map(anomaly_map, self.parameters["reduction"]), anomaly_map)
            for anomaly_map in self.mapped(prepared)
        ]

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        return {"features": self.features, "centre": self.centre, "spread": self.spread}, {
            "scale": self.scale,
            "seen": self.seen,
        }

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.scale, self.device = float(facts["scale"]), context.device
        self.seen = int(facts.get("seen", len(tensors["features"])))
        self._use(tensors["features"], tensors["centre"], tensors["spread"], context)

    def facts(self) -> dict[str, Any]:
        return {
            "normals_in_bank": len(self.features),
            "filters": self.features.shape[1],
            "working_scale": round(self.scale, 4),
            "grid": GRID,
        }
