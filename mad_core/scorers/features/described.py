"""A picture in numbers for a learner of severity: as a whole, at its most anomalous places, and its map of departures.

Departures are from the nearest patch of a normal picture, in frozen features (after Roth et al. 2022, PatchCore,
https://arxiv.org/abs/2106.08265): not only how far a patch lies from what is normal, but in which direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.ndimage import label
from torch.nn import functional as F

from mad_core.scorers.contract import Context
from mad_core.scorers.features.frozen import patches, pooled
from mad_core.scorers.features.looks import DEPARTURE, EXTENT, PLACE, WHOLE

LAYERS = (2, 3, 4)
"""Of the backbone: strides 8, 16 and 32. The last two make the patches: finer ones see light and grain."""
BANK = 4000
"""Patches of normals that are kept, drawn evenly from all of them."""
HIGHEST = 0.01
"""Share of a picture's patches that make its most anomalous place; three at least."""
HIGH = (0.95, 0.99, 0.999)
"""Quantiles of the normals' departures above which a patch counts as anomalous, for area, mass and count."""
LEAST = 1e-6


@dataclass(frozen=True)
class PatchBank:
    """Patches of normals.

    Parameters
    ----------
    rows : tensor of shape (M, C)
        Standardised and weighted, so that each layer counts alike.
    owner : tensor of shape (M,), int64
        Number of the normal picture that each is of.
    centre, scale : tensor of shape (C,)
        What standardises a patch.
    thresholds : tensor of shape (3,)
        Quantiles ``HIGH`` of the normals' own departures, each from the other normals.
    """

    rows: torch.Tensor
    owner: torch.Tensor
    centre: torch.Tensor
    scale: torch.Tensor
    thresholds: torch.Tensor

    def nearest(self, queries: torch.Tensor, without: int = -1) -> tuple[torch.Tensor, torch.Tensor]:
        """Distances (P,) of standardised patches (P, C) to the nearest row, and its number; no row of ``without``."""
        squared = (queries * queries).sum(1, keepdim=True) + (self.rows * self.rows).sum(1) - 2 * queries @ self.rows.T
        if without >= 0:
            squared[:, self.owner == without] = torch.inf
        least, number = squared.min(1)
        return least.clamp_min(0).sqrt(), number

    def standard(self, features: torch.Tensor) -> torch.Tensor:
        """Patches (C, H, W) as rows (H W, C)."""
        return (features.flatten(1).T - self.centre) / self.scale


def make_bank(normals: Sequence[Sequence[torch.Tensor]], context: Context) -> PatchBank:
    """From the layers, (C_l, H_l, W_l) each, of at least two normal pictures."""
    generator = context.torch_generator()
    each = max(1, BANK // len(normals))
    drawn, owner = [], []
    for number, layers in enumerate(normals):
        features = _patches(layers).flatten(1).T
        keep = torch.randperm(len(features), generator=generator)[:each].to(features.device)
        drawn.append(features[keep])
        owner.append(torch.full((len(keep),), number, device=features.device))
    rows = torch.cat(drawn)
    channels = [layers.shape[0] for layers in normals[0][-2:]]
    alike = torch.cat([torch.full((count,), count**0.5, device=rows.device) for count in channels])
    centre, scale = rows.mean(0), (rows.std(0) + 1e-3) * alike
    bank = PatchBank((rows - centre) / scale, torch.cat(owner), centre, scale, rows.new_zeros(len(HIGH)))
    own = [bank.nearest(bank.standard(_patches(layers)), number)[0] for number, layers in enumerate(normals)]
    quantiles = np.quantile(torch.cat(own).cpu().numpy(), HIGH)
    return PatchBank(bank.rows, bank.owner, centre, scale, rows.new_tensor(quantiles))


def described(layers: Sequence[torch.Tensor], bank: PatchBank, without: int = -1) -> dict[str, np.ndarray]:
    """One picture by :data:`mad_core.scorers.features.looks.GROUPS`, float64 vectors.

    Parameters
    ----------
    layers : sequence of tensors (C_l, H_l, W_l)
        Those of ``LAYERS``.
    bank : PatchBank
    without : int
        Number of the normal picture that this is, so that it does not find itself.
    """
    groups, surface = described_tensors(layers, bank, without)
    numbers = {name: values.double().cpu().numpy() for name, values in groups.items()}
    return numbers | {EXTENT: extent(surface.cpu().numpy().astype(np.float64), bank.thresholds.cpu().numpy())}


def described_tensors(
    layers: Sequence[torch.Tensor], bank: PatchBank, without: int = -1
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """As :func:`described`, without the extent, and the map of departures (H, W)."""
    patches = bank.standard(features := _patches(layers))
    distance, number = bank.nearest(patches, without)
    surface = distance.view(features.shape[1:])
    smooth = F.avg_pool2d(surface[None, None], 3, 1, 1, count_include_pad=False).flatten()
    places = smooth.topk(min(len(smooth), max(3, int(HIGHEST * len(smooth))))).indices
    deep = F.interpolate(layers[-1][None], surface.shape, mode="nearest")[0].flatten(1).T
    groups = {
        WHOLE: pooled([layer[None] for layer in layers])[0],
        PLACE: torch.cat([patches[places].mean(0), deep[places].mean(0)]),
        DEPARTURE: (patches - bank.rows[number])[places].mean(0),
    }
    return groups, surface


def extent(surface: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How much of a map of departures is high: levels of it, then area, mass and number of spots above thresholds.

    Logarithms, as severities go with ratios.

    Parameters
    ----------
    surface : ndarray of shape (H, W)
    thresholds : ndarray of shape (T,)

    Returns
    -------
    ndarray of shape (6 + 3 T,)
    """
    ordered = np.sort(surface.ravel())[::-1]
    heads = [float(ordered[: max(1, len(ordered) // part)].mean()) for part in (len(ordered), 100, 20, 5, 1)]
    numbers = [*heads, float(surface.std())]
    for threshold in thresholds:
        high = surface > threshold
        _, regions = label(high)  # type: ignore[misc]
        mass = float(np.clip(surface - threshold, 0, None).mean())
        numbers += [float(high.mean()) + 1e-4, mass + 1e-4 * float(threshold), regions + 1.0]
    return np.log(np.array(numbers) + LEAST)


def extent_tensor(surface: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """As :func:`extent` of a map (H, W) with few cells, in torch: for graphs that are exported."""
    count = surface.numel()
    ordered = surface.flatten().sort(descending=True).values
    numbers = [ordered[: max(1, count // part)].mean() for part in (count, 100, 20, 5, 1)]
    numbers.append(surface.std(correction=0))
    joined = _joined(*surface.shape)
    for threshold in thresholds:
        high = surface > threshold
        mass = (surface - threshold).clamp_min(0).mean() + 1e-4 * threshold
        numbers += [high.float().mean() + 1e-4, mass, _regions(high.flatten().float(), joined) + 1.0]
    return (torch.stack(numbers) + LEAST).log()


def _joined(height: int, width: int) -> torch.Tensor:
    """Which of the cells of a grid touch at a side or are the same, float32 (H W, H W)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    return ((rows[:, None] - rows).abs() + (columns[:, None] - columns).abs() <= 1).float()


def _regions(high: torch.Tensor, joined: torch.Tensor) -> torch.Tensor:
    """Number of regions of marked cells (H W,), 0 or 1: of cells that reach no marked one before them."""
    reached = joined * high[:, None] * high
    for _ in range(max(1, (len(high) - 1).bit_length())):
        reached = (reached @ reached).clamp_max(1)
    return (high * (reached.tril(-1).sum(1) == 0)).sum()


def _patches(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Patch features (C, H, W) of one picture, on the grid of the last but one layer."""
    return patches([layer[None] for layer in layers[-2:]])[0]


def bank_state(bank: PatchBank) -> dict[str, torch.Tensor]:
    """The bank as named tensors, for a fitted state."""
    return {name: getattr(bank, name) for name in PatchBank.__dataclass_fields__}


def bank_of(tensors: Mapping[str, torch.Tensor], device: Any) -> PatchBank:
    """The inverse of :func:`bank_state`."""
    return PatchBank(**{name: tensors[name].to(device) for name in PatchBank.__dataclass_fields__})
