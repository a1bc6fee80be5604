"""Skip-GANomaly, our re-implementation: a U-Net redraws normals against a discriminator.

Akcay, Atapour-Abarghouei and Breckon 2019, "Skip-GANomaly: Skip Connected and Adversarially Trained
Encoder-Decoder Anomaly Detection", https://arxiv.org/abs/1901.08954. What differs: pictures keep their
aspect, channels grow at most eightfold, features are normalised within an image instead of over a batch, the
score is not scaled over the test set, and there is a map: the reconstruction error.
"""

from collections.abc import Mapping
from itertools import pairwise
from math import gcd

import torch
import torch.nn.functional as F
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.framed import FramedScorer, TrainingPlan
from mad_core.scorers.features.filters import blur

LATENT = 100
RECONSTRUCTION_SHARE = 0.9
"""Share of the reconstruction error in the score, lambda of equation 6; the rest is the distance of features."""


class UNet(nn.Module):
    """Encoder down to one pixel and decoder back, with the features of every level handed across.

    Parameters
    ----------
    size : int
        Side of the images, a power of two.
    width : int
        Channels after the first convolution; they double per level, at most to eight times as many.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        levels = size.bit_length() - 1
        widths = [width * min(8, 2**k) for k in range(levels)]
        self.down = nn.ModuleList([nn.Conv2d(3, width, 4, 2, 1)])
        for k, (before, after) in enumerate(pairwise(widths)):
            norm = [normalised(after)] if k < levels - 2 else []  # not the last: one pixel has no spread
            self.down.append(nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, 2, 1, bias=not norm), *norm))
        self.up = nn.ModuleList()
        for k in reversed(range(levels)):
            before = widths[k] if k == levels - 1 else 2 * widths[k]
            after = widths[k - 1] if k else 3
            end = normalised(after) if k else nn.Tanh()
            self.up.append(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=k == 0), end))
        self.apply(small_normal)

    def decode(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """The image (N, 3, S, S) in -1 to 1, from the encoder's features, finest first."""
        x = self.up[0](levels[-1])
        for up, skipped in zip(self.up[1:], reversed(levels[:-1]), strict=True):
            x = up(torch.cat([x, skipped], 1))
        return x

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        levels = [images]
        for down in self.down:
            levels.append(down(levels[-1]))
        return self.decode(levels[1:])


class Discriminator(nn.Module):
    """Tells drawn images from real ones; its last features (N, 100) say what an image is made of."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        widths = [width * min(8, 2**k) for k in range(size.bit_length() - 3)]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), normalised(after), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers, nn.Conv2d(widths[-1], LATENT, 4, bias=False), nn.Flatten())
        self.verdict = nn.Linear(LATENT, 1, bias=False)
        self.apply(small_normal)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log odds of being real (N,) and features (N, 100)."""
        features = self.features(images)
        return self.verdict(features)[:, 0], features


def normalised(channels: int) -> nn.Module:
    """Normalisation within an image: normals that look alike leave a batch too little spread to divide by."""
    return nn.GroupNorm(gcd(4, channels), channels)


def small_normal(module: nn.Module) -> None:
    """The initial weights of DCGAN."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)


class Adversaries(nn.Module):
    """A generator and the discriminator that it is trained against."""

    def __init__(self, generator: nn.Module, discriminator: Discriminator) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator


class SkipGanomaly(FramedScorer):
    """Score: nine tenths mean squared reconstruction error, one tenth distance of the discriminator's features."""

    id = "skip-ganomaly"
    scales: Mapping[str, TrainingPlan] = {"cpu": TrainingPlan(128, 8, 500), "cuda": TrainingPlan(256, 64, 6000)}
    contextual = 40.0
    """Weight of the reconstruction beside the adversarial loss."""

    def generator(self) -> nn.Module:
        return UNet(self.size, self.width)

    def build(self) -> nn.Module:
        return Adversaries(self.generator(), Discriminator(self.size, self.width))

    def optimiser(self) -> torch.optim.Optimizer:
        return _adam(self.model.generator)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """The generator's loss: adversarial, contextual and latent."""
        drawn = self.model.generator(batch)
        verdict, features = self.model.discriminator(drawn)
        wanted = self.model.discriminator(batch)[1].detach()
        adversarial = F.binary_cross_entropy_with_logits(verdict, torch.ones_like(verdict))
        return adversarial + self.contextual * F.l1_loss(drawn, batch) + F.mse_loss(features, wanted)

    def discriminator_loss(self, batch: torch.Tensor) -> torch.Tensor:
        """Adversarial and latent: both networks keep the features of an image and its drawing close."""
        with torch.no_grad():
            drawn = self.model.generator(batch)
        real, wanted = self.model.discriminator(batch)
        unreal, features = self.model.discriminator(drawn)
        return told_apart(real, unreal) + F.mse_loss(features, wanted)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        for_generator, for_discriminator = self.optimiser(), _adam(self.model.discriminator)
        self.model.train()
        for batch in self.drawn_batches(images, context):
            for_generator.zero_grad()
            self.loss(batch).backward()
            for_generator.step()
            for_discriminator.zero_grad()
            self.discriminator_loss(batch).backward()
            for_discriminator.step()

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        drawn = self.model.generator(images)
        apart = (self.model.discriminator(images)[1] - self.model.discriminator(drawn)[1]).pow(2).mean(1)
        error = blur((drawn - images).pow(2).mean(1, keepdim=True), self.size / 64)[:, 0]
        return (1 - RECONSTRUCTION_SHARE) * apart, RECONSTRUCTION_SHARE * error


def told_apart(real: torch.Tensor, unreal: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the log odds of real and unreal images."""
    entropy = F.binary_cross_entropy_with_logits
    return entropy(real, torch.ones_like(real)) + entropy(unreal, torch.zeros_like(unreal))


def _adam(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=2e-4, betas=(0.5, 0.999))
