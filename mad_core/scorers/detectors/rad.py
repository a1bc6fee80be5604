"""RAD: tokens of the most similar normals at the same place; 2026, https://arxiv.org/abs/2601.22763."""

from collections.abc import Mapping
from typing import Any

import torch
from anomalib.models.image.rad.torch_model import RadModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.dino import WholePatches
from mad_core.scorers.detectors.model_scorer import ModelScorer


class Rad(WholePatches, ModelScorer):
    """Cosine distance of each token to those of the normals that look most like the picture, nearby or anywhere."""

    id = "rad"
    positionless: Mapping[str, Any] = {"positions": "anywhere"}

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.most_normals = int(parameters["pictures"])  # all tokens of each are kept

    def build(self) -> nn.Module:
        return RadModel(self.architecture(), use_positional_bank=self.parameters["positions"] == "nearby")

    def learn(self, images: torch.Tensor, context: Context) -> None:
        self.gather(images, context, 2 * len(images))
        self.model.build_memory_bank()
