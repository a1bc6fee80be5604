"""The database under the store: engine, transactions, migrations."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from mad_core.errors import InputError, WorkError
from mad_core.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0004"
"""Revision of the newest migration; a test keeps it true."""
BUSY_SECONDS = 30.0


class Database:
    """Transactions on the store's database.

    SQLite runs in WAL mode: readers never wait, one writer at a time waits its turn. Any other
    SQLAlchemy URL works too.

    Raises
    ------
    InputError
        If ``MAD_DATABASE_URL`` names no database that this machine can talk to.
    WorkError
        If the folder cannot be made or the database cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        try:
            settings.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(
                f"The store's folder {settings.home} cannot be made: {error.strerror}. Set MAD_HOME to another."
            ) from None
        try:
            self.engine = _engine(settings.database_url)
        except (ArgumentError, ImportError, ValueError) as error:
            raise InputError(f"MAD_DATABASE_URL cannot be used: {error}.") from None
        self._migrate()

    def read(self) -> contextlib.AbstractContextManager[Connection]:
        """A transaction that only reads: one consistent snapshot."""
        return self._transaction(immediate=False)

    def write(self) -> contextlib.AbstractContextManager[Connection]:
        """A transaction that writes; it takes the write lock at once, so it cannot fail half-way on a lock."""
        return self._transaction(immediate=True)

    @contextlib.contextmanager
    def _transaction(self, immediate: bool) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(immediate=immediate) as connection, connection.begin():
                yield connection
        except DatabaseError as error:
            if type(error) not in (DatabaseError, OperationalError):  # a mistake in a statement, not in the store
                raise
            raise WorkError(f"The store at {self._place()} cannot be used: {error.orig}.") from error

    def close(self) -> None:
        self.engine.dispose()

    def _place(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)

    def _migrate(self) -> None:
        """Bring the schema up to date; the first of several processes does it, the others wait."""
        if self._revision() == HEAD:
            return
        with FileLock(self.settings.home / "migrate.lock", timeout=120):
            if self._revision() == HEAD:
                return
            from alembic import command
            from alembic.config import Config
            from alembic.util import CommandError

            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            with self.engine.connect() as connection:
                config.attributes["connection"] = connection
                try:
                    command.upgrade(config, "head")
                except CommandError:
                    raise WorkError(
                        f"The store at {self._place()} was written by a newer version; install that one."
                    ) from None

    def _revision(self) -> str | None:
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
