"""What detectors trained from nothing on square pictures share: frames that keep the aspect, sizes that fit the device.

A picture is brought to the square's longest side and mirrored beyond its own borders, so that nothing is
squeezed; what the model says about the mirrored margin is cut off before anything is scored.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.model_scorer import HALVES
from mad_core.scorers.detectors.trained_scorer import TrainedScorer
from mad_core.scorers.image_scorer import map_shape, on_aspect, resized
from mad_core.scorers.reductions import reduce_map


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How large a model is built and how long it learns.

    Parameters
    ----------
    size : int
        Side of the square, pixels.
    width : int
        Channels of the first layer.
    steps : int
        Optimiser steps.
    """

    size: int
    width: int
    steps: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in its square a picture lies, and the shape (H, W) of its anomaly map."""

    rows: slice
    columns: slice
    shape: tuple[int, int]


def framed(image: np.ndarray, side: int) -> tuple[np.ndarray, Frame]:
    """A picture (H, W, 3) in the middle of a square (side, side, 3), mirrored around; and its frame."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    inner = resized(image, size)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    around = ((top, side - size[1] - top), (left, side - size[0] - left), (0, 0))
    frame = Frame(slice(top, top + size[1]), slice(left, left + size[0]), map_shape(image))
    return np.pad(inner, around, mode="symmetric"), frame


class FramedScorer(TrainedScorer):
    """A model without a backbone that trains on framed normals.

    Size, width and steps left open are those of ``scales`` for the device; what a fit used is kept with its state.
    """

    frozen = ()
    normalisation = HALVES
    scales: Mapping[str, TrainingPlan] = {}
    width: int = 0

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**{**parameters, "size": parameters["size"] or 0})
        self.parameters = parameters

    def scale(self, context: Context) -> TrainingPlan:
        """What is built on this device, the parameters that were given first."""
        usual = self.scales[context.device.partition(":")[0]]
        return TrainingPlan(
            *(int(self.parameters[name] or getattr(usual, name)) for name in ("size", "width", "steps"))
        )

    def training_steps(self, context: Context) -> int:
        return self.scale(context).steps

    def view(self, context: Context) -> int:
        return self.scale(context).size

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        scale = self.scale(context)
        self.size, self.width = scale.size, scale.width
        super().fit(normals, context)

    def prepare(self, image: np.ndarray) -> tuple[torch.Tensor, Frame]:  # type: ignore[override]
        square, frame = framed(image, self.size)
        return torch.from_numpy(square.transpose(2, 0, 1).copy()), frame

    @torch.inference_mode()
    def infer(  # type: ignore[override]
        self, prepared: Sequence[tuple[torch.Tensor, Frame]], context: Context
    ) -> list[tuple[float, np.ndarray | None]]:
        results: list[tuple[float, torch.Tensor]] = []
        for batch in self.batches([image for image, _ in prepared]):
            offsets, maps = self.predict(self.normalised(batch, context))
            results += zip(offsets.tolist(), maps, strict=True)
        return [self._in_frame(*one, frame) for one, (_, frame) in zip(results, prepared, strict=True)]

    def _in_frame(self, offset: float, square: torch.Tensor, frame: Frame) -> tuple[float, np.ndarray]:
        inner = square[frame.rows, frame.columns]
        anomaly_map = on_aspect(inner, frame.shape)
        reduction = self.parameters["reduction"]
        if reduction == "model":
            return offset + float(inner.double().mean()), anomaly_map
        return reduce_map(anomaly_map, reduction), anomaly_map

    @abstractmethod
    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a score has beside its map's mean (N,), and maps (N, S, S), of normalised images (N, 3, S, S)."""

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, facts = super().state()
        return tensors, facts | {"size": self.size, "width": self.width}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.size, self.width = int(facts["size"]), int(facts["width"])
        super().restore(tensors, facts, context)

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"width": self.width}
