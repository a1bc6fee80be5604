"""AnomalyVFM: a vision foundation model taught to see anomalies of any object, used as it is.

Fučka et al. 2026, https://arxiv.org/abs/2601.20524.
Its weights come from a local file; anomalib would ask the network.
"""

from typing import Any
from unittest import mock

import torch
from anomalib.models.image.anomalyvfm import torch_model
from torch import nn

from mad_core.scorers.detectors.zero_shot import ZeroShotScorer

PATCH = 16


class AnomalyVfm(ZeroShotScorer):
    """The model's log odds that a picture is anomalous, and its map."""

    id = "anomalyvfm"
    frozen = ("model.",)
    normalisation = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # the model normalises by itself
    batch = 1

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.size = max(1, round(self.size / PATCH)) * PATCH

    def build(self) -> nn.Module:
        model: Any = torch_model.AnomalyVFMModel
        with mock.patch.object(torch_model, "hf_hub_download", lambda **_: self.weights):
            if self.weights is not None:
                return model()
            with (
                mock.patch.object(torch_model, "load_file", lambda _: {}),
                mock.patch.object(model, "load_state_dict", lambda *_: None),
            ):
                return model()

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chance, maps = self.model(images)
        return torch.logit(chance.double().flatten(), eps=1e-12), maps.view(len(images), *maps.shape[-2:])
