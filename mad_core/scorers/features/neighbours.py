"""Distances to the nearest normal features, over nearby positions or over all of them. Always float32."""

import torch

_AT_ONCE = {"cpu": 1 << 18}
"""Distances computed at once: on a CPU few enough that they stay near the processor."""
_AT_ONCE_ELSEWHERE = 1 << 26


def shifted(grid: int, down: int, right: int) -> torch.Tensor:
    """Flat indices of the cells ``down`` and ``right`` of every cell of a square grid, borders repeated."""
    rows = (torch.arange(grid) + down).clamp(0, grid - 1)
    columns = (torch.arange(grid) + right).clamp(0, grid - 1)
    return (rows[:, None] * grid + columns[None, :]).flatten()


class NearbyBank:
    """Normal features by position: a cell is compared with the same and the adjacent cells of every normal image.

    Distances are weighted per position and channel, and computed as ``sum w q^2 - 2 sum (w q) b + sum w b^2``, so
    that one product a position does the work: the normals there, times the cells of all images that look there.

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
        self.weight = weight
        self.columns = bank.transpose(1, 2).contiguous()
        positions, device = torch.arange(len(bank)), bank.device
        grid, span = round(len(bank) ** 0.5), range(-reach, reach + 1)
        seen = torch.stack([shifted(grid, down, right) for down in span for right in span], 1)
        self.asking = torch.stack([shifted(grid, -down, -right) for down in span for right in span], 1).to(device)
        # Beyond the border a cell sees nothing new: it looks at its own position once more.
        inside = self.asking.cpu().gather(0, seen) == positions[:, None]
        self.seen = torch.where(inside, seen, positions[:, None]).to(device)
        self.place = torch.where(inside, torch.arange(seen.shape[1]), seen.shape[1] // 2).to(device)
        squares = bank * bank
        self.constant = torch.stack(
            [torch.einsum("pmc,pc->pm", squares, weight[cells]) for cells in self.asking.unbind(1)], 1
        )

    @property
    def bank(self) -> torch.Tensor:
        """The features it was made of, (P, M, C)."""
        return self.columns.transpose(1, 2).contiguous()

    def nearest(self, features: torch.Tensor) -> torch.Tensor:
        """Root mean squared weighted distance of features (N, P, C) to their nearest neighbour: (N, P)."""
        query = features.transpose(0, 1).contiguous()  # P, N, C
        weighted = query * self.weight[:, None]
        own = (weighted * query).sum(2)  # P, N
        weighted = -2 * weighted
        places, normals = self.asking.shape[1], self.columns.shape[2]
        products = _AT_ONCE.get(features.device.type, _AT_ONCE_ELSEWHERE)
        at_once = max(1, products // (places * len(features) * normals))
        best = torch.cat(
            [
                torch.bmm(weighted[asking].flatten(1, 2), columns)
                .view(len(asking), places, len(features), normals)
                .add_(constant[:, :, None])
                .amin(3)
                for asking, columns, constant in zip(
                    self.asking.split(at_once), self.columns.split(at_once), self.constant.split(at_once), strict=True
                )
            ]
        )  # P, S, N: by the position of the normals and from where it is looked at
        nearest = best[self.seen, self.place].amin(1)
        return ((own + nearest).clamp_min(0) / features.shape[2]).sqrt().T


def nearest_anywhere(features: torch.Tensor, bank: torch.Tensor, chunk: int = 2048) -> torch.Tensor:
    """Root mean squared distance of features (N, C) to the nearest row of ``bank`` (M, C): (N,)."""
    norms = (bank * bank).sum(1)
    found = []
    for part in features.split(chunk):
        squared = (part * part).sum(1) + (norms - 2 * part @ bank.T).amin(1)
        found.append((squared.clamp_min(0) / features.shape[1]).sqrt())
    return torch.cat(found) if found else features.new_zeros(0)
