"""Rows of studies: the table ``studies``."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import studies


class StudyStore:
    """Studies in the database, as rows; what they say is known where studies are made.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, **values: Any) -> list[RowMapping]:
        """Studies whose columns have these values, oldest first."""
        query = sa.select(studies).filter_by(**values).order_by(studies.c.created, studies.c.id)
        with self._database.read() as connection:
            return list(connection.execute(query).mappings())

    def find_or_insert(self, values: Mapping[str, Any]) -> str:
        """The id of the study of this ``request``, made now from ``values`` if there is none."""
        of_request = sa.select(studies.c.id).where(studies.c.request == values["request"])
        with self._database.write() as connection:  # two pages may ask for the same at once
            stored = connection.execute(of_request).scalar()
            if stored is None:
                connection.execute(studies.insert().values(**values))
        return stored or values["id"]

    def update(self, study_id: str, **values: Any) -> None:
        """Set columns of a study."""
        with self._database.write() as connection:
            connection.execute(studies.update().where(studies.c.id == study_id).values(**values))

    def delete(self, study_id: str) -> None:
        """Delete a study and its finding."""
        with self._database.write() as connection:
            connection.execute(studies.delete().where(studies.c.id == study_id))

    def made_of(self, dataset_id: str, run_id: str | None = None) -> list[str]:
        """Ids of the studies of a dataset, or of those made of one of its runs."""
        query = sa.select(studies.c.id, studies.c.runs).where(studies.c.dataset_id == dataset_id)
        with self._database.read() as connection:
            return [row.id for row in connection.execute(query) if run_id is None or run_id in row.runs]

    def finished(self, dataset_id: str) -> list[tuple[str, float]]:
        """Which studies have found something and when; what they found is not read."""
        done = (studies.c.dataset_id == dataset_id, studies.c.finding.is_not(None))
        query = sa.select(studies.c.id, studies.c.finished).where(*done).order_by(studies.c.id)
        with self._database.read() as connection:
            return [(row.id, row.finished or 0.0) for row in connection.execute(query)]
