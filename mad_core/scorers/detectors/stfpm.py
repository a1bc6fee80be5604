"""STFPM: a student learns the teacher's features; Wang et al. 2021, https://arxiv.org/abs/2103.04257."""

import torch
from anomalib.models.image.stfpm.loss import STFPMLoss
from anomalib.models.image.stfpm.torch_model import STFPMModel
from torch import nn

from mad_core.scorers.detectors.trained_scorer import TrainedScorer


class Stfpm(TrainedScorer):
    """A student learns the teacher's feature pyramid on normals; Wang et al. 2021."""

    id = "stfpm"
    frozen = ("teacher_model.",)

    def build(self) -> nn.Module:
        return STFPMModel(["layer1", "layer2", "layer3"], self.architecture())

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.student_model.parameters(), lr=0.4, momentum=0.9, weight_decay=0.001)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        self.model.teacher_model.eval()
        return STFPMLoss()(*self.model(batch))
