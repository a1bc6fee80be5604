"""The rows of every table out of a database and into another, whatever its kind: a JSON array a row.

Tables are taken as the database has them, not as this version declares them, so rows of an older schema come out and go
in as they are.
"""

import base64
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.runs.database.engine import plain_json
from mad_core.runs.database.schema import metadata

OF_PROCESSES = frozenset({"workers", "watches"})
"""Tables that say nothing at another time or place; a folder is watched where a person of that place says so."""
BATCH = 1_000


def tables(connection: Connection) -> list[sa.Table]:
    """The tables with rows to keep, each after those that it refers to."""
    reflected = sa.MetaData()
    there = set(sa.inspect(connection).get_table_names())
    reflected.reflect(connection, only=sorted((metadata.tables.keys() - OF_PROCESSES) & there))
    for table in reflected.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, sa.JSON):
                column.type.none_as_null = bool(column.nullable)
    return reflected.sorted_tables


def lines_of(connection: Connection, table: sa.Table) -> Iterator[str]:
    """The names of a table's columns, then its rows, a line each."""
    yield plain_json([column.name for column in table.columns])
    result = connection.execution_options(yield_per=BATCH).execute(sa.select(table))
    for row in result:
        yield plain_json([_text(value) for value in row])


def fill(
    connection: Connection, table: sa.Table, lines: Iterable[str], moved: Callable[[str], str] = lambda text: text
) -> int:
    """Insert what :func:`lines_of` gave; returns the number of rows.

    Parameters
    ----------
    moved : callable
        Applied to every text, those within JSON too: what lay in one folder lies in another now.

    Raises
    ------
    ValueError
        If the lines are not of this table.
    """
    given = iter(lines)
    names = json.loads(next(given, "null"))
    if not isinstance(names, list) or sorted(map(str, names)) != sorted(table.columns.keys()):
        raise ValueError(f"it has not the columns of '{table.name}'")
    columns, count = [table.columns[name] for name in names], 0
    rows = (_row(line, columns, moved) for line in given)
    while batch := list(itertools.islice(rows, BATCH)):
        connection.execute(table.insert(), batch)
        count += len(batch)
    go_on_counting(connection, table)
    return count


def _row(line: str, columns: Sequence[sa.Column[Any]], moved: Callable[[str], str]) -> dict[str, Any]:
    values = json.loads(line)
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError("a row has not as many values as there are columns")
    return {column.name: _value(value, column, moved) for column, value in zip(columns, values, strict=True)}


def _text(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes | memoryview) else value


def _value(value: Any, column: sa.Column[Any], moved: Callable[[str], str]) -> Any:
    if isinstance(column.type, sa.JSON):
        return _moved(value, moved)
    if isinstance(column.type, sa.LargeBinary):
        return None if value is None else base64.b64decode(value, validate=True)
    if isinstance(value, dict | list):
        raise ValueError(f"'{column.name}' holds more than one value")
    return moved(value) if isinstance(value, str) else value


def _moved(value: Any, moved: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _moved(inner, moved) for key, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner, moved) for inner in value]
    return moved(value) if isinstance(value, str) else value


def go_on_counting(connection: Connection, table: sa.Table) -> None:
    """PostgreSQL counts ids by itself and does not see those that are given: go on after the highest."""
    key = table.autoincrement_column
    if key is None or connection.dialect.name != "postgresql":
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, key.name)
    highest = sa.select(sa.func.coalesce(sa.func.max(key), 0) + 1).scalar_subquery()
    connection.execute(sa.select(sa.func.setval(sequence, highest, False)))
