"""SuperADD: a memory of DINOv3 tokens of several layers, a coreset a layer; 2026, https://arxiv.org/abs/2605.14808."""

import torch
from anomalib.models.image.super_add.torch_model import SuperADDModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.dino import WholePatches, patch_of
from mad_core.scorers.detectors.model_scorer import ModelScorer

PIECE = 448
"""Side of the overlapping pieces in which the encoder sees a picture, pixels."""


class SuperAdd(WholePatches, ModelScorer):
    """Distance of each token to the nearest of the normals, averaged over the layers."""

    id = "superadd"
    frozen = ("backbone.", "patch_exec.")

    def build(self) -> nn.Module:
        name = self.architecture()
        return SuperADDModel(
            name,
            patch_size=min(PIECE, self.size),
            patch_overlap=patch_of(name),
            max_database_size=self.parameters["most"],
        )

    def learn(self, images: torch.Tensor, context: Context) -> None:
        self.gather(images, context, 2 * len(images))
        self.model.subsample_embedding()
