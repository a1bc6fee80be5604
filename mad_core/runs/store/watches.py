"""Folders that datasets grow from: the table ``watches``."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mad_core.errors import NotFoundError
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import watches


@dataclass(frozen=True)
class Watch:
    """A folder under watch.

    Parameters
    ----------
    id : int
    dataset_id, path : str
    subset : str
        To which arrivals belong; empty where their names say it.
    runs : tuple of str
        Ids of those that score arrivals; empty for all that are finished.
    state : mapping
        ``looked`` (seconds since the epoch), ``added`` (images so far), ``error`` (why it cannot be read now).
    """

    id: int
    dataset_id: str
    path: str
    subset: str
    runs: tuple[str, ...]
    state: Mapping[str, Any]
    created: float


class WatchStore:
    """Watched folders in the database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, dataset_id: str | None = None) -> list[Watch]:
        """Oldest first; of one dataset or of all."""
        query = sa.select(watches).order_by(watches.c.id)
        if dataset_id is not None:
            query = query.where(watches.c.dataset_id == dataset_id)
        with self._database.read() as connection:
            return [Watch(**{**row, "runs": tuple(row["runs"])}) for row in connection.execute(query).mappings()]

    def add(self, dataset_id: str, path: str, runs: Sequence[str] = (), subset: str = "") -> Watch:
        """Watch a folder for a dataset; one that is watched for it already stays, with these runs."""
        there = next((one for one in self.all(dataset_id) if one.path == path), None)
        values = {"runs": list(runs), "subset": subset}
        with self._database.write() as connection:
            if there is not None:
                connection.execute(watches.update().where(watches.c.id == there.id).values(**values))
            else:
                facts = {"dataset_id": dataset_id, "path": path, "state": {}, "created": time.time()}
                connection.execute(watches.insert().values(**facts, **values))
        return next(one for one in self.all(dataset_id) if one.path == path)

    def tell(self, watch_id: int, state: Mapping[str, Any]) -> None:
        """Keep what came of looking."""
        with self._database.write_work() as connection:
            connection.execute(watches.update().where(watches.c.id == watch_id).values(state=dict(state)))

    def end(self, watch_id: int) -> None:
        """Watch a folder no longer.

        Raises
        ------
        NotFoundError
        """
        with self._database.write() as connection:
            ended = connection.execute(watches.delete().where(watches.c.id == watch_id)).rowcount
        if not ended:
            raise NotFoundError(f"No folder is watched under the number {watch_id}.")
