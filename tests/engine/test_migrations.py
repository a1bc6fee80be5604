"""From every earlier schema to this one, with rows in every table: nothing is lost, and the app reads all of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import mad_core
from mad_core.audit.labels import AuditStore
from mad_core.backup import table_rows
from mad_core.backup.create import back_up
from mad_core.backup.restore import restore
from mad_core.errors import InputError, WorkError
from mad_core.runs.database.engine import HEAD, open_engine, revision_of, revisions, transaction, upgrade
from mad_core.runs.database.schema import metadata
from mad_core.runs.store import Store
from mad_core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
WORDS: dict[str, Any] = {
    "card": {"title": "Parts", "subsets": {}},
    "problems": [{"kind": "missing-file", "path": "x.png", "message": "x.png is not there."}],
    "subsets": ["a"],
    "runs": ["r1"],
    "levels": [0.0, 1.0],
    "cuts": [0.5],
    "payload": {"run": "r1"},
    "status": "done",
    "role": "adjudicator",
    "reviewer": "Ada",
    "kind": "level",
    "path": "/data/a.png",
    "split": "test",
    "subset": "a",
    "way": "hand",
    "finding": {"study": "area", "sentence": "No clear difference."},
    "region": {"shape": "box", "points": [[0, 0], [1, 1]]},
}
"""What stands in columns of these names; other columns get a value of their type."""
KEYS = {"dataset_id": "d1", "run_id": "r1", "image_id": "i1", "event_id": "e1"}
IDS = {"datasets": "d1", "runs": "r1", "audit_events": "e1", "studies": "s1", "workers": "w1", "jobs": 7, "watches": 5}


def value(table: str, column: sa.Column[Any]) -> Any:
    if column.name == "id":
        return IDS[table]
    if column.name in KEYS:
        return KEYS[column.name]
    if column.name in WORDS:
        return WORDS[column.name]
    kinds = ((sa.JSON, {"a": [1, None, "ä"]}), (sa.LargeBinary, bytes(range(256)) * 4), (sa.Boolean, True))
    for kind, found in (*kinds, (sa.Integer, 3), (sa.Float, 0.1 + 0.2), (sa.String, f"{column.name} ö'\"")):
        if isinstance(column.type, kind):
            return found
    raise AssertionError(f"no value for {table}.{column.name}")


def fill(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """A row in every table that there is, by the table's name."""
    found = sa.MetaData()
    found.reflect(connection)
    given = {
        table.name: {column.name: value(table.name, column) for column in table.columns}
        for table in found.sorted_tables
        if table.name != "alembic_version"
    }
    for table in found.sorted_tables:
        if table.name in given:
            connection.execute(table.insert().values(given[table.name]))
            table_rows.go_on_counting(connection, table)
    return given


def stored(connection: sa.Connection, name: str) -> dict[str, Any]:
    (row,) = connection.execute(sa.select(metadata.tables[name])).mappings()
    return {key: bytes(v) if isinstance(v, memoryview) else v for key, v in row.items()}


@pytest.mark.parametrize("revision", revisions())
def test_rows_of_every_earlier_schema_are_kept_and_read(settings: Settings, revision: str) -> None:
    settings.home.mkdir(parents=True)
    engine = open_engine(settings.database_url)
    with transaction(engine, immediate=True) as connection:
        upgrade(connection, revision)
        given = fill(connection)
    engine.dispose()
    store = Store(settings)
    with store.database.read() as connection:
        assert revision_of(connection) == HEAD
        for name, row in given.items():
            assert row.items() <= stored(connection, name).items(), name
    (dataset,), (run,) = store.datasets(), store.runs()
    assert dataset.card.title == "Parts" and len(store.dataset("d1").table) == 1 == len(dataset.problems)
    score = store.score(run.id, "i1")
    assert score is not None and score.score == 0.1 + 0.2 and len(store.scores(run.id)) == 1
    assert score.distribution is not None and len(score.distribution) == 128
    assert store.queue.job(7).payload == {"run": "r1"} and len(store.queue.workers()) == 1
    assert store.queue.submit("run", {}) > 7
    if "audit_events" in given:
        audit = AuditStore(store)
        assert [r.name for r in audit.reviewers()] and [e.id for e in audit.events("d1")] == ["e1"]
    if "cuts" in given:
        assert store.cuts.of_run("r1")["a"].cuts == (0.5,)
    store.close()


@pytest.mark.parametrize("revision", revisions())
def test_a_backup_of_every_earlier_schema_can_be_restored(settings: Settings, tmp_path: Path, revision: str) -> None:
    """As the version of that schema would have written it."""
    settings.home.mkdir(parents=True)
    engine = open_engine(settings.database_url)
    with transaction(engine, immediate=True) as connection:
        upgrade(connection, revision)
        given = fill(connection)
    engine.dispose()
    old = Store.__new__(Store)
    old.settings, old.database = settings, _Unmigrated(settings)
    done = back_up(old, tmp_path / "b.zip")
    assert done.manifest.schema == revision and set(done.manifest.tables) == given.keys() - table_rows.OF_PROCESSES
    there = replace(settings, home=tmp_path / "new", database_url=f"sqlite:///{tmp_path / 'new' / 'mad.db'}")
    restore(there, done.path, own=True)
    store = Store(there)
    with store.database.read() as connection:
        for name, row in given.items():
            assert name in table_rows.OF_PROCESSES or row.items() <= stored(connection, name).items(), name
    store.close()


class _Unmigrated:
    """The database of an earlier version of this software."""

    def __init__(self, settings: Settings) -> None:
        self.engine = open_engine(settings.database_url)

    def read(self):
        return transaction(self.engine, immediate=False)


def test_processes_that_migrate_at_once_wait_for_each_other(settings: Settings) -> None:
    code = (
        "import sys; from mad_core.runs.database.engine import Database; from mad_core.settings import Settings; "
        "sys.stdin.read(); Database(Settings.from_environment()).close()"
    )
    environment = {**os.environ, "MAD_HOME": str(settings.home), "MAD_DATABASE_URL": settings.database_url}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    for process in started:
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(120) == 0, said
    store = Store(settings)
    assert store.datasets() == []
    store.close()


def test_a_migration_that_fails_changes_nothing(settings: Settings, monkeypatch) -> None:
    settings.home.mkdir(parents=True)
    engine = open_engine(settings.database_url)
    with transaction(engine, immediate=True) as connection:
        upgrade(connection, "0001")
        given = fill(connection)

    def breaks(*_: Any) -> None:
        raise RuntimeError("the power went")

    import alembic.op

    with monkeypatch.context() as patch:
        patch.setattr(alembic.op, "create_table", breaks)
        with pytest.raises(RuntimeError):
            Store(settings)
    with transaction(engine, immediate=False) as connection:
        assert revision_of(connection) == "0001"
        assert not sa.inspect(connection).has_table("reviewers")
        columns = [metadata.tables["runs"].c[name] for name in given["runs"]]  # later ones are not there yet
        assert dict(connection.execute(sa.select(*columns)).mappings().one()) == given["runs"]
    engine.dispose()
    Store(settings).close()


def test_a_newer_database_is_left_alone_with_a_sentence(settings: Settings) -> None:
    store = Store(settings)
    with store.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(WorkError, match="written by a newer version; install that one"):
        Store(settings)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://ada:planted@127.0.0.1:planted/x", "no address of a database"),
        ("planted", "no address of a database"),
        ("planted://ada:planted@127.0.0.1/x", "no address of a database"),
        ("oracle+cx_oracle://ada:planted@127.0.0.1/x", "needs the package cx_Oracle"),
    ],
)
def test_a_database_address_that_is_wrong_is_a_sentence_that_does_not_repeat_it(
    tmp_path: Path, url: str, sentence: str
) -> None:
    settings = Settings.from_environment({"MAD_HOME": str(tmp_path / "home"), "MAD_DATABASE_URL": url})
    with pytest.raises(InputError, match=sentence) as raised:
        Store(settings)
    assert "planted" not in str(raised.value) + repr(settings)


def test_the_version_stands_in_the_settings_and_who_cites_it_says_the_same() -> None:
    dynamic = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["dynamic"]
    assert dynamic["version"] == {"attr": "mad_core.settings.VERSION"}
    assert f"version: {mad_core.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
