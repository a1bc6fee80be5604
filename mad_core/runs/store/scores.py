"""Scores and where their maps lie: the table ``scores``."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.map_files import MapRef, MapStore
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import scores
from mad_core.runs.store.records import Run, StoredScore
from mad_core.runs.store.runs import add_done, update_run
from mad_core.scorers.contract import OK, Scored

MAP_COLUMNS = ("map_row", "map_height", "map_width", "map_scale")


class ScoreStore:
    """Scores in the database; their anomaly maps beside it.

    Parameters
    ----------
    database : Database
    maps : MapStore
    """

    def __init__(self, database: Database, maps: MapStore) -> None:
        self._database, self._maps = database, maps

    def scored_ids(self, run_id: str, subset: str) -> set[str]:
        """Images of a subset that have an entry, failed ones included."""
        query = sa.select(scores.c.image_id).where(scores.c.run_id == run_id, scores.c.subset == subset)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def add(self, run_id: str, subset: str, results: Iterable[tuple[Scored, MapRef | None]]) -> None:
        """Write a batch of results in one transaction; an image that has an entry keeps it."""
        now = time.time()
        rows = {scored.image_id: _row(run_id, subset, scored, ref, now) for scored, ref in results}
        if not rows:
            return
        query = sa.select(scores.c.image_id).where(scores.c.run_id == run_id, scores.c.image_id.in_(rows))
        with self._database.write_work() as connection:
            stored = set(connection.execute(query).scalars())
            fresh = [row for image_id, row in rows.items() if image_id not in stored]
            if fresh:
                connection.execute(scores.insert(), fresh)
                add_done(connection, run_id, len(fresh))

    def set_map(self, run_id: str, image_id: str, ref: MapRef) -> None:
        """Record where an image's map lies (maps made on demand)."""
        with self._database.write_work() as connection:
            connection.execute(scores.update().where(*_of(run_id, image_id)).values(_map_values(ref)))

    def set_reason(self, run_id: str, image_id: str, reason: str) -> None:
        """Record why an image was scored as it was (reasons written on demand)."""
        with self._database.write_work() as connection:
            connection.execute(scores.update().where(*_of(run_id, image_id)).values(reason=reason))

    def table(self, run_id: str) -> pd.DataFrame:
        """Scores of a run so far.

        Returns
        -------
        DataFrame
            Columns ``image_id``, ``subset``, ``score`` (float64, NaN where absent), ``status``,
            ``reason``, ``seconds``, ``created``, in the order in which they came.
        """
        names = ["image_id", "subset", "score", "status", "reason", "seconds", "created"]
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(*(scores.c[n] for n in names)).where(scores.c.run_id == run_id).order_by(scores.c.created)
            ).all()
        table = pd.DataFrame(rows, columns=names)
        return table.astype({"score": "float64", "seconds": "float64", "created": "float64"})

    def get(self, run_id: str, image_id: str) -> StoredScore | None:
        """One image's result in full, or None where the run has none yet."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(scores).where(*_of(run_id, image_id))).mappings().one_or_none()
        return _stored_score(row) if row is not None else None

    def details(self, run_id: str, subset: str) -> dict[str, dict[str, Any]]:
        """What a run says of each image of a subset besides its score, by image id."""
        query = sa.select(scores.c.image_id, scores.c.detail).where(scores.c.run_id == run_id)
        with self._database.read() as connection:
            return {
                image_id: dict(detail)
                for image_id, detail in connection.execute(query.where(scores.c.subset == subset))
            }

    def read_map(self, run: Run, image_id: str) -> np.ndarray | None:
        """The stored anomaly map in raw units, float32 of shape (H, W), or None where there is none."""
        stored = self.get(run.id, image_id)
        if stored is None or stored.map is None:
            return None
        return self._maps.read(run.id, stored.subset, stored.map, run.map_side)

    def map_refs(self, run_id: str, subset: str) -> dict[str, MapRef]:
        """Where the stored maps of one run and subset lie, by image id."""
        columns = [scores.c[name] for name in ("image_id", *MAP_COLUMNS)]
        query = sa.select(*columns).where(
            scores.c.run_id == run_id, scores.c.subset == subset, scores.c.map_row.is_not(None)
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(scores.c.map_row))
            return {image_id: MapRef(*ref) for image_id, *ref in rows}

    def count_done(self, run_id: str) -> int:
        """Renew and return the number of images that have an entry."""
        query = sa.select(sa.func.count()).select_from(scores).where(scores.c.run_id == run_id)
        with self._database.write_work() as connection:
            done = connection.execute(query).scalar_one()
            update_run(connection, run_id, done=done)
        return done


def delete_scores(connection: Connection, run_id: str) -> None:
    """Delete the entries of a run."""
    connection.execute(scores.delete().where(scores.c.run_id == run_id))


def delete_failed(connection: Connection, run_id: str) -> None:
    """Delete the entries of a run's images that failed."""
    connection.execute(scores.delete().where(scores.c.run_id == run_id, scores.c.status != OK))


def _of(run_id: str, image_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return scores.c.run_id == run_id, scores.c.image_id == image_id


def _row(run_id: str, subset: str, scored: Scored, ref: MapRef | None, created: float) -> dict[str, Any]:
    distribution = scored.distribution
    return {
        "run_id": run_id,
        "image_id": scored.image_id,
        "subset": subset,
        "score": scored.score,
        "status": scored.status,
        "reason": scored.reason,
        "distribution": None if distribution is None else np.asarray(distribution, dtype="<f8").tobytes(),
        "detail": dict(scored.detail),
        "seconds": scored.seconds,
        "created": created,
        **_map_values(ref),
    }


def _map_values(ref: MapRef | None) -> dict[str, Any]:
    values = (None,) * len(MAP_COLUMNS) if ref is None else (ref.row, ref.height, ref.width, ref.scale)
    return dict(zip(MAP_COLUMNS, values, strict=True))


def _stored_score(row: Mapping[Any, Any]) -> StoredScore:
    raw = row["distribution"]
    return StoredScore(
        **{k: row[k] for k in ("image_id", "subset", "score", "status", "reason", "detail", "seconds")},
        distribution=None if raw is None else np.frombuffer(raw, dtype="<f8"),
        map=None if row["map_row"] is None else MapRef(*(row[name] for name in MAP_COLUMNS)),
    )
