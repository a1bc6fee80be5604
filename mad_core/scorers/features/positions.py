"""Whether normals lie alike, and a bank of their features by position where they do.

A board in a holder shows the same part at the same place in every picture; a piece of cloth does not.
In the first case a patch is compared with what normals show *there* (after SPADE, Cohen and Hoshen 2020,
https://arxiv.org/abs/2005.02357, and PNI, Bae et al. 2023, https://arxiv.org/abs/2211.12634): a part at
the wrong place is then as strange as one that never occurs.
"""

import torch
import torch.nn.functional as F

from mad_core.scorers.features.neighbours import NearbyBank

GRID = 32
"""Cells a side, in parts of the picture."""
REACH = 1
LOOKED_AT = 24
"""Normals of which it is told whether they lie alike."""
ALIKE = 0.6
"""Normals lie alike if the distance to one another at nearby positions is below this share of that elsewhere."""


def on_grid(features: torch.Tensor) -> torch.Tensor:
    """Features (N, C, H, W) on the grid: (N, C, GRID, GRID)."""
    return features if features.shape[-2:] == (GRID, GRID) else F.adaptive_avg_pool2d(features, GRID)


def cells(grids: torch.Tensor) -> torch.Tensor:
    """Features (M, C, GRID, GRID) of normals by position, (GRID x GRID, M, C)."""
    return grids.flatten(2).permute(2, 0, 1).contiguous()


def bank_of_cells(features: torch.Tensor) -> NearbyBank:
    """A bank of :func:`cells`, every channel weighted alike."""
    return NearbyBank(features, torch.ones(features.shape[0], features.shape[2], device=features.device), REACH)


def nearby_distance(grids: torch.Tensor, bank: NearbyBank) -> torch.Tensor:
    """Distance of each cell of (N, C, GRID, GRID) to the nearest normal cell nearby: (N, GRID, GRID)."""
    return bank.nearest(grids.flatten(2).transpose(1, 2)).view(-1, GRID, GRID)


def likeness(grids: torch.Tensor) -> float:
    """How much nearer normals are to each other at the same position than elsewhere.

    Parameters
    ----------
    grids : tensor of shape (M, C, GRID, GRID)
        Features of at least two normals. Every other one is compared with the rest, as they lie and with the rest
        turned by half a picture in both directions, so that as many candidates are at hand.

    Returns
    -------
    float
        Mean nearest distance nearby over that elsewhere: near 0 where pictures are all but the same, about 1 where
        position tells nothing; 1 where all normals are one picture without structure.
    """
    bank, queries = grids[::2], grids[1::2]
    near = nearby_distance(queries, bank_of_cells(cells(bank))).mean()
    far = nearby_distance(queries, bank_of_cells(cells(bank.roll((GRID // 2, GRID // 2), (2, 3))))).mean()
    return float(near / far) if far > 0 else 1.0
