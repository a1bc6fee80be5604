"""A backup of the store back into ``MAD_HOME``, on this machine or another one.

Everything is built and checked beside the present store, which then changes places with it in one step; killed before
that, the old store is whole. Nothing in a backup is trusted: every path, size and digest is checked, only plain files
are written, rows are read as JSON, and images are served only while their bytes have the digest in their row.

What another store wrote is taken as a stranger's (:mod:`mad_core.backup.strangers`), unless the caller vouches for it.
"""

import contextlib
import ctypes
import errno
import json
import os
import re
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from mad_core.backup import strangers, table_rows
from mad_core.backup.create import (
    FILES,
    FORMAT,
    MADE_AGAIN,
    MANIFEST,
    PARTS,
    ROWS,
    BackupMember,
    Digesting,
    Manifest,
    files_to_keep,
    keeps,
    store_file,
)
from mad_core.errors import InputError, MadError, WorkError
from mad_core.paths import fits, remove_tree
from mad_core.runs.database.engine import (
    Database,
    open_engine,
    place,
    reason,
    revision_of,
    revisions,
    transaction,
    upgrade,
)
from mad_core.runs.queue import Queue
from mad_core.runs.store import Store
from mad_core.secret_key import KEY_FILE, known_key
from mad_core.settings import Settings

MAX_MANIFEST = 500_000_000
LONGEST_ROW = 200_000_000
"""Bytes; the problems of a dataset lie in one row."""
SPARE = 100_000_000
"""Bytes that stay free on the disk."""
_CHUNK = 1 << 14
_FROM_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ValueError),
    *(TypeError, KeyError, AttributeError, OverflowError, RecursionError),
)
"""What reading a broken file raises, rows that are no rows of the store included."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Restored:
    """What a restored backup says of itself; ``strange`` if it was taken as a stranger's."""

    manifest: Manifest
    home: Path
    strange: bool = False


def restore(
    settings: Settings,
    path: Path,
    *,
    replace: bool = False,
    own: bool = False,
    progress: Progress = lambda done, total: None,
) -> Restored:
    """Put a backup in the place of the store.

    Where the database is not a file in ``MAD_HOME``, its rows are replaced in one transaction, which is committed
    right after the folders have changed places: only a kill in that instant could part the two.

    Parameters
    ----------
    replace : bool
        Whether a store that is there may go. What no backup holds (weights, thumbnails, logs) and what this one left
        out is taken over from it.
    own : bool
        Whether the backup is vouched for, though this store did not write it. Else its queued work is cancelled, its
        consents are left out, and images and masks outside the folders that pages may open count as missing.
    progress : callable
        Called as ``progress(files done, files)``; what it raises ends the work, and the old store stays.

    Raises
    ------
    InputError
        If it is no backup, damaged, of a newer version or holds what no backup may hold, or if there is a store and
        it may not go.
    WorkError
        If the folder or the database cannot be written, or a worker is at work on the store.
    """
    home = settings.home.resolve()  # a link to the folder stays a link
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(home.with_name(f".{home.name}.restore.lock"), timeout=0):
            for left in home.parent.glob(f".{_literal(home.name)}.restoring-*"):
                remove_tree(left)  # of a restore that was killed
            building = home.with_name(f".{home.name}.restoring-{secrets.token_hex(4)}")
            try:
                return _restore(settings, path, home, building, replace, own, progress)
            finally:
                remove_tree(building)
    except Timeout:
        raise WorkError(f"Another restore into {home} is going on.") from None
    except OSError as error:
        why = f"{error.filename or path}: {error.strerror or error}"
        if error.errno in (errno.EBUSY, errno.EXDEV):
            why = "it is a disk of its own and cannot change places; set MAD_HOME to a folder on it"
        raise WorkError(f"The backup cannot be restored to {home}: {why}.") from None


def _restore(
    settings: Settings, path: Path, home: Path, building: Path, replace: bool, own: bool, progress: Progress
) -> Restored:
    with _damage_told(path), zipfile.ZipFile(path) as archive:
        manifest = read_manifest(archive, path)
        _check_place(settings, replace)
        _check_room(manifest, home.parent)
        building.mkdir(mode=0o700)
        _write_files(archive, manifest, building, progress)
        strange = not own and not manifest.is_of(known_key(settings.home))
        _write_database(archive, manifest, building, settings, strange)
        if strange:
            strangers.drop_consents(building)
    _take_over(home, building, manifest)
    if store_file(settings) is None:
        _replace_rows(settings, building, home)
    else:
        _change_places(building, home)
    return Restored(manifest, settings.home, strange)


@contextlib.contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        why = " ".join(str(error).split()).strip(". ")[:200] or type(error).__name__
        raise InputError(f"{path} is damaged or no backup of a store: {why}.") from None
    except DatabaseError as error:
        raise InputError(f"{path} is damaged or no backup of a store: {reason(error)[:200]}.") from None


# -- what a backup says, checked ------------------------------------------------------------------


def read_manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    """What a backup says of itself; members, paths and sizes are checked, nothing is unpacked.

    Raises
    ------
    InputError, ValueError
        If it is of a newer version, or holds what no backup may hold.
    """
    info = archive.getinfo(MANIFEST)
    if info.file_size > MAX_MANIFEST:
        raise ValueError("its manifest is too large")
    content = json.loads(archive.read(info))
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise ValueError("its manifest says no format")
    if content["format"] > FORMAT or str(content["schema"]) not in revisions():
        raise InputError(
            f"{path} was written by a newer version ({str(content.get('version'))[:40]}); install that one."
        )
    manifest = Manifest(
        schema=str(content["schema"]),
        home=str(content["home"]),
        version=str(content["version"]),
        created=float(content["created"]),
        tables={str(name): int(count) for name, count in content["tables"].items()},
        members={str(name): BackupMember(int(m["bytes"]), str(m["digest"])) for name, m in content["members"].items()},
        left_out=tuple(name for name in map(str, content["left_out"]) if name in PARTS),
        seal=str(content.get("seal", "")),
    )
    _check_members(archive, manifest)
    return manifest


def _check_members(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    infos = [info for info in archive.infolist() if info.filename != MANIFEST]
    names = {info.filename for info in infos}
    if len(names) != len(infos) or names != manifest.members.keys():
        raise ValueError("its members are not those that its manifest names")
    if {f"{ROWS}{table}.jsonl" for table in manifest.tables} != {name for name in names if name.startswith(ROWS)}:
        raise ValueError("its tables are not those that its manifest names")
    for info in infos:
        if info.file_size != manifest.members[info.filename].bytes:
            raise ValueError(f"'{info.filename[:200]}' is not as long as its manifest says")
        if info.flag_bits & 1 or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ValueError(f"'{info.filename[:200]}' is encrypted or no plain file")
        if not info.filename.startswith(ROWS):
            _relative(info.filename)


def _relative(name: str) -> PurePosixPath:
    """The path of a file within ``MAD_HOME``.

    Raises
    ------
    ValueError
        If it leads out of it, or to what no backup holds.
    """
    relative = PurePosixPath(name.removeprefix(FILES))
    parts = relative.parts
    plain = name.startswith(FILES) and FILES + "/".join(parts) == name and not re.search(r"[\\\0]", name)
    plain = plain and fits("/".join(parts[2:]))  # as deep as an archive may be, below imports/<digest>
    if not plain or not all(map(keeps, parts)) or parts[0] in MADE_AGAIN or parts[0].startswith("mad.db"):
        raise ValueError(f"'{name[:200]}' is no file of a store")
    return relative


def _check_room(manifest: Manifest, folder: Path) -> None:
    needed = SPARE + sum(part.bytes for part in manifest.members.values())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WorkError(
            f"The backup needs {needed / 1e9:.1f} GB on the disk of {folder}, and {free / 1e9:.1f} GB are free."
        )


def _check_place(settings: Settings, replace: bool) -> None:
    """Whether there is a store that may not go."""
    if not _store_is_there(settings):
        return
    if not replace:
        raise InputError(f"There is a store at {settings.home} already; --replace puts the backup in its place.")
    try:
        database = Database(settings)
    except MadError:  # a store that cannot be read has no worker
        return
    working = any(worker.alive for worker in Queue(database).workers())
    database.close()
    if working:
        raise WorkError("A worker is at work on this store; stop the app and the workers first.")


def _store_is_there(settings: Settings) -> bool:
    file = store_file(settings)
    if file is not None:
        return file.exists() or any(files_to_keep(settings, (), []))
    engine = open_engine(settings.database_url)
    try:
        with transaction(engine, immediate=False) as connection:
            return revision_of(connection) is not None or any(files_to_keep(settings, (), []))
    except DatabaseError as error:
        raise WorkError(f"The database at {place(engine)} cannot be used: {reason(error)}.") from None
    finally:
        engine.dispose()


# -- building -------------------------------------------------------------------------------------


def _write_files(archive: zipfile.ZipFile, manifest: Manifest, building: Path, progress: Progress) -> None:
    names = [name for name in manifest.members if name.startswith(FILES)]
    for done, name in enumerate(names):
        progress(done, len(names))
        target = building / _relative(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for piece in _checked(archive, name, manifest.members[name]):
                if piece.strip(b"\0"):
                    file.write(piece)
                else:  # maps are sparse files
                    file.seek(len(piece), os.SEEK_CUR)
            file.truncate(manifest.members[name].bytes)


def _checked(archive: zipfile.ZipFile, name: str, part: BackupMember) -> Iterator[bytes]:
    """The bytes of a member.

    Raises
    ------
    ValueError
        At its end, if they are not those that the manifest names.
    """
    read = Digesting()
    with archive.open(name) as member:
        while piece := member.read(_CHUNK):
            yield read.take(piece)
    if read.part != part:
        raise ValueError(f"'{name}' has other bytes than when it was written")


def _write_database(
    archive: zipfile.ZipFile, manifest: Manifest, building: Path, settings: Settings, strange: bool
) -> None:
    """The rows in a database of their own, brought up to date, and read as the app reads them."""
    old, new = manifest.home, str(settings.home)

    def moved(text: str) -> str:
        return new + text[len(old) :] if text == old or text.startswith(f"{old}/") else text

    engine = open_engine(_scratch(building))
    try:
        with transaction(engine, immediate=True) as connection:
            upgrade(connection, manifest.schema)
            tables = table_rows.tables(connection)
            if {table.name for table in tables} != manifest.tables.keys():
                raise ValueError("its tables are not those of its revision")
            for table in tables:
                name = f"{ROWS}{table.name}.jsonl"
                count = table_rows.fill(connection, table, _lines(archive, name, manifest.members[name]), moved)
                if count != manifest.tables[table.name]:
                    raise ValueError(f"'{table.name}' has {count} rows and should have {manifest.tables[table.name]}")
            upgrade(connection)
            if strange:
                strangers.disarm(connection, settings)
    finally:
        engine.dispose()
    store = Store(Settings(home=building, database_url=_scratch(building), allowed_roots=()))
    for info in store.datasets():
        store.dataset(info.id)
    _ = store.runs(), store.queue.active()
    store.close()


def _scratch(building: Path) -> str:
    return f"sqlite:///{building / 'mad.db'}"


def _lines(archive: zipfile.ZipFile, name: str, part: BackupMember) -> Iterator[str]:
    rest = b""
    for piece in _checked(archive, name, part):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_ROW:
            raise ValueError(f"'{name}' has a row that is too long")
        yield from (line.decode() for line in lines)
    if rest:
        raise ValueError(f"'{name}' ends within a row")


# -- putting it in place ----------------------------------------------------------------------------


def _take_over(home: Path, building: Path, manifest: Manifest) -> None:
    """What the backup does not hold, from the present store; the same files under a second name, no copies."""
    with contextlib.suppress(FileNotFoundError):
        (building / KEY_FILE).hardlink_to(home / KEY_FILE)
    kept = {*MADE_AGAIN, *(folder for part in manifest.left_out for folder in PARTS[part])}
    for there in home.iterdir() if home.is_dir() else ():
        target = building / there.name
        if os.path.lexists(target):
            continue
        if there.is_symlink():
            target.symlink_to(there.readlink())
        elif there.name in kept and there.is_dir():
            shutil.copytree(there, target, copy_function=os.link, symlinks=True)


def _replace_rows(settings: Settings, building: Path, home: Path) -> None:
    """The rows into a database that is not in the folder, and the folder into its place."""
    scratch, engine = open_engine(_scratch(building)), open_engine(settings.database_url)
    try:
        with transaction(engine, immediate=True) as target:
            _clear(target)
            upgrade(target)
            into = {table.name: table for table in table_rows.tables(target)}
            with transaction(scratch, immediate=False) as source:
                for table in table_rows.tables(source):
                    table_rows.fill(target, into[table.name], table_rows.lines_of(source, table))
            scratch.dispose()
            for file in building.glob("mad.db*"):
                file.unlink()
            _change_places(building, home)
    except DatabaseError as error:
        raise WorkError(f"The database at {place(engine)} does not take the backup: {reason(error)}.") from None
    finally:
        scratch.dispose()
        engine.dispose()


def _clear(connection: Connection) -> None:
    for name in (*table_rows.OF_PROCESSES, "alembic_version"):  # first, as they refer to the others
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    for table in reversed(table_rows.tables(connection)):
        table.drop(connection)


def _change_places(building: Path, home: Path) -> None:
    """The new folder to its place, the old one where the new one was, in one step."""
    if not home.exists():
        building.rename(home)
        return
    shutil.copymode(home, building)
    try:
        _exchange(building, home)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        before = home.with_name(f".{home.name}.before-{secrets.token_hex(4)}")
        home.rename(before)
        try:
            building.rename(home)
        except OSError:
            before.rename(home)
            raise
        remove_tree(before)


def _exchange(one: Path, other: Path) -> None:
    """Two folders change places in one step; ENOSYS where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_FROM_HERE, os.fsencode(one), _FROM_HERE, os.fsencode(other), _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)
