"""SimpleNet, our re-implementation: a small discriminator tells features of normals from the same with noise.

Liu et al. 2023, "SimpleNet: A Simple Network for Image Anomaly Detection and Localization",
https://arxiv.org/abs/2303.15140. What differs: pictures keep their aspect; the discriminator learns from a
sample of the normals' patches, computed once, instead of whole batches of images; the last step is kept, not
the one that does best on the test images; with a backbone that needs no download, noise is measured in its
features' spread. anomalib's Supersimplenet is a later method.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from anomalib.models.components import TimmFeatureExtractor
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.aspect_features import OneScaleScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.filters import blur

LAYERS = ("layer2", "layer3")
PUBLISHED_NOISE = 0.015
NOISE_IN_SPREADS = 0.25
"""Noise on features of the backbones that need no download, in their standard deviations."""
MARGIN = 0.5
HIDDEN = 1024
PATCHES_PER_STEP = 4096
STEPS = {"cpu": 300, "cuda": 4000}


class NoiseDiscriminator(nn.Module):
    """Patch features, adapted by one linear layer, and how normal they look."""

    noise: torch.Tensor

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.feature_extractor = TimmFeatureExtractor(backbone, LAYERS, pre_trained=True)
        channels = sum(self.feature_extractor.out_dims)
        hidden = min(HIDDEN, channels)
        self.adaptor = nn.Linear(channels, channels)
        self.discriminator = nn.Sequential(
            nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1, bias=False)
        )
        self.register_buffer("noise", torch.tensor(PUBLISHED_NOISE))
        nn.init.xavier_normal_(self.adaptor.weight)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, H, W, C) of every patch, each averaged over its 3 x 3 surroundings."""
        layers = [F.avg_pool2d(f, 3, 1, 1) for f in self.feature_extractor(images).values()]
        coarse = F.interpolate(layers[1], layers[0].shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([layers[0], coarse], 1).permute(0, 2, 3, 1)

    def normality(self, adapted: torch.Tensor) -> torch.Tensor:
        """Verdict (...) on adapted features (..., C), higher = more normal."""
        return self.discriminator(adapted.flatten(0, -2)).view(adapted.shape[:-1])

    def loss(self, features: torch.Tensor) -> torch.Tensor:
        """Truncated L1 loss of patch features (M, C) against the same with Gaussian noise."""
        adapted = self.adaptor(features)
        noisy = adapted + self.noise * torch.randn(adapted.shape).to(adapted.device)
        verdict = self.normality(torch.cat([adapted, noisy]))
        real, unreal = verdict.chunk(2)
        return (MARGIN - real).clamp_min(0).mean() + (MARGIN + unreal).clamp_min(0).mean()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Anomaly of every patch (N, H, W)."""
        return -self.normality(self.adaptor(self.embed(images)))


class SimpleNet(OneScaleScorer):
    """The least normal patch of a picture, as the discriminator sees it."""

    id = "simplenet"

    def build(self) -> nn.Module:
        return NoiseDiscriminator(self.architecture())

    def training_steps(self, context: Context) -> int:
        return self.parameters["steps"] or STEPS[context.device.partition(":")[0]]

    def steps(self, normals: int, context: Context) -> int:
        return 2 * normals + self.training_steps(context)

    def learn(self, images: Sequence[torch.Tensor], context: Context) -> None:
        total, generator = self.steps(len(images), context), context.torch_generator()
        features = self._sampled(self.gathered(images, context, total), generator)
        self.model.noise = torch.tensor(self._noise(features), device=features.device)
        optimiser = torch.optim.Adam(
            [
                {"params": self.model.adaptor.parameters(), "lr": 1e-4},
                {"params": self.model.discriminator.parameters(), "lr": 2e-4, "weight_decay": 1e-5},
            ]
        )
        self.model.train()
        for step in range(self.training_steps(context)):
            chosen = torch.randint(len(features), (PATCHES_PER_STEP,), generator=generator)
            optimiser.zero_grad()
            self.model.loss(features[chosen.to(features.device)]).backward()
            optimiser.step()
            context.step(2 * len(images) + step + 1, total)

    def _sampled(self, gathered: list[torch.Tensor], generator: torch.Generator) -> torch.Tensor:
        """At most ``patches`` features (M, C), the same share of every batch of normals."""
        share = min(1.0, self.parameters["patches"] / sum(f[..., 0].numel() for f in gathered))
        samples = []
        for features in gathered:
            rows = features.flatten(0, 2)
            keep = torch.randperm(len(rows), generator=generator)[: max(1, round(share * len(rows)))]
            samples.append(rows[keep.to(rows.device)])
        return torch.cat(samples)

    def _noise(self, features: torch.Tensor) -> float:
        if self.parameters["backbone"] in weights.ANY_SHAPE:
            return (self.parameters["noise"] or NOISE_IN_SPREADS) * float(features.std(0).mean())
        return self.parameters["noise"] or PUBLISHED_NOISE

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        patches = self.model(images)
        return patches.flatten(1).amax(1), blur(patches[:, None], 0.5)[:, 0]

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"noise": float(self.model.noise)}
