"""Cut-points between levels, kept with a run: one row of the table ``cuts`` a subset, the newest choice."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.errors import InputError
from mad_core.metrics.decisions import call_levels, checked_cuts
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import cuts as table
from mad_core.runs.store.runs import RunStore

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


class CutStore:
    """Cut-points in the database.

    Parameters
    ----------
    database : Database
    runs : RunStore
    """

    def __init__(self, database: Database, runs: RunStore) -> None:
        self._database, self._runs = database, runs

    def save(
        self, run_id: str, subset: str, levels: Sequence[float], cuts: Sequence[float], way: str = HAND
    ) -> SavedCuts:
        """Keep the cuts of a run on one subset in place of earlier ones.

        Raises
        ------
        NotFoundError
            If there is no such run.
        InputError
            If the run has no such subset, or the cuts do not fit the levels.
        """
        run = self._runs.get(run_id)
        if subset not in run.subsets:
            raise InputError(f"Run '{run.title}' has no subset '{subset}'; it has {', '.join(run.subsets)}.")
        if way not in WAYS:
            raise InputError(f"Cut-points are placed by {', '.join(WAYS)}, not by '{way}'.")
        scale = tuple(float(level) for level in levels)
        saved = SavedCuts(run_id, subset, scale, tuple(checked_cuts(cuts, scale).tolist()), way, time.time())
        with self._database.write() as connection:
            connection.execute(table.delete().where(*_of(run_id, subset)))
            connection.execute(table.insert().values(asdict(saved)))
        return saved

    def of_run(self, run_id: str) -> dict[str, SavedCuts]:
        """The cuts of a run by subset; subsets without any are missing."""
        query = sa.select(table).where(table.c.run_id == run_id).order_by(table.c.subset)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        saved = (SavedCuts(**{**row, "levels": tuple(row["levels"]), "cuts": tuple(row["cuts"])}) for row in rows)
        return {cuts.subset: cuts for cuts in saved}

    def delete(self, run_id: str, subset: str) -> None:
        """Forget the cuts of a run on one subset; nothing happens where there are none."""
        with self._database.write() as connection:
            connection.execute(table.delete().where(*_of(run_id, subset)))


def delete_cuts(connection: Connection, run_id: str) -> None:
    """Forget all cuts of a run."""
    connection.execute(table.delete().where(table.c.run_id == run_id))


def _of(run_id: str, subset: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.run_id == run_id, table.c.subset == subset
