"""What detectors on a frozen backbone share that takes pictures of any shape: their aspect is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.model_scorer import ModelScorer
from mad_core.scorers.image_scorer import map_shape, own_scale, scaled, working_scale

STEP = 32
"""Sides are multiples of the coarsest stride of any backbone, pixels."""


class AspectScorer(ModelScorer):
    """A model on a frozen ``feature_extractor``; every picture gets about ``size`` squared pixels."""

    def prepare(self, image: np.ndarray) -> tuple[torch.Tensor, tuple[int, int]]:
        pixels = scaled(image, self.scale_of(image), self.size, STEP)
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), map_shape(image)

    def scale_of(self, image: np.ndarray) -> float:
        """What the sides of a picture (H, W, 3) are multiplied by."""
        return own_scale(image, self.size)

    def collected(self, images: list[torch.Tensor]) -> list[torch.Tensor]:
        return images

    @torch.no_grad()
    def gathered(self, images: Sequence[torch.Tensor], context: Context, total: int) -> list[torch.Tensor]:
        """What the model's ``embed`` gives for all normals, a tensor per batch; progress goes from N to 2 N."""
        self.model.eval()
        embeddings, done = [], len(images)
        for batch in self.batches(images):
            embeddings.append(self.model.embed(self.normalised(batch, context)))
            done += len(batch)
            context.step(done, total)
        return embeddings


class OneScaleScorer(AspectScorer):
    """The same with one scale for all pictures; a typical one gets ``size`` squared pixels."""

    scale = 1.0

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        self.scale = working_scale(normals, self.size)
        super().fit(normals, context)

    def scale_of(self, image: np.ndarray) -> float:
        return self.scale

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, facts = super().state()
        return tensors, facts | {"scale": self.scale}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.scale = float(facts["scale"])
        super().restore(tensors, facts, context)
