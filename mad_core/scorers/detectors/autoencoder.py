"""A convolutional autoencoder; after Bergmann et al. 2019, https://arxiv.org/abs/1807.02011."""

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.trained_scorer import TrainedScorer
from mad_core.scorers.features.filters import blur


class Autoencoder(TrainedScorer):
    """A plain convolutional autoencoder: what it cannot give back was not in the normals.

    The error is divided by what normals show at the same place, so that edges do not count as defects.
    """

    id = "autoencoder"
    frozen = ()
    normalisation = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    default_steps: Mapping[str, int] = {"cpu": 400, "cuda": 4000}

    def build(self) -> nn.Module:
        return _Autoencoder(self.size)

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=2e-3)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(self.model(batch), batch)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        super().learn(images, context)
        self.model.eval()
        with torch.no_grad():
            errors = [self._error(self.normalised(part, context)) for part in images.split(self.batch)]
        self.model.usual.copy_(blur(torch.cat(errors).mean(0)[None, None], 2.0)[0, 0])

    def _error(self, images: torch.Tensor) -> torch.Tensor:
        error = (self.model(images) - images).pow(2).mean(1, keepdim=True)
        return blur(error, 1.5)[:, 0]

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        usual = self.model.usual
        maps = (self._error(images) / (usual + 0.5 * usual.mean() + 1e-6)).sqrt()
        return maps.flatten(1).amax(1), maps


class _Autoencoder(nn.Module):
    """Four halvings to a narrow code and back; ``usual`` is the normals' mean error at every pixel."""

    usual: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        widths = (3, 32, 48, 64, 96)
        down: list[nn.Module] = []
        for before, after in pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.1)]
        up: list[nn.Module] = []
        for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1)]
            up += [nn.BatchNorm2d(after), nn.LeakyReLU(0.1)] if after != 3 else []
        code = [nn.Conv2d(widths[-1], 24, 1), nn.Conv2d(24, widths[-1], 1), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*down, *code, *up)
        self.register_buffer("usual", torch.zeros(size, size))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return F.interpolate(self.layers(images), images.shape[2:], mode="bilinear", align_corners=False)
