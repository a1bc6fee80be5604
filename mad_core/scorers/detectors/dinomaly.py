"""Dinomaly: DINOv2 features behind a noisy bottleneck; Guo et al. 2025, https://arxiv.org/abs/2405.14325."""

from collections.abc import Mapping
from typing import Any

import torch
from anomalib.models.image.dinomaly.components import StableAdamW, WarmCosineScheduler
from anomalib.models.image.dinomaly.torch_model import DinomalyModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.trained_scorer import TrainedScorer


class Dinomaly(TrainedScorer):
    """A decoder reconstructs DINOv2 features behind a noisy bottleneck; Guo et al. 2025."""

    id = "dinomaly"
    frozen = ("encoder.",)
    default_steps: Mapping[str, int] = {"cpu": 60, "cuda": 2000}

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.size = max(14, round(self.size / 14) * 14)

    def build(self) -> nn.Module:
        model = DinomalyModel(self.architecture())
        model.encoder.requires_grad_(False)
        for module in [*model.bottleneck.modules(), *model.decoder.modules()]:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        trained = [*self.model.bottleneck.parameters(), *self.model.decoder.parameters()]
        return StableAdamW(trained, lr=2e-3, betas=(0.9, 0.999), weight_decay=1e-4, amsgrad=True, eps=1e-8)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        optimiser, steps = self.optimiser(), self.training_steps(context)
        schedule = WarmCosineScheduler(optimiser, 2e-3, 2e-4, total_iters=steps, warmup_iters=min(100, steps // 4))
        self.model.train()
        self.model.encoder.eval()
        for step, batch in enumerate(self.drawn_batches(images, context)):
            optimiser.zero_grad()
            self.model(batch, global_step=step * 1000 // steps).backward()
            nn.utils.clip_grad_norm_(self.model.decoder.parameters(), 0.1)
            optimiser.step()
            schedule.step()

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch, global_step=1000)
