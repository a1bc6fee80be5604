"""Deep-feature nearest neighbours, our re-implementation of PANDA without fine-tuning.

Reiss et al. 2021, "PANDA: Adapting Pretrained Features for Anomaly Detection and Segmentation",
https://arxiv.org/abs/2010.05903, its baseline DN2. What differs: the backbone is one of this software's (the
paper: ResNet-152), and pictures keep their aspect. It has no map: one feature vector stands for the picture.
"""

from collections.abc import Sequence

import torch
from anomalib.models.components import TimmFeatureExtractor
from torch import nn

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.aspect_features import OneScaleScorer
from mad_core.scorers.features import weights


class PooledFeatures(nn.Module):
    """The mean over a picture of the last layer's features, and those of the normals (M, C)."""

    bank: torch.Tensor

    def __init__(self, backbone: str, layer: str, neighbours: int) -> None:
        super().__init__()
        self.feature_extractor = TimmFeatureExtractor(backbone, [layer], pre_trained=True)
        self.neighbours = neighbours
        self.register_buffer("bank", torch.zeros(0))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, C) of normalised images (N, 3, H, W)."""
        (features,) = self.feature_extractor(images).values()
        return features.mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Mean squared distance (N,) to the nearest normals."""
        squares = (self.embed(images)[:, None] - self.bank).square().sum(2)
        return squares.topk(min(self.neighbours, len(self.bank)), largest=False).values.mean(1)


class Knn(OneScaleScorer):
    """Mean squared distance of a picture's features to those of the nearest normals."""

    id = "knn"
    has_map = False

    def build(self) -> nn.Module:
        layer = "layer3" if self.parameters["backbone"] == weights.FORMULA else "layer4"
        return PooledFeatures(self.architecture(), layer, self.parameters["neighbours"])

    def learn(self, images: Sequence[torch.Tensor], context: Context) -> None:
        self.model.bank = torch.cat(self.gathered(images, context, self.steps(len(images), context)))

    def add_normals(self, normals: Sequence[Item], context: Context) -> None:
        images = self.read_further(normals, context, 2 * len(normals))
        self.model.bank = torch.cat([self.model.bank, *self.gathered(images, context, 2 * len(normals))])

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.model(images), None
