"""Browse the images of one subset: join them with scores, filter, sort and page them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.figures import percentile_ranks
from mad_core.runs.store.cuts import SavedCuts
from mad_core.runs.store.tags import ASIDE
from mad_core.scorers.contract import OK

STATES = ("scored", "failed", "not scored")
ORDERS = ("severe first", "normal first", "highest score", "lowest score", "rank difference", "name")
ALL_RANKS = (0, 100)
GROUPS = ("level", "defect")
CALLS = ("lower", "as labelled", "higher")
"""How the level that a run's cuts call an image stands to its label."""


@dataclass(frozen=True)
class Wanted:
    """Which images to show, and in which order.

    Parameters
    ----------
    levels, defects : tuple
        Any of these; empty = all.
    state : str
        One of ``STATES``; empty = all.
    name : str
        Part of the path, upper and lower case alike.
    ranks : (float, float)
        Percentile ranks of the score, 0-100, ends included; images without a score pass only ``ALL_RANKS``.
    apart : float
        Smallest rank difference, percentile points; images without one pass only 0.
    called : tuple of float
        Any of these levels by the cuts kept with the run; empty = all.
    call : str
        One of ``CALLS``; empty = all. Images that no cut calls anything pass only where both are empty.
    order : str
        One of ``ORDERS``.
    least : float or None
        Smallest score; images without a score pass only None.
    tag : str
        One that they have; empty = all that are not set aside.
    region : str
        Only those that are ``marked``, a column of the table, as selected on the map; empty = all.
    group : str
        One of ``GROUPS`` whose images stand together, in the wanted order among themselves; empty = none.
    """

    levels: tuple[float, ...] = ()
    defects: tuple[str, ...] = ()
    state: str = ""
    name: str = ""
    ranks: tuple[float, float] = ALL_RANKS
    apart: float = 0.0
    called: tuple[float, ...] = ()
    call: str = ""
    order: str = ORDERS[0]
    least: float | None = None
    tag: str = ""
    region: str = ""
    group: str = ""


def with_scores(
    images: pd.DataFrame,
    first: pd.DataFrame | None = None,
    second: pd.DataFrame | None = None,
    cuts: SavedCuts | None = None,
) -> pd.DataFrame:
    """Images of one subset with what one or two runs say of them.

    Parameters
    ----------
    images : DataFrame
        Rows of a dataset's table.
    first, second : DataFrame or None
        Run tables (:func:`mad_core.runs.results.run_table`); ranks are taken among ``images`` alone.
    cuts : SavedCuts or None
        Those kept with the first run for this subset.

    Returns
    -------
    DataFrame
        The rows in their order, with ``score`` (first run's, NaN where absent), ``state`` (one of
        ``STATES``), ``rank`` (percentile rank of the score among the images), ``rank_first`` and
        ``rank_second`` (percentile ranks among the images that both runs scored), ``apart``
        (the distance of the two, percentile points) and ``called`` (the level by the cuts, NaN where there is none).
    """
    ids: Any = images["image_id"]
    scores, state = _scores(ids, first)
    others, _ = _scores(ids, second)
    both = np.isfinite(scores) & np.isfinite(others)
    ranks = [percentile_ranks(np.where(both, values, np.nan)) for values in (scores, others)]
    return images.assign(
        score=scores,
        state=state,
        rank=percentile_ranks(scores),
        rank_first=ranks[0],
        rank_second=ranks[1],
        apart=np.abs(ranks[0] - ranks[1]),
        called=cuts.call(scores) if cuts else np.nan,
    )


def select(table: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """The rows of :func:`with_scores` that are wanted, in the wanted order."""
    return passing(in_order(table, wanted), wanted)


def passing(table: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """The rows that pass the filters, in the order in which they come."""
    keep = np.ones(len(table), dtype=bool)
    if wanted.levels:
        keep &= table["level"].isin(wanted.levels).to_numpy()  # NaN among them: images without a level
    if wanted.defects:
        keep &= table["defect"].isin(wanted.defects).to_numpy()
    if wanted.state:
        keep &= (table["state"] == wanted.state).to_numpy()
    if wanted.name:
        keep &= table["template_path"].str.contains(wanted.name, case=False, regex=False).to_numpy(dtype=bool)
    if wanted.ranks != ALL_RANKS:
        keep &= table["rank"].between(*wanted.ranks).to_numpy()
    if wanted.apart > 0:
        keep &= (table["apart"] >= wanted.apart).to_numpy()
    if wanted.called:
        keep &= table["called"].isin(wanted.called).to_numpy()
    if wanted.call:
        sides = {"lower": table["called"] < table["level"], "higher": table["called"] > table["level"]}
        keep &= sides.get(wanted.call, table["called"] == table["level"]).to_numpy()  # never true without a level
    if wanted.least is not None:
        keep &= (table["score"] >= wanted.least).to_numpy()
    if wanted.region:
        keep &= table["marked"].to_numpy(dtype=bool)
    if "tags" in table:
        keep &= np.array(
            [wanted.tag in tags if wanted.tag else ASIDE not in tags for tags in table["tags"]], dtype=bool
        )
    kept: Any = table if keep.all() else table[keep]
    return kept


def in_order(table: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """The rows in the wanted order and groups.

    Images without the number that orders them come last; equal ones follow in the order of their paths.
    """
    return _together(_ordered(table, wanted.order), wanted)


def _together(table: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """Images of a level together, the most severe first unless normal ones lead; of a defect by its name, none last."""
    if not wanted.group:
        return table
    keys: Any = table[wanted.group]
    rising = wanted.group == "defect" or wanted.order == "normal first"
    return table.loc[keys.sort_values(ascending=rising, kind="stable", na_position="last").index]


def page_count(images: int, size: int) -> int:
    """Pages that so many images need; at least one."""
    return max(1, -(-images // size))


def page_rows(table: pd.DataFrame, page: int, size: int) -> pd.DataFrame:
    """The rows of one page, counted from 1."""
    return table.iloc[(page - 1) * size : page * size]


def _scores(ids: pd.Series, run: pd.DataFrame | None) -> tuple[np.ndarray, np.ndarray]:
    """Scores and states of images in a run; images that it was not asked for are not scored."""
    if run is None:
        return np.full(len(ids), np.nan), np.full(len(ids), "not scored", dtype=object)
    scored: Any = run.set_index("image_id")[["score", "status"]].reindex(ids)
    status = scored["status"].fillna("waiting").to_numpy()
    state = np.select([status == "waiting", status == OK], ["not scored", "scored"], "failed")
    return scored["score"].to_numpy(dtype=np.float64), state


def _ordered(table: pd.DataFrame, order: str) -> pd.DataFrame:
    column, ascending = {
        "severe first": ("level", False),
        "normal first": ("level", True),
        "highest score": ("score", False),
        "lowest score": ("score", True),
        "rank difference": ("apart", False),
        "name": ("template_path", True),
    }[order]
    by = list(dict.fromkeys((column, "template_path")))
    keys: Any = table[by]
    return table.loc[keys.sort_values(by, ascending=[ascending, True][: len(by)], na_position="last").index]
