"""Cut-points between levels, kept with a run: one row for each subset, the newest choice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mad_core.errors import InputError
from mad_core.metrics.decisions import call_levels, checked_cuts
from mad_core.runs.database.schema import cuts as table
from mad_core.runs.store import Store

HAND, COST, ISOTONIC = "hand", "cost", "isotonic"
WAYS = (HAND, COST, ISOTONIC)


@dataclass(frozen=True)
class SavedCuts:
    """Where the scores of a run on one subset are cut into levels.

    Parameters
    ----------
    levels : tuple of float
        Ascending.
    cuts : tuple of float
        One less than levels, raw units of the score, ascending.
    way : str
        One of :data:`WAYS`: how they were placed.
    """

    run_id: str
    subset: str
    levels: tuple[float, ...]
    cuts: tuple[float, ...]
    way: str
    created: float

    def call(self, scores: Sequence[float] | np.ndarray) -> np.ndarray:
        """The level that each score is called; NaN where there is no score."""
        return call_levels(scores, self.cuts, self.levels)


def save_cuts(
    store: Store, run_id: str, subset: str, levels: Sequence[float], cuts: Sequence[float], way: str = HAND
) -> SavedCuts:
    """Keep the cuts of a run on one subset in place of earlier ones.

    Raises
    ------
    NotFoundError
        If there is no such run.
    InputError
        If the run has no such subset, or the cuts do not fit the levels.
    """
    run = store.run(run_id)
    if subset not in run.subsets:
        raise InputError(f"Run '{run.title}' has no subset '{subset}'; it has {', '.join(run.subsets)}.")
    if way not in WAYS:
        raise InputError(f"Cut-points are placed by {', '.join(WAYS)}, not by '{way}'.")
    scale = tuple(float(level) for level in levels)
    found = SavedCuts(run_id, subset, scale, tuple(checked_cuts(cuts, scale).tolist()), way, time.time())
    with store.database.write() as connection:
        connection.execute(table.delete().where(table.c.run_id == run_id, table.c.subset == subset))
        connection.execute(
            table.insert().values(
                run_id=run_id,
                subset=subset,
                levels=list(found.levels),
                cuts=list(found.cuts),
                way=way,
                created=found.created,
            )
        )
    return found


def saved_cuts(store: Store, run_id: str) -> dict[str, SavedCuts]:
    """The cuts of a run by subset; subsets without any are missing."""
    with store.database.read() as connection:
        rows = connection.execute(table.select().where(table.c.run_id == run_id).order_by(table.c.subset)).mappings()
        return {
            row["subset"]: SavedCuts(
                run_id, row["subset"], tuple(row["levels"]), tuple(row["cuts"]), row["way"], row["created"]
            )
            for row in rows
        }


def delete_cuts(store: Store, run_id: str, subset: str) -> None:
    """Forget the cuts of a run on one subset; nothing happens where there are none."""
    with store.database.write() as connection:
        connection.execute(table.delete().where(table.c.run_id == run_id, table.c.subset == subset))
