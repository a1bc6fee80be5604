"""Residual of patch features beside the subspace that normal ones span; no training, one pass over the normals.

After SubspaceAD, https://arxiv.org/abs/2602.23013: a principal component analysis of the patch features of normals, and
what a patch has beside the components that hold most of their variance. What differs: the features are those of a
convolutional backbone that needs no download, from its coarse layers, and pictures keep their aspect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import nn

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.aspect_features import AspectScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.filters import blur
from mad_core.scorers.features.frozen import patches

LAYERS = {weights.LITE: (3, 4), weights.FORMULA: (2, 3)}
"""The two coarsest layers of each backbone; on real pictures finer ones see light and grain."""
SHARE = 0.05
"""Of the cells of a map whose mean is the score."""
BLUR = 1.0


class SubspaceModel(nn.Module):
    """Patch features, and what of them lies beside the subspace of the normals."""

    mean: torch.Tensor
    beside: torch.Tensor

    def __init__(self, backbone: str) -> None:
        super().__init__()
        indices = [layer - 1 for layer in LAYERS[backbone]]
        self.feature_extractor: Any = timm.create_model(
            backbone, pretrained=True, features_only=True, out_indices=indices
        )
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("beside", torch.zeros(0))
        for name in ("count", "moment_mean", "moment_covariance"):  # with them further normals can join
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Patch features (N, C, H, W) of normalised images, on the grid of the finer layer."""
        return patches(self.feature_extractor(images))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Length of each patch's residual, (N, H, W)."""
        residual = torch.einsum("nchw,ck->nkhw", self.embed(images) - self.mean[:, None, None], self.beside)
        return residual.square().sum(1).sqrt()


class Subspace(AspectScorer):
    """The mean of the highest cells of a map of residuals."""

    id = "subspace"

    def build(self) -> nn.Module:
        return SubspaceModel(self.architecture())

    @torch.no_grad()
    def learn(self, images: Sequence[torch.Tensor], context: Context) -> None:
        self._gather(images, Moments(), context, self.steps(len(images), context))

    def _gather(self, images: Sequence[torch.Tensor], moments: Moments, context: Context, total: int) -> None:
        """Take the patches of normals in, and find the subspace of all that were taken in."""
        done = len(images)
        self.model.eval()
        for batch in self.batches(images):
            features = self.model.embed(self.normalised(batch, context))
            moments.add(features.permute(0, 2, 3, 1).flatten(0, 2))
            done += len(batch)
            context.step(done, total)
        model = self.model
        model.count, model.moment_mean = torch.tensor(moments.count), moments.mean()
        model.moment_covariance = moments.covariance()
        model.mean = model.moment_mean.float()
        model.beside = directions_beside(model.moment_covariance, self.parameters["variance"]).float()

    @torch.no_grad()
    def add_normals(self, normals: Sequence[Item], context: Context) -> None:
        total = 2 * len(normals)
        images = self.read_further(normals, context, total)
        moments = Moments.of(self.model.count, self.model.moment_mean, self.model.moment_covariance)
        self._gather(images, moments, context, total)

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = blur(self.model(images)[:, None], BLUR)[:, 0]
        highest = maps.flatten(1).topk(max(1, round(SHARE * maps[0].numel()))).values
        return highest.mean(1), maps

    def facts(self) -> dict[str, Any]:
        channels, left = self.model.beside.shape
        return super().facts() | {"components": channels - left, "channels": channels}


class Moments:
    """Mean and covariance of rows that come in parts; memory of one matrix, whatever their number."""

    def __init__(self) -> None:
        self.count = 0
        self.origin, self.sum, self.products = (torch.zeros(0),) * 3

    @classmethod
    def of(cls, count: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor) -> Moments:
        """Those of rows that were taken in before, from what is known of them."""
        moments = cls()
        moments.count = int(count)
        moments.origin = mean.float()
        shift = mean - moments.origin
        moments.sum = moments.count * shift
        moments.products = moments.count * (covariance + shift[:, None] * shift)
        return moments

    def add(self, rows: torch.Tensor) -> None:
        """Take rows (M, C) in."""
        if not self.count:
            self.origin = rows.mean(0)  # far from zero, squares would lose what differs
            self.sum = torch.zeros_like(self.origin, dtype=torch.float64)
            self.products = torch.zeros(len(self.origin), len(self.origin), dtype=torch.float64, device=rows.device)
        centred = rows - self.origin
        self.count += len(rows)
        self.sum += centred.sum(0)
        self.products += centred.T @ centred

    def mean(self) -> torch.Tensor:
        """Mean (C,), float64."""
        return self.origin + self.sum / self.count

    def covariance(self) -> torch.Tensor:
        """Covariance (C, C), float64."""
        shift = self.sum / self.count
        return self.products / self.count - shift[:, None] * shift


def directions_beside(covariance: torch.Tensor, share: float) -> torch.Tensor:
    """Directions (C, K) beside the principal components that hold ``share`` of the variance, at least one."""
    variances, directions = torch.linalg.eigh(covariance)  # ascending
    held = variances.clamp_min(0).flip(0).cumsum(0)
    components = int((held < share * held[-1]).sum()) + 1
    return directions[:, : max(1, len(variances) - components)].contiguous()
