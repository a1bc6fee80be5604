"""Greedy k-centre selection of patch features, with progress and cancel.

Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection", algorithm 1; after a random
projection (Johnson and Lindenstrauss), as there.
"""

import torch

from mad_core.scorers.contract import Context

PROJECTED = 128


def greedy_coreset(features: torch.Tensor, count: int, context: Context, done: int, total: int) -> torch.Tensor:
    """Rows of ``features`` that cover the others.

    Parameters
    ----------
    features : tensor of shape (N, C), float32
    count : int
        How many rows to select; all if N is not larger.
    done, total : int
        Where the fit's progress stands; one step per selected row.

    Returns
    -------
    tensor of shape (min(count, N),), int64
        Distinct indices, in order of selection.
    """
    generator = context.torch_generator()
    size, channels = features.shape
    if count >= size:
        return torch.arange(size)
    if channels > PROJECTED:
        projection = torch.randn(channels, PROJECTED, generator=generator) / PROJECTED**0.5
        features = features @ projection.to(features.device)
    squares = (features * features).sum(1)
    chosen = int(torch.randint(size, (1,), generator=generator))
    nearest = torch.full((size,), torch.inf, device=features.device)
    selected = []
    for step in range(count):
        selected.append(chosen)
        distance = squares + squares[chosen] - 2 * (features @ features[chosen])  # 2 * features would be a copy
        nearest = torch.minimum(nearest, distance)
        nearest[chosen] = -torch.inf
        chosen = int(nearest.argmax())
        context.step(done + step + 1, total)
    return torch.tensor(selected)
