"""Which test images a run scores."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import Dataset
from mad_core.runs.store.records import EVEN, PROPORTIONAL


def sample_test_images(
    dataset: Dataset,
    subsets: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    sampling: str = PROPORTIONAL,
) -> pd.DataFrame:
    """The test images that a limit leaves, in table order.

    ``limit`` takes that many a subset, drawn by ``seed`` and independent of the other subsets: levels keep their
    shares, so the metrics of a sample are about those of all images, and every level keeps an image. ``EVEN`` takes as
    many of each level, as runs did before they recorded how (``Run.sampling``).
    """
    take = _even if sampling == EVEN else proportional
    parts = [take(dataset.select(split="test", subset=name), limit, seed) for name in subsets or dataset.subsets]
    return pd.concat(parts) if parts else dataset.table.iloc[:0]


def proportional(rows: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    """At most so many rows with a column ``level``: levels keep their shares, and each keeps a row if there is room."""
    if limit is None or len(rows) <= limit:
        return rows
    levels, places = np.unique(rows["level"].to_numpy(), return_inverse=True)
    shares = np.bincount(places) * limit / len(rows)
    counts = np.floor(shares).astype(int)
    if limit >= len(levels):
        counts = np.maximum(counts, 1)
    # What rounding left goes to the largest remainders; what the least of one took comes from the largest levels.
    while counts.sum() < limit:
        counts[np.argmax(shares - counts)] += 1
    while counts.sum() > limit:
        counts[np.argmax(np.where(counts > 1, counts - shares, -np.inf))] -= 1
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(places == place))[:count] for place, count in enumerate(counts)]
    return rows.iloc[np.sort(np.concatenate(chosen))]


def _even(rows: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    if limit is None or len(rows) <= limit:
        return rows
    groups = [np.flatnonzero(rows["level"].to_numpy() == level) for level in sorted(rows["level"].unique())]
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(group) for group in groups]
    # One round takes one image of every level that still has some, until the limit is reached.
    rounds = max(len(group) for group in shuffled)
    order = [group[i] for i in range(rounds) for group in shuffled if i < len(group)]
    return rows.iloc[np.sort(order[:limit])]
