"""Greedy k-centre selection of patch features, with progress and cancel.

Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection", algorithm 1; after a random
projection (Johnson and Lindenstrauss), as there.
"""

from dataclasses import replace

import torch

from mad_core.scorers.contract import Context
from mad_core.scorers.features.neighbours import nearest_anywhere

PROJECTED = 128
HELD_BYTES = 1 << 30
"""Of features that wait for a selection; more of them are thinned as they come."""
PART = 1 << 16
"""Rows that are thinned at once: a selection looks at every row for each that it keeps, so larger parts take longer in
proportion, hours for thousands of normals."""
SPARE = 2
"""Times as many rows stay of a thinned part as its share of the coreset."""
LEAST_SHARE = 256
"""Rows that stay of each part, or as many as the coreset has."""


class CoresetStream:
    """A coreset of more features than fit into memory: parts are thinned as they come, the last choice is among these.

    Where all features fit, it is that of :func:`greedy_coreset` of all of them. After Bachem et al. 2017, "Practical
    coreset constructions for machine learning", section on merge and reduce, https://arxiv.org/abs/1703.06476.

    Parameters
    ----------
    count : int
        Rows of the coreset.
    expected : int
        Rows that will come, about.
    """

    def __init__(self, count: int, expected: int, context: Context) -> None:
        self.count, self.expected, self.context = count, max(1, expected), context
        self.thinned: list[torch.Tensor] = []
        self.waiting: list[torch.Tensor] = []
        self.rows = 0

    def add(self, rows: torch.Tensor) -> None:
        """Take rows (M, C), float32, in."""
        self.waiting.append(rows)
        self.rows += len(rows)
        if sum(part.numel() for part in self.waiting) * 4 >= HELD_BYTES:
            self._thin()

    def _thin(self) -> None:
        waiting = torch.cat(self.waiting)
        self.waiting.clear()
        quiet = replace(self.context, progress=lambda done, total: None)
        for part in waiting.split(PART):
            share = max(-(-SPARE * self.count * len(part) // self.expected), min(self.count, LEAST_SHARE))
            keep = greedy_coreset(part, share, quiet, 0, share)
            self.thinned.append(part[keep.to(part.device)])

    def finish(self, done: int, total: int) -> torch.Tensor:
        """The coreset, (min(count, rows), C); ``done`` and ``total`` as of :func:`greedy_coreset`."""
        if self.thinned and self.waiting:
            self._thin()
        rows = torch.cat(self.thinned or self.waiting)
        self.thinned.clear()
        self.waiting.clear()
        keep = greedy_coreset(rows, self.count, self.context, done, total)
        return rows[keep.to(rows.device)]


def greedy_coreset(
    features: torch.Tensor,
    count: int,
    context: Context,
    done: int,
    total: int,
    *,
    beside: torch.Tensor | None = None,
) -> torch.Tensor:
    """Rows of ``features`` that cover the others.

    Parameters
    ----------
    features : tensor of shape (N, C), float32
    count : int
        How many rows to select; all if N is not larger.
    done, total : int
        Where the fit's progress stands; one step per selected row.
    beside : tensor of shape (M, C), optional
        Rows that are selected already: the first one is the farthest from them.

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
        projection = (torch.randn(channels, PROJECTED, generator=generator) / PROJECTED**0.5).to(features.device)
        features, beside = features @ projection, None if beside is None else beside @ projection
    squares = (features * features).sum(1)
    if beside is None or not len(beside):
        chosen = int(torch.randint(size, (1,), generator=generator))
        nearest = torch.full((size,), torch.inf, device=features.device)
    else:
        nearest = nearest_anywhere(features, beside).square() * features.shape[1]
        chosen = int(nearest.argmax())
    selected = []
    for step in range(count):
        selected.append(chosen)
        distance = squares + squares[chosen] - 2 * (features @ features[chosen])  # 2 * features would be a copy
        nearest = torch.minimum(nearest, distance)
        nearest[chosen] = -torch.inf
        chosen = int(nearest.argmax())
        context.step(done + step + 1, total)
    return torch.tensor(selected)
