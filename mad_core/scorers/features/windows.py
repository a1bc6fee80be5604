"""Extremes in overlapping windows of a picture, compared with those of normals at nearby positions.

A small defect shows in a window's extreme and drowns in its mean. Each channel and position is scaled by what
normals show there. ``GRID`` windows a side, each as wide as two steps of the grid.
"""

from __future__ import annotations

import numpy as np
import torch

from mad_core.scorers.features.filters import blur
from mad_core.scorers.features.neighbours import NearbyBank
from mad_core.scorers.features.positions import cells, nearby_distance


def in_windows(x: torch.Tensor) -> torch.Tensor:
    """The largest of windows four cells wide, two apart and one beyond each border: (C, 2n, 2n) to (C, n, n)."""
    for dim in (1, 2):
        first, second = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
        x, inner = torch.maximum(first, second), first.shape[dim] - 1
        for place, beside in ((1, second.narrow(dim, 0, inner)), (0, first.narrow(dim, 1, inner))):
            held = x.narrow(dim, place, inner)
            torch.maximum(held, beside, out=held)
    return x


def centre_and_spread(windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What normals (M, C, GRID, GRID) show at each place, and by how much they differ there: (C, GRID, GRID) each.

    Both are smoothed over places; half of how the strongest of a picture differ is added to the spread, so that a
    channel that is silent at a place weighs no more than it does elsewhere.
    """
    centre = blur(_median(windows)[None], 1.0)[0]
    spread = blur(_deviation(windows)[None], 1.5)[0] + 0.5 * spread_of_strongest(windows)[:, None, None]
    return centre.contiguous(), spread.contiguous()


def _median(windows: torch.Tensor) -> torch.Tensor:
    """As ``windows.median(0).values``, the lower of two in the middle; on a CPU in a third of the time."""
    middle = (len(windows) - 1) // 2
    return torch.from_numpy(np.partition(windows.cpu().numpy(), middle, axis=0)[middle]).to(windows.device)


def _deviation(windows: torch.Tensor) -> torch.Tensor:
    """As ``windows.std(0)``, to rounding; on a CPU in a third of the time."""
    return (windows - windows.mean(0)).square_().sum(0).div_(len(windows) - 1).sqrt_()


def spread_of_strongest(windows: torch.Tensor) -> torch.Tensor:
    """Deviation (C,) of the strongest of each picture and channel; above zero."""
    return windows.abs().flatten(2).amax(2).std(0) + 0.02


class WindowBank:
    """Windows of normals by position.

    Parameters
    ----------
    windows : tensor of shape (M, C, GRID, GRID)
    centre, spread : tensor of shape (C, GRID, GRID)
        As :func:`centre_and_spread` gives them.
    reach : int
        Cells to each side that count as nearby.
    """

    def __init__(self, windows: torch.Tensor, centre: torch.Tensor, spread: torch.Tensor, reach: int = 1) -> None:
        self.middle = centre.mean((1, 2))[:, None, None]
        weight = (1 / spread**2).flatten(1).T.contiguous()
        self.bank = NearbyBank(cells(windows - self.middle), weight, reach)

    def distance(self, windows: torch.Tensor) -> torch.Tensor:
        """Of each window of (N, C, GRID, GRID) to the nearest of a normal nearby, in spreads: (N, GRID, GRID)."""
        return nearby_distance(windows - self.middle, self.bank)
