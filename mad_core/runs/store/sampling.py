"""Which test images a run scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import Dataset


def sample_test_images(
    dataset: Dataset, subsets: Sequence[str] = (), limit: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """The test images a run scores, in table order.

    ``limit`` takes that many a subset, spread evenly over the levels (a level with fewer gives
    all it has), drawn by ``seed`` and independent of the other subsets.
    """
    parts = [_stratified(dataset.select(split="test", subset=name), limit, seed) for name in subsets or dataset.subsets]
    return pd.concat(parts) if parts else dataset.table.iloc[:0]


def _stratified(rows: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    if limit is None or len(rows) <= limit:
        return rows
    groups = [np.flatnonzero(rows["level"].to_numpy() == level) for level in sorted(rows["level"].unique())]
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(group) for group in groups]
    # One round takes one image of every level that still has some, until the limit is reached.
    rounds = max(len(group) for group in shuffled)
    order = [group[i] for i in range(rounds) for group in shuffled if i < len(group)]
    return rows.iloc[np.sort(order[:limit])]
