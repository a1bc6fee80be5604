"""Runs that have ended and whose end a person has not seen yet: the table ``notices``."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import notices
from mad_core.runs.store.records import Run
from mad_core.runs.store.runs import ended_since


class NoticeStore:
    """What each person has seen.

    A row says until when a person has seen all, and which ends after that besides.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, person: str) -> list[Run]:
        """Runs that were done or failed and that the person has not seen, oldest end first.

        What ended before a person came first counts as seen.
        """
        with self._database.read() as connection:
            row = _row(connection, person)
            if row is not None:
                return _unseen(connection, row)
        with self._database.write() as connection:
            if _row(connection, person) is None:
                connection.execute(notices.insert().values(person=person, until=time.time(), seen={}))
        return []

    def see(self, person: str, run_ids: Iterable[str]) -> None:
        """Count the ends of these runs as seen; one that goes on and ends again is told of again."""
        with self._database.write() as connection:
            row = _row(connection, person)
            if row is None:
                return
            ended = {run.id: run.finished or 0.0 for run in _unseen(connection, row)}
            now = {run_id: ended[run_id] for run_id in run_ids if run_id in ended}
            values: dict[str, Any] = {"seen": {**row["seen"], **now}}
            if set(now) == set(ended):
                values = {"seen": {}, "until": max([row["until"], *now.values(), *row["seen"].values()])}
            connection.execute(notices.update().where(notices.c.person == person).values(values))


def _row(connection: Connection, person: str) -> Mapping[str, Any] | None:
    row = connection.execute(sa.select(notices).where(notices.c.person == person)).mappings().one_or_none()
    return None if row is None else {str(name): value for name, value in row.items()}


def _unseen(connection: Connection, row: Mapping[str, Any]) -> list[Run]:
    ended = ended_since(connection, row["until"])
    return [run for run in ended if row["seen"].get(run.id) != run.finished]
