"""Distances to the nearest normal features, over nearby positions or over all of them. Always float32."""

from __future__ import annotations

import torch


def shifted(grid: int, down: int, right: int) -> torch.Tensor:
    """Flat indices of the cells ``down`` and ``right`` of every cell of a square grid, borders repeated."""
    rows = (torch.arange(grid) + down).clamp(0, grid - 1)
    columns = (torch.arange(grid) + right).clamp(0, grid - 1)
    return (rows[:, None] * grid + columns[None, :]).flatten()


class NearbyBank:
    """Normal features by position: a cell is compared with the same and the adjacent cells of every normal image.

    Distances are weighted per position and channel, and computed as
    ``sum w q^2 - 2 sum (w q) b + sum w b^2`` so that one batched product does the work.

    Parameters
    ----------
    bank : tensor of shape (P, M, C), float32
        Features of M normal images at P = grid x grid positions.
    weight : tensor of shape (P, C), float32
        Inverse squared scale of each channel at each position.
    reach : int
        Cells to each side that count as nearby.
    """

    def __init__(self, bank: torch.Tensor, weight: torch.Tensor, reach: int) -> None:
        self.bank, self.weight = bank, weight
        grid = round(bank.shape[0] ** 0.5)
        span = range(-reach, reach + 1)
        self.shifts = [shifted(grid, down, right).to(bank.device) for down in span for right in span]
        squares = bank * bank
        self.constant = [torch.einsum("pmc,pc->pm", squares[s], weight) for s in self.shifts]

    def nearest(self, features: torch.Tensor) -> torch.Tensor:
        """Root mean squared weighted distance of features (N, P, C) to their nearest neighbour: (N, P)."""
        query = features.permute(1, 2, 0)  # P, C, N
        weighted = query * self.weight[:, :, None]
        own = (weighted * query).sum(1)  # P, N
        best = torch.full_like(own, torch.inf)
        for shift, constant in zip(self.shifts, self.constant, strict=True):
            product = torch.bmm(self.bank[shift], weighted)  # P, M, N
            best = torch.minimum(best, (constant[:, :, None] - 2 * product).amin(1))
        return ((own + best).clamp_min(0) / features.shape[2]).sqrt().T


def nearest_anywhere(features: torch.Tensor, bank: torch.Tensor, chunk: int = 2048) -> torch.Tensor:
    """Root mean squared distance of features (N, C) to the nearest row of ``bank`` (M, C): (N,)."""
    norms = (bank * bank).sum(1)
    found = []
    for part in features.split(chunk):
        squared = (part * part).sum(1) + (norms - 2 * part @ bank.T).amin(1)
        found.append((squared.clamp_min(0) / features.shape[1]).sqrt())
    return torch.cat(found) if found else features.new_zeros(0)
