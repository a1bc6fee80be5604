"""Perturbation resilience, our re-implementation: normals return from a little noise, the unseen does not.

Shin et al. 2023, "Anomaly Detection using Score-based Perturbation Resilience" (ICCV),
https://openaccess.thecvf.com/content/ICCV2023/html/Shin_Anomaly_Detection_using_Score-based_Perturbation_Resilience_ICCV_2023_paper.html.
A score model learns on normals which way noise has pushed a picture. What differs: it learns at small noise
alone, where the score is taken (the paper: up to 5.5); the rate falls to nothing along a cosine instead of an
average of weights; pictures keep their aspect; the noise is the same for every picture, so that a score
depends on that picture alone.
"""

from collections.abc import Mapping
from itertools import pairwise
from math import gcd

import torch
import torch.nn.functional as F
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.framed import FramedScorer, TrainingPlan

LEVELS = 4
LEAST_NOISE, MOST_NOISE = 0.01, 0.3
"""Standard deviations of the noise in training, for pixels in -1 to 1; drawn evenly on a logarithmic scale."""
DRAWS = 3
SMOOTHED = 31 / 256
"""Side of the window that smooths the map, in sides of the square."""


class ScoreNet(nn.Module):
    """A U-Net that says what standard noise is in a picture, given how strong it is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * min(8, 2**k) for k in range(LEVELS)]
        self.first = _Block(3, width)
        self.down = nn.ModuleList(_Block(before, after) for before, after in pairwise(widths))
        self.up = nn.ModuleList(_Block(before + after, after) for after, before in reversed(list(pairwise(widths))))
        self.last = nn.Conv2d(width, 3, 3, 1, 1)
        nn.init.zeros_(self.last.weight)

    def forward(self, images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Standard noise (N, 3, S, S) in images whose noise has standard deviations (N,)."""
        strength = noise.log()
        levels = [self.first(images, strength)]
        for down in self.down:
            levels.append(down(F.avg_pool2d(levels[-1], 2), strength))
        x = levels.pop()
        for up in self.up:
            finer = levels.pop()
            x = up(torch.cat([finer, F.interpolate(x, finer.shape[2:], mode="nearest")], 1), strength)
        return self.last(x)


class _Block(nn.Module):
    """Two convolutions; how strong the noise is shifts and scales the channels between them."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, 1, 1), nn.GroupNorm(gcd(8, after), after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1), nn.GroupNorm(gcd(8, after), after)
        self.strength = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, 2 * after))

    def forward(self, x: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        scale, shift = self.strength(strength[:, None])[:, :, None, None].chunk(2, 1)
        x = F.silu(self.norm1(self.conv1(x)) * (1 + scale) + shift)
        return F.silu(self.norm2(self.conv2(x)))


class Perturbation(FramedScorer):
    """How far perturbed places fail to return, in squared standard deviations of the perturbation."""

    id = "perturbation"
    scales: Mapping[str, TrainingPlan] = {"cpu": TrainingPlan(128, 8, 400), "cuda": TrainingPlan(192, 64, 20_000)}

    def build(self) -> nn.Module:
        return ScoreNet(self.width)

    def _create(self, context: Context) -> None:
        super()._create(context)
        generator = context.torch_generator()
        self.perturbations = torch.randn(DRAWS, 3, self.size, self.size, generator=generator).to(context.device)

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=1e-3)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        optimiser = self.optimiser()
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.training_steps(context))
        self.model.train()
        for batch in self.drawn_batches(images, context):
            optimiser.zero_grad()
            self.loss(batch).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimiser.step()
            schedule.step()

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """Mean squared error of the noise told in a batch that noise of random strengths was added to."""
        drawn = torch.rand(len(batch)).to(batch.device)
        noise = LEAST_NOISE * (MOST_NOISE / LEAST_NOISE) ** drawn
        pushed = torch.randn(batch.shape).to(batch.device)
        return F.mse_loss(self.model(batch + noise[:, None, None, None] * pushed, noise), pushed)

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.full((len(images),), float(self.parameters["noise"]), device=images.device)
        left = torch.zeros_like(images[:, 0])
        for pushed in self.perturbations:
            told = self.model(images + noise[:, None, None, None] * pushed, noise)
            left = left + (told - pushed).pow(2).mean(1) / DRAWS
        half = round(SMOOTHED * self.size) // 2
        smooth = F.avg_pool2d(left[:, None], 2 * half + 1, 1, half, count_include_pad=False)[:, 0]
        return torch.zeros_like(smooth[:, 0, 0]), smooth
