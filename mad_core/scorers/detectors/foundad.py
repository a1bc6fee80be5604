"""FoundAD: a small projector learns the manifold of normal tokens; Zhai et al. 2026, https://arxiv.org/abs/2510.01934."""

from unittest import mock

import torch
from anomalib.models.image.foundad.components import encoder_loader
from anomalib.models.image.foundad.components.cutpaste import CutPasteUnion
from anomalib.models.image.foundad.torch_model import FoundADModel
from torch import nn

from mad_core.scorers.detectors.dino import WholePatches
from mad_core.scorers.detectors.trained_scorer import TrainedScorer


class FoundAd(WholePatches, TrainedScorer):
    """What a projector changes in a token: it learned to leave normal ones and to mend cut and pasted ones."""

    id = "foundad"
    frozen = ("encoder.",)

    def build(self) -> nn.Module:
        name = self.architecture()
        with mock.patch.dict(encoder_loader.TIMM_MODEL_NAMES, {name: name}):
            return FoundADModel(name)

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.projector.parameters(), lr=1e-3, weight_decay=1e-4)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch, augmented_images=CutPasteUnion()(batch))
