"""What a backup that somebody else made may do to a store: be looked at, and nothing more.

Its work would be done by this machine's worker, its consents would send images away, and its rows can name any file
of this machine or any address.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core import remote
from mad_core.datasets import solar_cells
from mad_core.runs.database.schema import metadata
from mad_core.scorers.named_paths import leads_outside
from mad_core.settings import Settings

ELSEWHERE = "elsewhere"
"""The folder of ``MAD_HOME``, never made, below which what may not be opened is said to lie."""
SENTENCE = "It came with a backup that another store wrote; ask for it again."
_ROWS = 5_000


def disarm(connection: Connection, settings: Settings) -> None:
    """Cancel what waits or is at work, and take away the way to every file outside the folders that may be opened."""
    datasets, images, jobs, runs, studies = (
        metadata.tables[name] for name in ("datasets", "images", "jobs", "runs", "studies")
    )
    ended: dict[str, Any] = {"status": "cancelled", "error": SENTENCE, "finished": time.time()}
    for table in (jobs, runs, studies):
        active = table.c.status.in_(("queued", "running"))
        connection.execute(table.update().where(active).values(**ended))
    for owner, key, column in (
        (images, (images.c.dataset_id, images.c.image_id), images.c.path),
        (images, (images.c.dataset_id, images.c.image_id), images.c.mask_path),
        (datasets, (datasets.c.id,), datasets.c.source),
    ):
        _close(connection, settings, owner, key, column)
    for table in (runs, studies):
        _close_parameters(connection, settings, table)


def drop_consents(home: Path) -> None:
    """Forget who agreed that images leave the machine: nobody agreed to that here."""
    (home / "consents.json").unlink(missing_ok=True)


def _close(connection: Connection, settings: Settings, table: sa.Table, key: Any, column: sa.Column[Any]) -> None:
    rows = connection.execute(sa.select(*key, column).where(column.is_not(None))).all()
    closed = [
        {**{f"key_{part.name}": row[place] for place, part in enumerate(key)}, "moved": inert(settings, row[-1])}
        for row in rows
        if not _may_open(settings, row[-1])
    ]
    matches = [part == sa.bindparam(f"key_{part.name}") for part in key]
    statement = table.update().where(*matches).values({column.name: sa.bindparam("moved")})
    for batch in _batches(closed):
        connection.execute(statement, batch)


def _close_parameters(connection: Connection, settings: Settings, table: sa.Table) -> None:
    """Model folders, weights and rubrics that a run or a study names; it may be asked to go on."""
    for row in connection.execute(sa.select(table.c.id, table.c.parameters)).all():
        given = row.parameters if isinstance(row.parameters, dict) else {}
        closed = {k: inert(settings, v) for k, v in given.items() if isinstance(v, str) and leads_outside(v, settings)}
        if closed:
            statement = table.update().where(table.c.id == row.id)
            connection.execute(statement.values(parameters={**given, **closed}))


def inert(settings: Settings, named: str) -> str:
    """A path that says what was named and leads to nothing."""
    parts = [part for part in named.replace("://", "/").split("/") if part not in ("", ".", "..")]
    return str(settings.home / ELSEWHERE / "/".join(parts))


def _may_open(settings: Settings, named: str) -> bool:
    if named in ("demo", solar_cells.SOURCE):
        return True
    return not remote.is_address(named) and Path(named).is_absolute() and settings.may_open(Path(named))


def _batches(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
