"""Unpacking zip and tar archives that nobody vouches for.

Nothing is written outside the archive's own folder; links are copied as the files they lead to and
must lead to one in the archive; size, count and ratio are bounded; the folder appears all at once.
"""

import bz2
import gzip
import lzma
import posixpath
import re
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from mad_core.errors import InputError
from mad_core.filekinds import kind_of, most_entries
from mad_core.images import content_hash, forget_patient
from mad_core.paths import fits, remove_tree, spare_bytes, sync

MAX_FILES = 1_000_000
MAX_BYTES = 500_000_000_000
MAX_RATIO = 200
"""Most bytes unpacked for a byte of archive; small archives may have more, see ``RATIO_FROM``."""
RATIO_FROM = 200_000_000
ENTRY_BYTES = 4096
"""What a file, a folder or a link costs beside its content, about as much as on a disk."""
SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip")
_CHUNK = 1 << 20
_MOST_AT_ONCE = 4 << 20
_LONGEST_TARGET, _MOST_HOPS = 4096, 20
_DRIVE = re.compile(r"[A-Za-z]:")
_PACKED: Mapping[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError, KeyError)


@dataclass(frozen=True)
class _Member:
    """A file in an archive: its safe relative path, how many bytes it unpacks to, and how to open it.

    A folder cannot be opened. ``link`` is the path within the archive that a link leads to.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]] | None
    link: str | None = None


def extract(path: Path, into: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Unpack an archive below ``into``, in a folder named by the digest of its bytes.

    An archive that was unpacked before is not unpacked again.

    Parameters
    ----------
    path : Path
        A zip, or a tar that may be packed by gzip, bzip2 or xz; told by content, not by name.
    into : Path
    progress : callable
        Called as ``progress(0, files so far)``; what it raises ends the work and leaves nothing behind.

    Returns
    -------
    Path
        The folder with the archive's content.

    Raises
    ------
    InputError
        If it is no archive, damaged, encrypted or too large, or holds a path, link or device that is unsafe.
    """
    try:
        folder = into / content_hash(path)
        into.mkdir(parents=True, exist_ok=True)
        with FileLock(into / f"{folder.name}.lock"):
            if not folder.is_dir():
                _unpack_at_once(path, folder, progress)
        return folder
    except OSError as error:
        raise InputError(f"{path} cannot be unpacked: {error.strerror or error}.") from None


def name_of(path: Path) -> str:
    """An archive's name without its suffixes: ``parts.tar.gz`` → ``parts``."""
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(suffix)] or path.name


def _unpack_at_once(path: Path, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Unpack beside the folder and put it in its place when everything is there; the caller holds the folder's lock."""
    for left in folder.parent.glob(f"{folder.name}*.part"):
        remove_tree(left)  # of an unpacking that was killed
    building = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")
    building.mkdir()
    try:
        _unpack(path, building, progress)
        sync(building)
        building.rename(folder)
        sync(folder.parent)
    finally:
        remove_tree(building)


class _Account:
    """Counts what an archive makes, folders that only a path names included, against what it may make."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.size = path.stat().st_size
        self.most_bytes = min(MAX_BYTES, max(RATIO_FROM, MAX_RATIO * self.size))
        self.entries, self.bytes, self.folders = 0, 0, {"", "."}

    def charge(self, member: _Member) -> None:
        """Count one more member.

        Raises
        ------
        InputError
            If it is one too many, or larger than the archive's size or this disk allows.
        """
        entries = self._new_folders(member)
        self.entries += entries
        self.bytes += member.size + entries * ENTRY_BYTES
        if self.entries > MAX_FILES:
            raise _too_many(self.path)
        spare = spare_bytes(self.folder)
        if self.bytes > self.most_bytes or member.size > spare:
            room = min(self.most_bytes, self.bytes + spare)
            raise InputError(
                f"{self.path} would unpack to more than {room / 1e6:.0f} MB, too much for an archive of "
                f"{self.size / 1e6:.1f} MB or for this disk; unpack it yourself and import the folder."
            )

    def _new_folders(self, member: _Member) -> int:
        """How many files, links and folders a member makes; one that says again what is there makes one."""
        above = member.name if member.open is None else posixpath.dirname(member.name)
        before = len(self.folders)
        while above not in self.folders:
            self.folders.add(above)
            above = posixpath.dirname(above)
        return max(1, len(self.folders) - before + (member.open is not None))


def _unpack(path: Path, folder: Path, progress: Callable[[int, int], None]) -> None:
    account, links, patients = _Account(path, folder), dict[str, str](), False
    try:
        for done, member in enumerate(_members(path)):
            account.charge(member)
            if member.link is not None:
                links[member.name] = member.link
            elif member.open is None:
                (folder / member.name).mkdir(parents=True, exist_ok=True)
            else:
                patients |= _write(member.open, folder / member.name)
            if done % 100 == 0:
                progress(0, done + 1)
        for name in links:
            _follow(name, links, folder, path)
        if patients and path.resolve().is_relative_to(folder.parent.resolve()):  # an upload
            path.unlink()
    except NotImplementedError:
        raise InputError(f"{path} is packed in a way that is not known here; pack it again as plain zip.") from None
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged: {str(error)[:300].strip('. ') or type(error).__name__}.") from None


def _write(opened: Callable[[], IO[bytes]], target: Path) -> bool:
    """Write a member; whether it held a patient's data, which are left out."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened() as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
    return forget_patient(target)


def _follow(name: str, links: Mapping[str, str], folder: Path, path: Path) -> None:
    """Put the file that a link leads to, perhaps through other links, in the link's place."""
    goal = links[name]
    for _ in range(_MOST_HOPS):
        goal = links.get(goal, goal)
    if not (folder / goal).is_file():
        raise InputError(
            f"{path} holds the link '{_shown(name)}', which leads to no file in it; pack the files themselves."
        )
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).hardlink_to(folder / goal)


def _members(path: Path) -> Iterator[_Member]:
    with _opened_tar(path) as archive:  # tried first: a tar that ends with a zip looks like a zip, too
        if archive is not None:
            yield from _tar_members(archive, path)
            return
    if zipfile.is_zipfile(path):
        if most_entries(path) > MAX_FILES:
            raise _too_many(path)
        with zipfile.ZipFile(path) as archive:
            yield from _zip_members(archive, path)
    else:
        kind = kind_of(path)
        what = kind if kind else "neither a table nor a zip or tar that can be read"
        raise InputError(f"{path} is {what}.")


def _too_many(path: Path) -> InputError:
    return InputError(f"{path} holds more than {MAX_FILES} files and folders; import a folder instead.")


def _zip_members(archive: zipfile.ZipFile, path: Path) -> Iterator[_Member]:
    for info in archive.infolist():
        if info.flag_bits & 1:
            raise InputError(f"{path} is encrypted; unpack it yourself and import the folder.")
        name, kind = _safe(info.filename, path), stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir() or info.filename.endswith("\\"):  # programs of Windows end a folder's name so
            yield _Member(name, 0, None)
            continue
        if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
            raise _no_file(name, path)
        link = None
        if kind == stat.S_IFLNK:
            with archive.open(info) as file:
                link = _target(name, file.read(_LONGEST_TARGET).decode("utf-8", "replace"), path)
        yield _Member(name, info.file_size, partial(archive.open, info), link)


def _tar_members(archive: tarfile.TarFile, path: Path) -> Iterator[_Member]:
    for info in archive:
        name, link = _safe(info.name, path), None
        if info.isdir():
            yield _Member(name, 0, None)
            continue
        if info.issym():
            link = _target(name, info.linkname, path)
        elif info.islnk():
            link = _safe(info.linkname, path)
        elif not info.isfile():
            raise _no_file(name, path)
        yield _Member(name, info.size, partial(_tar_file, archive, info), link)
    file = archive.fileobj
    if file is not None:
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes a broken header for the end
            raise tarfile.ReadError("one of its headers is broken")


class _InPieces:
    """A file that gives only so much at once: tarfile takes in a header whole, however long it says that it is."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_AT_ONCE:
            raise tarfile.ReadError("one of its headers is too long")
        return self._file.read(size)


@contextmanager
def _opened_tar(path: Path) -> Iterator[tarfile.TarFile | None]:
    """A tar, packed or not; None where it is none."""
    with path.open("rb") as file:
        start = file.read(6)
    unpack = next((opened for mark, opened in _PACKED.items() if start.startswith(mark)), Path.open)
    with unpack(path, "rb") as file:
        try:
            archive = tarfile.open(fileobj=_InPieces(file), mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
        except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error):
            archive = None
        yield archive


def _tar_file(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    if file is None:
        raise tarfile.ReadError(f"{info.name} cannot be opened")
    return file


def _safe(name: str, path: Path) -> str:
    """A member's path in plain relative form.

    Raises
    ------
    InputError
        If it is absolute, names a drive, leads out of the archive, or is longer or deeper than a folder should hold.
    """
    plain = posixpath.normpath(name.replace("\\", "/"))
    if plain.startswith(("/", "../")) or plain == ".." or "\0" in plain or _DRIVE.match(plain):
        raise InputError(f"{path} holds the path '{_shown(name)}', which leads out of it; it is not unpacked.")
    if not fits(plain):
        raise InputError(f"{path} holds the path '{_shown(name)}', which is too long or too deep; it is not unpacked.")
    return plain


def _target(name: str, goal: str, path: Path) -> str:
    """Where a symbolic link leads, within the archive."""
    return _safe(goal if goal.startswith("/") else posixpath.join(posixpath.dirname(name), goal), path)


def _no_file(name: str, path: Path) -> InputError:
    return InputError(f"{path} holds '{_shown(name)}', which is a device or a pipe; it is not unpacked.")


def _shown(name: str) -> str:
    """A member's name for a sentence, whatever bytes it was made of."""
    return name[:200].encode(errors="replace").decode()
