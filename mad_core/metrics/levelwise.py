"""Detection level by level, with bootstrap draws that are paired with those of the rank metrics."""

from typing import Any

import numpy as np

from mad_core.metrics.intervals import drawn_tables
from mad_core.metrics.ranking import score_table


def bootstrap_level_aurocs(
    levels: np.ndarray, scores: np.ndarray, *, draws: int = 1000, seed: int = 0, groups: Any = None
) -> dict[float, np.ndarray]:
    """AUROC of level 0 against each other level, in stratified resamples.

    Draw ``k`` takes the same images as draw ``k`` of :func:`mad_core.metrics.intervals.bootstrap` with the same levels
    and seed, whatever the scores are.

    Parameters
    ----------
    levels, scores : ndarray of shape (n,)
        Scores are finite.
    draws, seed : int
    groups : array of shape (n,), optional
        As there.

    Returns
    -------
    dict of level to ndarray of shape (draws,)
        Empty where level 0 has no image; NaN where a draw of groups has none of a level.
    """
    _, present = score_table(levels, scores)
    if not len(present) or present[0] != 0:
        return {}
    aurocs = np.empty((len(present) - 1, draws))
    for draw, table in enumerate(drawn_tables(levels, scores, draws, seed, groups)):
        below2 = 2 * (np.cumsum(table[0]) - table[0]) + table[0]
        with np.errstate(invalid="ignore"):
            aurocs[:, draw] = (table[1:] @ below2) / (2 * table[0].sum() * table[1:].sum(axis=1))
    return {float(level): row for level, row in zip(present[1:], aurocs, strict=True)}
