"""The database under the store: engine, transactions, migrations."""

import contextlib
import json
import math
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, OperationalError

from mad_core.errors import InputError, WorkError
from mad_core.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0010"
"""Revision of the newest migration; a test keeps it true."""
BUSY_SECONDS = 30.0
CONNECT_SECONDS = 10
_WRITERS = 0x4D4144
"""Key of the lock that one writer at a time holds on a PostgreSQL database."""


class Database:
    """Transactions on the store's database.

    SQLite runs in WAL mode: readers never wait, one writer at a time waits its turn. PostgreSQL gives the same:
    a snapshot to readers, and a lock that one writer at a time holds.

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
            settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(
                f"The store's folder {settings.home} cannot be made: {error.strerror}. Set MAD_HOME to another."
            ) from None
        self.engine = open_engine(settings.database_url)
        self._keep_private()
        self._migrate()

    def _keep_private(self) -> None:
        """Folder and database are for their owner alone; SQLite gives its further files the mode of the first."""
        file = self.engine.url.database if self.engine.dialect.name == "sqlite" else None
        home = self.settings.home
        with contextlib.suppress(OSError):  # of somebody else, or on a disk without modes
            if home != home.parent and not home.stat().st_mode & stat.S_ISVTX:  # no folder that all share, like /tmp
                home.chmod(0o700)
            if file:
                _make_private(Path(file))
                for path in filter(Path.exists, (Path(file), Path(f"{file}-wal"), Path(f"{file}-shm"))):
                    path.chmod(0o600)

    def read(self) -> contextlib.AbstractContextManager[Connection]:
        """A transaction that only reads: one consistent snapshot."""
        return self._transaction(immediate=False)

    def write(self) -> contextlib.AbstractContextManager[Connection]:
        """A transaction that writes what a person did: once it has ended, no power cut takes it back.

        It takes the write lock at once, so it cannot fail half-way on a lock.
        """
        return self._transaction(immediate=True, durable=True)

    def write_work(self) -> contextlib.AbstractContextManager[Connection]:
        """As :meth:`write`, of what is done again where a power cut takes the last of it back: scores, heartbeats."""
        return self._transaction(immediate=True)

    @contextlib.contextmanager
    def _transaction(self, immediate: bool, durable: bool = False) -> Iterator[Connection]:
        try:
            with transaction(self.engine, immediate=immediate, durable=durable) as connection:
                yield connection
        except DatabaseError as error:
            if type(error) not in (DatabaseError, DataError, OperationalError):  # a mistake in a statement
                raise
            raise WorkError(f"The store at {self._place()} cannot be used: {reason(error)}.") from error

    def close(self) -> None:
        self.engine.dispose()

    def _place(self) -> str:
        return place(self.engine)

    def _migrate(self) -> None:
        """Bring the schema up to date; the first of several processes does it, the others wait."""
        with self.read() as connection:
            if revision_of(connection) == HEAD:
                return
        with FileLock(self.settings.home / "migrate.lock", timeout=120, mode=0o600), self.write() as connection:
            if revision_of(connection) not in (None, *revisions()):
                raise WorkError(f"The store at {self._place()} was written by a newer version; install that one.")
            upgrade(connection)


def _make_private(file: Path) -> None:
    """An empty database where there is none.

    A database that is there is never opened here, not even to be closed again: that would take away the locks that
    SQLite holds on it in this process.
    """
    if file.exists():
        return
    building = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    building.touch(mode=0o600)
    try:
        with contextlib.suppress(FileExistsError):  # another process made it just now
            file.hardlink_to(building)
    finally:
        building.unlink()


# -- engines ------------------------------------------------------------------------------------


def open_engine(url: str) -> Engine:
    """An engine for the store's database; nothing is connected yet.

    Raises
    ------
    InputError
        If the URL names no database that this machine can talk to. The sentence does not repeat it: it may hold a
        password.
    """
    try:
        parsed = sa.make_url(url)
        return _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _server(parsed)
    except (ArgumentError, ValueError):
        raise InputError(
            "MAD_DATABASE_URL is no address of a database. It reads postgresql://user:password@host/name; odd "
            "characters of the password are written as in any URL, '/' as %2F."
        ) from None
    except ImportError as error:
        raise InputError(
            f"MAD_DATABASE_URL needs the package {error.name}, which is not installed; for PostgreSQL: "
            "pip install -r requirements-postgres.txt."
        ) from None


def place(engine: Engine) -> str:
    """Where a database is, without passwords."""
    return engine.url.set(query={}).render_as_string(hide_password=True)


def reason(error: DatabaseError) -> str:
    """The first line of what a driver says of an error."""
    return (str(error.orig).strip().splitlines() or ["no reason given"])[0].rstrip(".")


def _server(url: sa.URL) -> Engine:
    timeout = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() == "postgresql" else {}
    return sa.create_engine(url, pool_pre_ping=True, connect_args=timeout, json_serializer=plain_json)


def _sqlite(url: sa.URL) -> Engine:
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=arguments, json_serializer=plain_json)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        immediate = options.get("immediate", True)
        if immediate:
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('durable') else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


@contextlib.contextmanager
def transaction(engine: Engine, *, immediate: bool, durable: bool = False) -> Iterator[Connection]:
    """A transaction that reads one snapshot or, ``immediate``, is the only one that writes; ``durable`` ones outlive
    a power cut."""
    options: dict[str, Any] = {"immediate": immediate, "durable": durable}
    postgres = engine.dialect.name == "postgresql"
    if postgres:
        options["isolation_level"] = "READ COMMITTED" if immediate else "REPEATABLE READ"
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if postgres and immediate:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
        yield connection


def plain_json(value: Any) -> str:
    """JSON as every database takes it: what is not finite is null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- revisions ----------------------------------------------------------------------------------


def revision_of(connection: Connection) -> str | None:
    """The revision of a database's schema; None where there is none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def revisions() -> list[str]:
    """Every revision that this version knows, oldest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Bring the schema to a revision, within the connection's transaction: all of it or nothing."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
