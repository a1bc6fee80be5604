"""Images that show what a scorer gets wrong: a mild one that it puts high, a severe one that it puts low."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mad_core.figures import percentile_ranks


def most_overrated(candidates: Collection[str], tables: Sequence[pd.DataFrame]) -> str | None:
    """The candidate that the first scorer puts furthest above where the other ones put it.

    Parameters
    ----------
    candidates : collection of str
        Image ids.
    tables : sequence of DataFrame
        One a scorer, on one subset, with ``image_id`` and ``score`` (NaN where there is none). Scorers without a
        finite score of any candidate are passed over; with one left, its highest score decides.

    Returns
    -------
    str or None
        An image that all of them scored; None where there is none.
    """
    leans = _leans(candidates, tables)
    return None if leans.empty else str(leans.idxmax())


def most_underrated(candidates: Collection[str], tables: Sequence[pd.DataFrame]) -> str | None:
    """The candidate that the first scorer puts furthest below where the other ones put it; see above."""
    leans = _leans(candidates, tables)
    return None if leans.empty else str(leans.idxmin())


def _leans(candidates: Collection[str], tables: Sequence[pd.DataFrame]) -> pd.Series:
    """Percentile rank by the first scorer less the mean of the ranks by the others, in order of the ids."""
    ids = sorted(candidates)
    ranks = [of_run for of_run in (_ranks(table, ids) for table in tables) if np.isfinite(of_run).any()]
    if not ranks:
        return pd.Series(dtype=np.float64)
    others = np.mean(ranks[1:], axis=0) if len(ranks) > 1 else 0.0
    return pd.Series(ranks[0] - others, index=pd.Index(ids)).dropna()


def _ranks(table: pd.DataFrame, ids: list[str]) -> np.ndarray:
    """Percentile ranks of these images among all of the table; NaN where there is no score."""
    ranks = pd.Series(percentile_ranks(table["score"]), index=pd.Index(table["image_id"]))
    return ranks.reindex(ids).to_numpy(dtype=np.float64)


def shares_around(table: pd.DataFrame, image_id: str, levels: Collection[float]) -> tuple[float, float] | None:
    """Shares of the scored images of these levels that score below an image, and above it.

    Parameters
    ----------
    table : DataFrame
        ``image_id``, ``level`` and ``score``, of one scorer on one subset.

    Returns
    -------
    (float, float) or None
        Each 0-1, equal scores in neither; None where the image or all of the levels' images have no score.
    """
    own: Any = table.loc[table["image_id"] == image_id, "score"]
    others: Any = table.loc[table["level"].isin(list(levels)), "score"].dropna()
    if own.empty or not np.isfinite(own.iloc[0]) or others.empty:
        return None
    return float((others < own.iloc[0]).mean()), float((others > own.iloc[0]).mean())
