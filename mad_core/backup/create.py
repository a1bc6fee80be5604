"""A backup of the store: one zip with the rows of the database and the files beside it, while work goes on.

``manifest.json`` says what is in it, with a digest of each part; ``rows/<table>.jsonl`` holds a JSON array a row, and
``files/`` what lies in ``MAD_HOME``. Rows rather than the database's own file, so a backup of SQLite can be restored to
PostgreSQL and the other way round. It holds no keys or passwords: the store has none.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from mad_core.backup import table_rows
from mad_core.datasets import solar_cells
from mad_core.errors import InputError, WorkError
from mad_core.image_formats import SUFFIXES
from mad_core.paths import put_whole
from mad_core.runs.database.engine import revision_of
from mad_core.runs.store import Store
from mad_core.runs.tidying import unused_files
from mad_core.secret_key import KEY_FILE, key_of
from mad_core.settings import VERSION, Settings

FORMAT = 1
MANIFEST, ROWS, FILES = "manifest.json", "rows/", "files/"
_DATASETS = ("demo", solar_cells.SOURCE, "imports", "madbench", "masks")
PARTS = {"maps": ("maps",), "fits": ("fits",), "datasets": _DATASETS}
"""What can be left out, and the folders of ``MAD_HOME`` that it lies in."""
MADE_AGAIN = frozenset({"thumbnails", "weights", "looks", "features", "logs"})
"""Folders that are no part of a backup: what is in them is made, or fetched, again."""
PASSING = frozenset({"uploads"})
"""Folders of what is deleted after a while: no part of a backup either."""
_PACKED = SUFFIXES - {".bmp", ".ppm", ".pgm", ".tif", ".tiff"} | {".zip", ".gz", ".tgz", ".xz", ".bz2", ".parquet"}
_NUMBERS = {".f16", ".safetensors", ".map"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class BackupMember:
    """One member of a backup: bytes and their digest."""

    bytes: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    Parameters
    ----------
    schema : str
        Revision of the tables that the rows come from.
    home : str
        The folder that the files lay in; paths in the rows begin with it.
    tables : dict of str to int
        Number of rows.
    members : dict of str to Part
    left_out : tuple of str
        Names in :data:`PARTS`.
    seal : str
        Proves to the store that wrote the backup that it did, all of the above included; nobody else can tell.
    """

    schema: str
    home: str
    version: str
    created: float
    tables: dict[str, int]
    members: dict[str, BackupMember]
    left_out: tuple[str, ...] = ()
    format: int = FORMAT
    seal: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sealed(self, key: bytes) -> Manifest:
        return replace(self, seal=self._seal(key))

    def is_of(self, key: bytes) -> bool:
        """Whether it was sealed with a key, and is as it was then."""
        return bool(key) and hmac.compare_digest(self.seal.encode(), self._seal(key).encode())

    def _seal(self, key: bytes) -> str:
        content = json.dumps(replace(self, seal="").to_json(), sort_keys=True)
        return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class BackedUp:
    """A backup that was written; ``skipped`` names files that could not be taken, with the reason."""

    path: Path
    manifest: Manifest
    skipped: tuple[str, ...]


@dataclass
class Digesting:
    """Passes bytes on and keeps their number and digest."""

    size: int = 0
    _digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def take(self, piece: bytes) -> bytes:
        self.size += len(piece)
        self._digest.update(piece)
        return piece

    @property
    def part(self) -> BackupMember:
        """What has passed so far."""
        return BackupMember(self.size, self._digest.hexdigest())


def back_up(
    store: Store,
    target: Path,
    *,
    leave_out: Collection[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BackedUp:
    """Write a backup, all of it or nothing; only its owner may read it.

    The rows are one snapshot, taken before the files: a score that is in it has its map.

    Parameters
    ----------
    leave_out : collection of str
        Names in :data:`PARTS`.
    progress : callable
        Called as ``progress(files done, files)``; what it raises ends the work and leaves nothing behind.

    Raises
    ------
    InputError
        If the target lies in the store's own folder, or ``leave_out`` names something else.
    WorkError
        If it cannot be written or the store cannot be read.
    """
    unknown = set(leave_out) - PARTS.keys()
    if unknown:
        raise InputError(f"{', '.join(sorted(unknown))} cannot be left out; {', '.join(PARTS)} can.")
    if target.resolve().is_relative_to(store.settings.home.resolve()):
        raise InputError(f"{target} lies in the store's own folder; name a file elsewhere, best on another disk.")
    try:
        with put_whole(target) as building, _private(building) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                manifest, skipped = _fill(archive, store, sorted(leave_out), progress)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise WorkError(f"No backup was written: {error.filename or target}: {error.strerror or error}.") from None
    return BackedUp(target, manifest, tuple(skipped))


def _private(path: Path) -> IO[bytes]:
    """A new file that only its owner may read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")


def _fill(
    archive: zipfile.ZipFile, store: Store, leave_out: list[str], progress: Callable[[int, int], None]
) -> tuple[Manifest, list[str]]:
    members: dict[str, BackupMember] = {}
    counts: dict[str, int] = {}
    with store.database.read() as connection:
        schema = revision_of(connection)
        for table in table_rows.tables(connection):
            name = f"{ROWS}{table.name}.jsonl"
            members[name], lines = _add(archive, name, _encoded(table_rows.lines_of(connection, table)), packed=True)
            counts[table.name] = lines - 1
        unused = unused_files(connection, store.settings)
    left = {folder for part in leave_out for folder in PARTS[part]} | PASSING
    skipped: list[str] = []
    files = list(files_to_keep(store.settings, left, skipped, unused))
    for done, (relative, path) in enumerate(files):
        progress(done, len(files))
        try:
            members[FILES + relative], _ = _add(archive, FILES + relative, _pieces(path), packed=_worth_packing(path))
        except FileNotFoundError:  # deleted since it was listed
            continue
    manifest = Manifest(str(schema), str(store.settings.home), VERSION, time.time(), counts, members, tuple(leave_out))
    manifest = manifest.sealed(key_of(store.settings.home))
    archive.writestr(MANIFEST, json.dumps(manifest.to_json()))
    return manifest, skipped


def files_to_keep(
    settings: Settings, left_out: Collection[str], skipped: list[str], unused: Collection[Path] = ()
) -> Iterator[tuple[str, Path]]:
    """Files of ``MAD_HOME`` that a backup holds: their POSIX path within it, and their path.

    Nothing below ``unused`` is. Links, and names that are no text, are added to ``skipped``.
    """
    database, apart = store_file(settings), MADE_AGAIN | set(left_out)
    home = settings.home.resolve()
    unused = {settings.home / path.relative_to(home) for path in unused if path.is_relative_to(home)}
    for folder, below, names in os.walk(settings.home):
        at = Path(folder)
        top = at == settings.home
        names[:] = [name for name in names if at / name not in unused]
        below[:] = sorted(n for n in below if keeps(n) and not (top and n in apart) and at / n not in unused)
        for name in [*below, *sorted(names)]:
            path = at / name
            relative = path.relative_to(settings.home).as_posix()
            if path.is_symlink():
                skipped.append(f"{relative}: a link; what it leads to is not in the backup")
            elif name in names and keeps(name) and not (database and path.name.startswith(database.name) and top):
                try:
                    relative.encode()
                except UnicodeEncodeError:
                    skipped.append(f"{relative.encode('utf-8', 'backslashreplace').decode()}: its name is no text")
                    continue
                if path.is_file():
                    yield relative, path


def keeps(name: str) -> bool:
    """Whether a file or folder of this name is part of the store: not hidden, half-written, a lock or the key."""
    return not name.startswith(".") and not name.endswith((".part", ".lock")) and name != KEY_FILE


def store_file(settings: Settings) -> Path | None:
    """The database's file where it lies right in ``MAD_HOME``, else None."""
    from sqlalchemy import make_url

    url = make_url(settings.database_url)
    path = Path(url.database).absolute() if url.get_backend_name() == "sqlite" and url.database else None
    return path if path is not None and path.parent == settings.home else None


def _worth_packing(path: Path) -> bool:
    """Numbers hardly shrink and pictures are packed already; files of maps that are mostly holes shrink to nothing."""
    if path.suffix.lower() not in _NUMBERS:
        return path.suffix.lower() not in _PACKED
    facts = path.stat()
    return facts.st_blocks * 512 < facts.st_size / 2


def _add(archive: zipfile.ZipFile, name: str, pieces: Iterable[bytes], *, packed: bool) -> tuple[BackupMember, int]:
    """Write one member; returns what it is and the number of pieces."""
    pieces = iter(pieces)
    first = next(pieces, b"")  # a file that cannot be opened fails here, before it has an entry
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    info.external_attr = 0o600 << 16
    written, count = Digesting(), 1
    with archive.open(info, "w", force_zip64=True) as member:
        member.write(written.take(first))
        for piece in pieces:
            member.write(written.take(piece))
            count += 1
    return written.part, count


def _encoded(lines: Iterable[str]) -> Iterator[bytes]:
    return (f"{line}\n".encode() for line in lines)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
