"""Residual of patch features beside the subspace that normal ones span, and fine structure that no normal shows.

After SubspaceAD, https://arxiv.org/abs/2602.23013: a principal component analysis of the patch features of normals, and
what a patch has beside the components that hold most of their variance. What differs: the features are those of a
convolutional backbone that needs no download, from its coarse layers, and pictures keep their aspect. Coarse layers see
what a thing is and miss a hairline, so a second, fine part stands beside: the extremes of the backbone's first layer,
compared with those of normals at nearby places. Both are brought to one scale by what normals score that were left out.
Nothing is trained: one pass over the normals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import timm
import torch
from torch import nn
from torch.nn import functional as F

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.aspect_features import AspectScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.filters import blur, strongest_in_cells
from mad_core.scorers.features.frozen import patches
from mad_core.scorers.features.positions import GRID
from mad_core.scorers.features.windows import WindowBank, centre_and_spread, in_windows

LAYERS = {weights.LITE: (3, 4), weights.FORMULA: (2, 3)}
"""The two coarsest layers of each backbone; on real pictures finer ones see light and grain."""
SHARE, FINE_SHARE = 0.1, 0.05
"""Of the cells of either part's map whose mean is its score."""
BLUR = 1.0
MOST_COMPARED = 128
"""Normals whose fine structure is kept, and whose own scores say how far normals reach."""
FEW = 8
"""With fewer normals each is left out by itself, not half of them at once."""
EDGE = 0.99
"""Share of the cells of normals that lie below 1 in a map of both parts."""
LEAST_SCORE, LEAST_DEVIATION = 1e-6, 0.02
"""Of a part, and of the logarithms of what normals score: normals without any difference divide by something."""


class SubspaceModel(nn.Module):
    """Patch features, and what of them lies beside the subspace of the normals; windows, and their distance to normals.

    ``normals`` (2, 3) holds mean and deviation of the logarithm of what normals score and the ``EDGE`` of their cells,
    of the residual and of the fine part.
    """

    mean: torch.Tensor
    beside: torch.Tensor
    windows: torch.Tensor
    normals: torch.Tensor

    def __init__(self, backbone: str, *, layers: Sequence[int]) -> None:
        super().__init__()
        indices = [layer - 1 for layer in layers]
        self.feature_extractor: Any = timm.create_model(
            backbone, pretrained=True, features_only=True, out_indices=indices
        )
        for name in ("mean", "beside", "windows", "normals"):
            self.register_buffer(name, torch.zeros(0))
        for name in ("count", "moment_mean", "moment_covariance"):  # with them further normals can join
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.bank: WindowBank | None = None

    def layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features (N, C, H, W) of normalised images, a tensor a layer."""
        return self.feature_extractor(images)

    def residuals(self, features: torch.Tensor) -> torch.Tensor:
        return beside_length(features, self.mean, self.beside)

    def distances(self, windows: torch.Tensor) -> torch.Tensor:
        """Of windows (N, C, GRID, GRID) to the nearest of normals nearby: (N, GRID, GRID)."""
        if self.bank is None:
            self.bank = bank_of(self.windows)
        return self.bank.distance(windows)


class Subspace(AspectScorer):
    """The mean of the highest cells of a map of residuals, and of one of fine structure; see the module."""

    id = "subspace"
    anywhere: Mapping[str, Any] = {"fine": 0.0}
    """In tiles of a picture places say nothing, and the fine part compares by place."""

    @property
    def fine(self) -> float:
        """Weight of the fine part; 0: none."""
        return float(self.parameters["fine"])

    def build(self) -> nn.Module:
        coarse = LAYERS[self.architecture()]
        return SubspaceModel(self.architecture(), layers=(1, *coarse) if self.fine else coarse)

    @torch.no_grad()
    def learn(self, images: Sequence[torch.Tensor], context: Context) -> None:
        kept = self._gather(images, Moments(), context, self.steps(len(images), context))
        if self.fine:
            self.model.windows = torch.cat([one.windows for one in kept])
            self.model.normals = self._left_out(kept, context).to(self.model.mean.device)

    def _gather(
        self, images: Sequence[torch.Tensor], moments: Moments, context: Context, total: int
    ) -> list[Described]:
        """Take the patches of normals in, find the subspace of all that were taken in; what is kept to compare."""
        done, kept = len(images), list[Described]()
        compared = drawn(len(images), context) if self.fine else set()
        self.model.eval()
        for batch in self.batches(images):
            described = self._described(self.normalised(batch, context))
            moments.add(rows(described.features))
            kept += [described[k] for k in range(len(batch)) if done - len(images) + k in compared]
            done += len(batch)
            context.step(done, total)
        model = self.model
        model.count, model.moment_mean = torch.tensor(moments.count), moments.mean()
        model.moment_covariance = moments.covariance()
        model.mean = model.moment_mean.float()
        model.beside = directions_beside(model.moment_covariance, self.parameters["variance"]).float()
        return kept

    @torch.no_grad()
    def add_normals(self, normals: Sequence[Item], context: Context) -> None:
        """Further normals join both parts; what left-out normals score stays as it was measured at the fit."""
        total = 2 * len(normals)
        images = self.read_further(normals, context, total)
        moments = Moments.of(self.model.count, self.model.moment_mean, self.model.moment_covariance)
        kept = self._gather(images, moments, context, total)
        if self.fine:
            windows = torch.cat([self.model.windows, *(one.windows for one in kept)])
            self.model.windows, self.model.bank = windows[:MOST_COMPARED], None

    def _described(self, images: torch.Tensor) -> Described:
        layers = self.model.layers(images)
        if not self.fine:
            return Described(patches(layers), layers[0].new_zeros(len(images), 0))
        return Described(patches(layers[1:]), extremes(layers[0]))

    def _left_out(self, kept: Sequence[Described], context: Context) -> torch.Tensor:
        """What :class:`SubspaceModel` calls ``normals``: each scored by what others of them span and show."""
        coarse: list[torch.Tensor] = []
        fine: list[torch.Tensor] = []
        for fold in folds(len(kept), context):
            moments, others = Moments(), [one for k, one in enumerate(kept) if k not in fold]
            for one in others:
                moments.add(rows(one.features))
            mean, beside = subspace(moments, self.parameters["variance"])
            bank = bank_of(torch.cat([one.windows for one in others]))
            for one in (kept[k] for k in fold):
                coarse.append(smooth(beside_length(one.features, mean, beside)))
                fine.append(bank.distance(one.windows))
            context.check_cancel()
        return torch.stack([reach(coarse, SHARE), reach(fine, FINE_SHARE)])

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        described = self._described(images)
        coarse = smooth(self.model.residuals(described.features))
        if not self.fine:
            return highest(coarse, SHARE), coarse
        fine = self.model.distances(described.windows)
        (mean, deviation, edge), (fine_mean, fine_deviation, fine_edge) = self.model.normals
        scores = (logarithm(highest(coarse, SHARE)) - mean) / deviation
        scores += self.fine * (logarithm(highest(fine, FINE_SHARE)) - fine_mean) / fine_deviation
        shape = max(GRID, coarse.shape[1]), max(GRID, coarse.shape[2])
        return scores, enlarged(coarse, shape) / edge + self.fine * enlarged(fine, shape) / fine_edge

    def facts(self) -> dict[str, Any]:
        channels, left = self.model.beside.shape
        return super().facts() | {
            "components": channels - left,
            "channels": channels,
            "normals_compared": len(self.model.windows),
        }


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of pictures: patch features (N, C, H, W) and windows (N, C, GRID, GRID)."""

    features: torch.Tensor
    windows: torch.Tensor

    def __getitem__(self, number: int) -> Described:
        one = slice(number, number + 1)
        return Described(self.features[one].clone(), self.windows[one].clone())  # a view would keep its whole batch


def drawn(count: int, context: Context) -> set[int]:
    """Numbers of at most ``MOST_COMPARED`` of the normals, by the run's seed."""
    return set(context.rng().permutation(count)[:MOST_COMPARED].tolist())


def folds(count: int, context: Context) -> list[set[int]]:
    """Two halves of so many normals by the run's seed; of ``FEW`` each by itself."""
    parts = 2 if count >= FEW else count
    order = context.rng().permutation(count)
    return [set(order[part::parts].tolist()) for part in range(parts)]


def extremes(layer: torch.Tensor) -> torch.Tensor:
    """The strongest positive and negative value of each channel in each window, by the picture's own deviations.

    Parameters
    ----------
    layer : tensor of shape (N, C, H, W)

    Returns
    -------
    tensor of shape (N, 2 C, GRID, GRID)
    """
    centred = layer - layer.mean((2, 3), keepdim=True)
    own = centred / (layer.std((2, 3), keepdim=True) + 1e-3)
    strongest = strongest_in_cells(torch.cat([own, -own], 1), 2 * GRID)
    return in_windows(strongest.flatten(0, 1)).view(*strongest.shape[:2], GRID, GRID)


def bank_of(windows: torch.Tensor) -> WindowBank:
    """Windows (M, C, GRID, GRID) of normals, to compare with."""
    return WindowBank(windows, *centre_and_spread(windows))


def rows(features: torch.Tensor) -> torch.Tensor:
    """Patch features (N, C, H, W) as rows (N H W, C)."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def beside_length(features: torch.Tensor, mean: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
    """Length of what each patch of (N, C, H, W) has along the directions ``beside``, (N, H, W)."""
    return torch.einsum("nchw,ck->nkhw", features - mean[:, None, None], beside).square().sum(1).sqrt()


def smooth(maps: torch.Tensor) -> torch.Tensor:
    return blur(maps[:, None], BLUR)[:, 0]


def highest(maps: torch.Tensor, share: float) -> torch.Tensor:
    """Mean of the highest cells of maps (N, H, W), (N,)."""
    return maps.flatten(1).topk(max(1, round(share * maps[0].numel()))).values.mean(1)


def logarithm(scores: torch.Tensor) -> torch.Tensor:
    return scores.clamp_min(LEAST_SCORE).log()


def reach(maps: Sequence[torch.Tensor], share: float) -> torch.Tensor:
    """How far maps (1, H, W) of normals reach, (3,): see :class:`SubspaceModel`."""
    scores = logarithm(torch.cat([highest(one, share) for one in maps]))
    edge = np.quantile(torch.cat([one.flatten() for one in maps]).cpu().numpy(), EDGE)
    return torch.tensor([scores.mean(), scores.std().clamp_min(LEAST_DEVIATION), max(float(edge), LEAST_SCORE)])


def enlarged(maps: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Maps (N, H, W) interpolated to a shape."""
    return F.interpolate(maps[:, None], shape, mode="bilinear", align_corners=False)[:, 0]


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


def subspace(moments: Moments, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (C,) and the :func:`directions_beside` (C, K), float32."""
    return moments.mean().float(), directions_beside(moments.covariance(), share).float()


def directions_beside(covariance: torch.Tensor, share: float) -> torch.Tensor:
    """Directions (C, K) beside the principal components that hold ``share`` of the variance, at least one."""
    variances, directions = torch.linalg.eigh(covariance)  # ascending
    held = variances.clamp_min(0).flip(0).cumsum(0)
    components = int((held < share * held[-1]).sum()) + 1
    return directions[:, : max(1, len(variances) - components)].contiguous()
