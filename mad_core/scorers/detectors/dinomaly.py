"""Dinomaly: DINOv2 features behind a noisy bottleneck; Guo et al. 2025, https://arxiv.org/abs/2405.14325."""

from typing import Any

import torch
from anomalib.models.image.dinomaly.torch_model import DinomalyModel
from torch import nn

from mad_core.scorers.detectors.token_decoder import TokenDecoder


class Dinomaly(TokenDecoder):
    """A decoder reconstructs DINOv2 features behind a noisy bottleneck; Guo et al. 2025."""

    id = "dinomaly"
    learned, clipped = ("bottleneck", "decoder"), ("decoder",)
    rates, eps = (2e-3, 2e-4), 1e-8

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.size = max(14, round(self.size / 14) * 14)

    def build(self) -> nn.Module:
        return self.started(DinomalyModel(self.architecture()))

    def loss_at(self, step: int, steps: int, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch, global_step=step * 1000 // steps)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch, global_step=1000)
