"""FastFlow: a two-dimensional flow over features; Yu et al. 2021, https://arxiv.org/abs/2111.07677."""

import torch
from anomalib.models.image.fastflow.loss import FastflowLoss
from anomalib.models.image.fastflow.torch_model import FastflowModel
from torch import nn

from mad_core.scorers.detectors.trained_scorer import TrainedScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.backbones import standing_in


class Fastflow(TrainedScorer):
    """A two-dimensional normalising flow over backbone features; Yu et al. 2021."""

    id = "fastflow"

    def build(self) -> nn.Module:
        side, name = (self.size, self.size), self.architecture()
        if name not in weights.ANY_SHAPE:
            return FastflowModel(side, name, True)
        with standing_in(name, "resnet18"):
            return FastflowModel(side, "resnet18", True)

    def optimiser(self) -> torch.optim.Optimizer:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return torch.optim.Adam(trained, lr=0.001, weight_decay=1e-5)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return FastflowLoss()(*self.model(batch))
