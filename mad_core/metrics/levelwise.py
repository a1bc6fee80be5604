"""Detection level by level, with bootstrap draws that are paired with those of the rank metrics."""

import numpy as np

from mad_core.metrics.ranking import score_table, told_apart


def bootstrap_level_aurocs(
    levels: np.ndarray, scores: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> dict[float, np.ndarray]:
    """AUROC of level 0 against each other level, in stratified resamples.

    Draw ``k`` takes the same images as draw ``k`` of :func:`mad_core.metrics.intervals.bootstrap` with the same levels
    and seed, whatever the scores are.

    Parameters
    ----------
    levels, scores : ndarray of shape (n,)
        Scores are finite.
    draws, seed : int

    Returns
    -------
    dict of level to ndarray of shape (draws,)
        Empty where level 0 has no image.
    """
    _, present = score_table(levels, scores)
    if not len(present) or present[0] != 0:
        return {}
    rows = np.searchsorted(present, told_apart(levels))
    values, ranks = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    ranks_of = [ranks[rows == i] for i in range(len(present))]
    rng = np.random.default_rng(seed)
    aurocs = np.empty((len(present) - 1, draws))
    for draw in range(draws):
        table = np.stack([np.bincount(r[rng.integers(0, len(r), len(r))], minlength=len(values)) for r in ranks_of])
        below2 = 2 * (np.cumsum(table[0]) - table[0]) + table[0]
        aurocs[:, draw] = (table[1:] @ below2) / (2 * table[0].sum() * table[1:].sum(axis=1))
    return {float(level): row for level, row in zip(present[1:], aurocs, strict=True)}
