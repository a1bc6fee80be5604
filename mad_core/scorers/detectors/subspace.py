"""Distance of patch features from the subspace of normal ones; no training, one pass over the normals.

After SubspaceAD, arXiv 2602.23013, whose score is the residual of a principal component analysis of patch features.
What differs: the features are those of a convolutional backbone that needs no download; the subspace has no edge, every
direction counts by the inverse of its variance among normal patches plus a ridge; and where normals lie alike, a patch
is compared with the mean of its place, as far as normals agree on that (:func:`agreed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import nn
from torch.nn import functional as F

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.aspect_features import AspectScorer
from mad_core.scorers.features.filters import blur
from mad_core.scorers.features.frozen import patches

LAYERS = (2, 3)
RIDGE = 0.1
"""Added to every variance, in parts of the mean variance."""
GRID = 16
"""Cells a side on which the means of places are kept."""
MOST_PLACED = 128
"""Normals from which the means of places are estimated, at most."""
BLUR = 1.0


class SubspaceModel(nn.Module):
    """Patch features, whitened by what normals show, and their distance from the normal mean."""

    mean: torch.Tensor
    basis: torch.Tensor
    places: torch.Tensor

    def __init__(self, backbone: str, layers: Sequence[int]) -> None:
        super().__init__()
        self.feature_extractor: Any = timm.create_model(
            backbone, pretrained=True, features_only=True, out_indices=[layer - 1 for layer in layers]
        )
        channels = sum(self.feature_extractor.feature_info.channels())
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("basis", torch.zeros(channels, channels))
        self.register_buffer("places", torch.zeros(channels, GRID, GRID))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Patch features (N, C, H, W) of normalised images (N, 3, 8 H, 8 W)."""
        return patches(self.feature_extractor(images))

    def whitened(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, C, H, W) with unit variance among normals in every direction that varies, less in the others."""
        return torch.einsum("nchw,ck->nkhw", features - self.mean[:, None, None], self.basis)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Root mean square of the whitened features, less what normals show at the place: (N, H, W)."""
        white = self.whitened(self.embed(images))
        places = F.interpolate(self.places[None], white.shape[-2:], mode="bilinear", align_corners=False)
        return (white - places).square().mean(1).sqrt()


class Subspace(AspectScorer):
    """The highest hundredth of a map of distances from the subspace of normal patches."""

    id = "subspace"

    def build(self) -> nn.Module:
        return SubspaceModel(self.architecture(), LAYERS)

    @torch.no_grad()
    def learn(self, images: Sequence[torch.Tensor], context: Context) -> None:
        moments, placed, total = Moments(), [], self.steps(len(images), context)
        self.model.eval()
        done = len(images)
        for batch in self.batches(images):
            features = self.model.embed(self.normalised(batch, context))
            moments.add(features.permute(0, 2, 3, 1).flatten(0, 2))
            if sum(map(len, placed)) < MOST_PLACED:
                placed.append(F.adaptive_avg_pool2d(features, GRID))
            done += len(batch)
            context.step(done, total)
        self.model.mean, self.model.basis = moments.mean().float(), whitening(moments.covariance(), RIDGE).float()
        self.model.places = agreed(self.model.whitened(torch.cat(placed)))

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = blur(self.model(images)[:, None], BLUR)[:, 0]
        highest = maps.flatten(1).topk(max(1, maps[0].numel() // 100)).values
        return highest.mean(1), maps

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"agreement_of_places": round(float(self.model.places.square().mean().sqrt()), 4)}


class Moments:
    """Mean and covariance of rows that come in parts; memory of one matrix, whatever their number."""

    def __init__(self) -> None:
        self.count = 0
        self.origin, self.sum, self.products = (torch.zeros(0),) * 3

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


def whitening(covariance: torch.Tensor, ridge: float) -> torch.Tensor:
    """Matrix (C, C) that brings rows of a covariance to variances below 1; ``ridge`` in parts of the mean variance."""
    variances, directions = torch.linalg.eigh(covariance)
    variances = variances.clamp_min(0)
    return directions / (variances + ridge * variances.mean() + 1e-12).sqrt()


def agreed(placed: torch.Tensor) -> torch.Tensor:
    """What normals show at each place, shrunk to what they agree on (empirical Bayes).

    Parameters
    ----------
    placed : tensor of shape (M, K, GRID, GRID)
        Features of M normals by place, of mean zero over all places.

    Returns
    -------
    tensor of shape (K, GRID, GRID)
        The means, each channel multiplied by the share of their variance that is not chance: 1 where all normals are
        alike, 0 where places tell nothing.
    """
    means = placed.mean(0)
    if len(placed) < 2:
        return torch.zeros_like(means)
    variance = means.var((1, 2))
    chance = placed.var(0).mean((1, 2)) / len(placed)
    return means * (1 - chance / variance.clamp_min(1e-12)).clamp(0, 1)[:, None, None]
