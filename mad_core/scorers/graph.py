"""A fitted scorer as one torch module, from pixels to score and map, which an exporter writes down.

The module calls the scorer's own functions. What a scorer does with Pillow before them is done here by products of
matrices of whole numbers, which gives the very bytes that Pillow gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from mad_core.scorers.image_scorer import enlarged_to, resized
from mad_core.scorers.reductions import REDUCTIONS, reduced

Answer = Callable[[torch.Tensor], tuple[torch.Tensor | None, torch.Tensor | None]]
"""Of a picture (1, 3, h, w), float32 of 0-255, the scorer's own score (1,) and map (1, h', w'), or None."""

PRECISION = 22
"""Bits of Pillow's weights of bytes (``PRECISION_BITS`` of its ``Resample.c``)."""
FINE = 8
"""Low bits of a weight: they and the others are summed apart, so that float32 holds every sum exactly."""
SCORE, MAP = "score", "map"


class Graph(nn.Module):
    """From pixels (H, W, 3), uint8, to tensors of these names."""

    outputs: tuple[str, ...] = (SCORE, MAP)
    held: Any = None
    """What lives as long as it does."""


class PictureGraph(Graph):
    """A scorer of one picture at a time.

    Parameters
    ----------
    model : Module
        Holds what ``answer`` computes with.
    size, working : tuple of int
        Height and width of the pictures, and of what the scorer makes of them.
    answer : callable
    shape : tuple of int
        Of the map.
    reduction : str
        A name of :data:`~mad_core.scorers.reductions.REDUCTIONS`; any other leaves the scorer's own score.
    """

    def __init__(
        self,
        model: nn.Module,
        size: tuple[int, int],
        working: tuple[int, int],
        answer: Answer,
        shape: tuple[int, int] | None,
        reduction: str = "",
    ) -> None:
        super().__init__()
        self.model, self.answer, self.shape, self.reduction = model, answer, shape, reduction
        self.resize = PillowResize(size, working)
        self.outputs = (SCORE,) if shape is None else (SCORE, MAP)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        score, anomaly_map = self.answer(self.resize(pixels.permute(2, 0, 1)[None].float()))
        if anomaly_map is None or self.shape is None:
            assert score is not None
            return (score.reshape(1),)
        whole = enlarged_to(anomaly_map[0], self.shape)
        own = reduced(whole, self.reduction) if self.reduction in REDUCTIONS else score
        assert own is not None
        return own.reshape(1), whole


class PillowResize(nn.Module):
    """Bytes resized as Pillow does with ``Resampling.BILINEAR``, exactly; (1, 3, H, W) to (1, 3, h, w), as float32.

    Each of its two passes is a product with a matrix of weights, rounded to bytes afterwards. Which pass comes first
    depends on version and sizes, so Pillow is asked.
    """

    down: torch.Tensor
    across: torch.Tensor

    def __init__(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        super().__init__()
        for name, place in (("down", 0), ("across", 1)):
            same = before[place] == after[place]
            matrix = torch.zeros(0) if same else torch.from_numpy(_split(weights(before[place], after[place])))
            self.register_buffer(name, matrix)
        self.down_first = False
        if len(self.across) and len(self.down):
            some = np.random.default_rng(0).integers(0, 256, (*before, 3), dtype=np.uint8)
            ours = self(torch.from_numpy(some).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
            self.down_first = not np.array_equal(ours, resized(some, (after[1], after[0])))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.down_first:
            return self._across(self._down(pixels))
        return self._down(self._across(pixels))

    def _across(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._pass(pixels, self.across) if len(self.across) else pixels

    def _down(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._pass(pixels.transpose(2, 3), self.down).transpose(2, 3) if len(self.down) else pixels

    @staticmethod
    def _pass(pixels: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        coarse, fine = (pixels @ matrix.T).chunk(2, -1)
        carried = ((fine + 2.0 ** (PRECISION - 1)) / 2.0**FINE).floor()
        return ((coarse + carried) / 2.0 ** (PRECISION - FINE)).floor().clamp(0, 255)


def weights(before: int, after: int) -> np.ndarray:
    """Pillow's weights of bytes along one side, int64 (after, before): a triangle over what a new pixel covers."""
    scale = before / after
    support = max(scale, 1.0)
    matrix = np.zeros((after, before), dtype=np.int64)
    for row in range(after):
        centre = (row + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(before, int(centre + support + 0.5))
        triangle = np.maximum(1 - np.abs((np.arange(first, last) - centre + 0.5) / support), 0)
        matrix[row, first:last] = np.floor(triangle / triangle.sum() * 2**PRECISION + 0.5)
    return matrix


def _split(matrix: np.ndarray) -> np.ndarray:
    """The high bits of all weights, then the low ones, float32 (2 after, before)."""
    return np.concatenate([matrix >> FINE, matrix & (2**FINE - 1)]).astype(np.float32)
