"""Runs and what they did on each subset: the tables ``runs`` and ``run_subsets``."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.errors import InputError, NotFoundError
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import run_subsets, runs
from mad_core.runs.store.records import ACTIVE, PARENT, PROPORTIONAL, SAMPLING, Run, RunRequest, RunSubset

LONGEST_NOTE = 2000


class RunStore:
    """Runs in the database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, dataset_id: str | None = None) -> list[Run]:
        """Runs, oldest first; of one dataset or of all."""
        query = sa.select(runs).order_by(runs.c.created, runs.c.id)
        if dataset_id is not None:
            query = query.where(runs.c.dataset_id == dataset_id)
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(query).mappings().all()]

    def get(self, run_id: str) -> Run:
        """One run.

        Raises
        ------
        NotFoundError
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"There is no run '{run_id}'; it may have been deleted.")
        return _run(row)

    def find_or_insert(self, request: RunRequest, version: str, total: int, status: str) -> tuple[str, bool]:
        """The id of the run of a request on a version of its dataset, and whether it was made now, in ``status``."""
        digest = request.digest(version)
        with self._database.write() as connection:
            stored = connection.execute(sa.select(runs.c.id).where(runs.c.request == digest)).scalar()
            if stored:
                return stored, False
            return _insert(connection, request, version, digest, total, status), True

    def rename(self, run_id: str, title: str) -> None:
        """Give a run another title.

        Raises
        ------
        InputError
            If it is empty or longer than 190 characters.
        """
        title = title.strip()
        if not 0 < len(title) <= 190:
            raise InputError("A run's title has 1 to 190 characters.")
        self.update(run_id, title=title)

    def note(self, run_id: str, text: str) -> None:
        """Keep what people note of a run in place of an earlier note; empty for none.

        Raises
        ------
        InputError
            If it is longer than 2,000 characters.
        """
        if len(text) > LONGEST_NOTE:
            raise InputError(f"A note on a run has at most {LONGEST_NOTE:,} characters.")
        self.update(run_id, note=text.strip() or None)

    def update(self, run_id: str, **values: Any) -> None:
        """Set columns of a run (status, record, started, finished, error); used by the worker."""
        with self._database.write() as connection:
            update_run(connection, run_id, **values)

    def set_queued(self, run_id: str) -> None:
        """Say of a run that has ended that it waits again."""
        with self._database.write() as connection:
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id, runs.c.status.not_in(ACTIVE))
                .values(status="queued", error=None, finished=None)
            )

    def set_cancelled(self, run_id: str) -> None:
        """Say of a run that waits or is at work that it was cancelled."""
        with self._database.write() as connection:
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id, runs.c.status.in_(ACTIVE))
                .values(status="cancelled", finished=time.time())
            )

    def subsets(self, run_id: str) -> list[RunSubset]:
        """What a run did on each of its subsets so far."""
        columns = [c for c in run_subsets.c if c.name != "run_id"]
        query = sa.select(*columns).where(run_subsets.c.run_id == run_id).order_by(run_subsets.c.subset)
        with self._database.read() as connection:
            return [RunSubset(**row) for row in connection.execute(query).mappings()]

    def subset_facts(self, name: str) -> dict[str, list[Any]]:
        """By run, what was noted under this name of its subsets; runs that noted nothing are left out."""
        query = sa.select(run_subsets.c.run_id, run_subsets.c.facts[name])
        facts: dict[str, list[Any]] = {}
        with self._database.read() as connection:
            for run_id, fact in connection.execute(query):
                if fact is not None:
                    facts.setdefault(run_id, []).append(fact)
        return facts

    def save_subset(self, run_id: str, entry: RunSubset) -> None:
        """Keep what a run did on a subset in place of an earlier entry."""
        of_subset = (run_subsets.c.run_id == run_id, run_subsets.c.subset == entry.subset)
        with self._database.write_work() as connection:
            connection.execute(run_subsets.delete().where(*of_subset))
            connection.execute(run_subsets.insert().values(run_id=run_id, **asdict(entry)))

    def delete(self, run_id: str) -> None:
        """Delete a run with every row that belongs to it: subsets, scores, cuts."""
        with self._database.write() as connection:
            connection.execute(runs.delete().where(runs.c.id == run_id))


def ended_since(connection: Connection, moment: float) -> list[Run]:
    """Runs that were done or failed later than this; those whose scores were made elsewhere are none."""
    query = sa.select(runs).where(runs.c.finished > moment, runs.c.status.in_(("done", "failed")))
    rows = connection.execute(query.order_by(runs.c.finished, runs.c.id)).mappings().all()
    return [run for run in map(_run, rows) if not run.imported]


def carry_runs(connection: Connection, dataset_id: str, before: str, version: str, tests: Mapping[str, int]) -> None:
    """Let the runs of a dataset's version go on with the next, which has more images: they keep what they scored.

    Runs of some images alone, and those whose scores were made elsewhere, stay with the version that they are of.

    Parameters
    ----------
    tests : mapping of subset to int
        Test images of the next version.
    """
    of_version = runs.c.dataset_id == dataset_id, runs.c.dataset_version == before, runs.c.image_limit.is_(None)
    for row in connection.execute(sa.select(runs).where(*of_version)).mappings().all():
        run = _run(row)
        if not run.imported:
            values = {"dataset_version": version, "request": run.asked.digest(version)}
            update_run(connection, run.id, **values, total=sum(tests.get(name, 0) for name in run.subsets))


def update_run(connection: Connection, run_id: str, **values: Any) -> None:
    """Set columns of a run."""
    connection.execute(runs.update().where(runs.c.id == run_id).values(**values))


def add_done(connection: Connection, run_id: str, count: int) -> None:
    """Count further images with an entry. Added, not counted: all rows each batch is quadratic in a run's images."""
    update_run(connection, run_id, done=runs.c.done + count)


def record_of(connection: Connection, run_id: str) -> dict[str, Any]:
    """A run's record."""
    return dict(connection.execute(sa.select(runs.c.record).where(runs.c.id == run_id)).scalar_one())


def delete_subsets(connection: Connection, run_id: str) -> None:
    """Forget what a run did on its subsets."""
    connection.execute(run_subsets.delete().where(run_subsets.c.run_id == run_id))


def _insert(connection: Connection, request: RunRequest, version: str, digest: str, total: int, status: str) -> str:
    """Write a new run and return its id."""
    run_id = secrets.token_hex(4)
    connection.execute(
        runs.insert().values(
            id=run_id,
            dataset_id=request.dataset_id,
            dataset_version=version,
            title=request.title or request.scorer,
            scorer=request.scorer,
            parameters=dict(request.parameters),
            subsets=list(request.subsets),
            image_limit=request.limit,
            seed=request.seed,
            device=request.device,
            map_policy=request.map_policy,
            map_side=request.map_side,
            request=digest,
            status=status,
            done=0,
            total=total,
            created=time.time(),
            record=({SAMPLING: PROPORTIONAL} if request.limit else {})
            | ({PARENT: request.parent} if request.parent else {}),
        )
    )
    return run_id


def _run(row: Mapping[Any, Any]) -> Run:
    return Run(**{**row, "subsets": tuple(row["subsets"])})
