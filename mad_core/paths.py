"""Paths that come from elsewhere: how long and deep they may be, and how a tree goes, however deep it became."""

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

MOST_PARTS = 40
LONGEST_NAME, LONGEST_PATH = 255, 1_000
"""Bytes of one name and of a whole relative path."""
RESERVE = 1_000_000_000
"""Bytes that stay free on a disk; a twentieth of a small one."""


def fits(relative: str) -> bool:
    """Whether a relative path (POSIX form) is short and flat enough to be made below a folder of ours."""
    parts = [part.encode(errors="replace") for part in relative.split("/")]
    return (
        len(parts) <= MOST_PARTS
        and max(map(len, parts)) <= LONGEST_NAME
        and sum(map(len, parts)) + len(parts) <= LONGEST_PATH
    )


def walked(
    folder: Path, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``, which goes no deeper than :data:`MOST_PARTS` folders: Python's own ends on a deep tree."""
    top = str(folder).count(os.sep)
    for place, folders, files in os.walk(folder, onerror=onerror):
        if place.count(os.sep) - top >= MOST_PARTS:
            folders.clear()
        yield place, folders, files


def folder_named(text: str) -> Path | None:
    """The folder that a text names; None where it names none, whatever its shape."""
    path = _named(text)
    return path if path is not None and _is(path, stat.S_ISDIR) else None


def file_named(text: str) -> Path | None:
    """The plain file that a text names; None where it names none, whatever its shape."""
    path = _named(text)
    return path if path is not None and _is(path, stat.S_ISREG) else None


def _named(text: str) -> Path | None:
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):  # the home of nobody
        return None


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):  # not there, too long, a character that no path has
        return False


def keep_private() -> None:
    """Let what this process makes from now on be for its owner alone."""
    os.umask(0o077)


def private_files() -> contextlib.AbstractContextManager[None]:
    """What is made meanwhile is for its owner alone: what a command puts into the store's folder."""
    return _made_with(0o077)


def shared_files() -> contextlib.AbstractContextManager[None]:
    """What is made meanwhile may be read by others of this machine: datasets outside the store's own folder."""
    return _made_with(0o022)


@contextlib.contextmanager
def _made_with(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def sync(path: Path) -> None:
    """Bring a file, or everything on the disk of a folder, to where a power cut does not take it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        whole_disk = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if path.is_dir() else None
        if whole_disk is None or whole_disk(handle) != 0:
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def put_whole(path: Path) -> Iterator[Path]:
    """A name to write to; what stands under it at the end takes the place of ``path``, after a failure nothing does.

    A link stays one: the file that it leads to is replaced.

    Raises
    ------
    OSError
        If ``path`` is a device, a pipe or a socket: a file would take its place for everybody.
    """
    target = path.resolve()
    if target.exists() and not target.is_file() and not target.is_dir():
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    building = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield building
        building.replace(target)
    finally:
        building.unlink(missing_ok=True)


def spare_bytes(folder: Path) -> int:
    """Bytes that may still be written to the disk of a folder: what is free without the reserve."""
    disk = shutil.disk_usage(folder)
    return disk.free - min(RESERVE, disk.total // 20)


def remove_tree(top: Path) -> None:
    """Remove a folder with everything in it; one that is not there, a link, or what cannot go is passed over.

    Folders below are moved right into the top one first, so no path gets long and nothing calls itself.
    """
    if top.is_symlink():
        return
    folders = [os.fspath(top)]
    for folder in folders:  # grows meanwhile
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(folder)):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108 - many times
                else:
                    folders.append(entry.path if folder == folders[0] else _moved(entry.path, folders[0]))
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106


def _moved(folder: str, top: str) -> str:
    target = os.path.join(top, secrets.token_hex(8))  # noqa: PTH118
    os.rename(folder, target)  # noqa: PTH104
    return target
