"""A throwaway PostgreSQL server: its own folder, a Unix socket, a password, and nothing left when it ends."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

PASSWORD = "p@ss/w0rd:planted"
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60", "listen_addresses=")


@dataclass(frozen=True)
class Postgres:
    """A server that runs; ``new()`` gives the address of a fresh, empty database."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str, password: str = PASSWORD) -> str:
        address = sa.URL.create(
            "postgresql", "mad", password, database=database, query={"host": str(self.folder / "socket")}
        )
        return address.render_as_string(hide_password=False)

    def new(self) -> str:
        name = f"store{next(self._numbers)}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.url(name)


def program(name: str) -> str | None:
    """Where a program of the server is; Debian keeps them out of the search path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) if Path("/usr/lib/postgresql").is_dir() else []
    return shutil.which(name) or (str(found[-1]) if found else None)


@contextlib.contextmanager
def serving() -> Iterator[Postgres]:
    """Start a server, or skip the test with the reason."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install -r requirements-postgres.txt")
    initdb, server = program("initdb"), program("postgres")
    if not initdb or not server:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    owner = _owner()
    folder = Path(tempfile.mkdtemp(prefix="mad-pg-", dir="/tmp"))
    try:
        (folder / "socket").mkdir()
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "socket", folder / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        made = [initdb, "-D", folder / "data", "-U", "mad", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N"]
        made += [f"--pwfile={folder / 'password'}"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, timeout=120, **as_owner)
        options = [
            text for option in (*QUICK, f"unix_socket_directories={folder / 'socket'}") for text in ("-c", option)
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [server, "-D", folder / "data", *options], stdout=log, stderr=log, cwd=folder, **as_owner
            )
        try:
            running = Postgres(folder)
            _await(running, process)
            yield running
        finally:
            process.send_signal(signal.SIGINT)  # at once, whoever is still connected
            process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> pwd.struct_passwd:
    """Who may run the server: it refuses root."""
    if os.getuid() != 0:
        return pwd.getpwnam(getpass.getuser())
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("PostgreSQL does not run as root, and there is nobody else")


def _await(running: Postgres, process: subprocess.Popen) -> None:
    engine = sa.create_engine(running.url("postgres"))
    for _ in range(300):
        try:
            engine.connect().close()
            engine.dispose()
            return
        except sa.exc.OperationalError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    pytest.fail(f"PostgreSQL did not start:\n{(running.folder / 'log').read_text()[-2000:]}")
