"""Reverse Distillation: a decoder gives the encoder's features back; Deng and Li 2022, https://arxiv.org/abs/2201.10703."""

import torch
from anomalib.models.components import TimmFeatureExtractor
from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss
from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel
from torch import nn

from mad_core.scorers.detectors.trained_scorer import TrainedScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.backbones import WidenedFeatures


class ReverseDistillation(TrainedScorer):
    """A decoder learns to give the encoder's features of normals back; Deng and Li 2022."""

    id = "reverse-distillation"
    frozen = ("encoder.",)

    def build(self) -> nn.Module:
        side = (self.size, self.size)
        name, layers = self.architecture(), ["layer1", "layer2", "layer3"]
        if name not in weights.ANY_SHAPE:
            return ReverseDistillationModel(name, side, layers, AnomalyMapGenerationMode.ADD, True)
        model = ReverseDistillationModel("resnet18", side, layers, AnomalyMapGenerationMode.ADD, False)
        widths = model.encoder.out_dims
        model.encoder = WidenedFeatures(TimmFeatureExtractor(name, layers), widths)  # type: ignore[assignment]
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        trained = [*self.model.decoder.parameters(), *self.model.bottleneck.parameters()]
        return torch.optim.Adam(trained, lr=0.005, betas=(0.5, 0.99))

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return ReverseDistillationLoss()(*self.model(batch))
