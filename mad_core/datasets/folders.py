"""The folders of this machine, one at a time, for somebody who chooses what to import.

Only what lies, links resolved, below the allowed roots is listed, and of anything else nothing is said: neither that it
is there nor that it is not.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mad_core.datasets.readers.archives import SUFFIXES as ARCHIVES
from mad_core.datasets.walking import IGNORED
from mad_core.errors import InputError
from mad_core.image_formats import SUFFIXES
from mad_core.settings import Settings
from mad_core.tables import is_table

MOST = 20_000
"""Entries of a folder that are listed."""
COUNTED = 2_000
"""Entries below a folder that are looked at to count its pictures."""


@dataclass(frozen=True)
class Listing:
    """What can be chosen in a folder.

    Parameters
    ----------
    folder : Path
        Resolved.
    above : Path or None
        The folder that it lies in, where that may be opened.
    folders, files : tuple of str
        Names, in alphabetical order: subfolders, and tables and archives.
    cut : bool
        Whether there are more entries than are listed.
    """

    folder: Path
    above: Path | None
    folders: tuple[str, ...]
    files: tuple[str, ...]
    cut: bool = False


def roots(settings: Settings) -> list[Path]:
    """The folders that one may begin with: the allowed roots that are there, resolved, each once."""
    return sorted({root.resolve() for root in settings.allowed_roots if root.is_dir()})


def list_folder(folder: Path, settings: Settings) -> Listing:
    """What lies in a folder; what is hidden, and links that lead out of the allowed roots, are left out.

    Raises
    ------
    InputError
        If it may not be opened, is no folder, or cannot be read; which of the first two stays unsaid.
    """
    real = folder.expanduser().resolve() if settings.may_open(folder) else None
    if real is None or not real.is_dir():
        raise InputError(f"{str(folder)[:300]} is no folder that may be opened here; see MAD_ALLOWED_ROOTS.")
    folders: list[str] = []
    files: list[str] = []
    cut = False
    try:
        for place, entry in enumerate(_entries(real)):
            if place == MOST:
                cut = True
                break
            if entry.is_symlink() and not settings.may_open(Path(entry.path)):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.is_file() and (is_table(Path(entry.name)) or entry.name.lower().endswith(ARCHIVES)):
                files.append(entry.name)
    except OSError as error:
        raise InputError(f"{real} cannot be read: {error.strerror or error}.") from error
    above = real.parent if real.parent != real and settings.may_open(real.parent) else None
    return Listing(real, above, tuple(sorted(folders, key=_order)), tuple(sorted(files, key=_order)), cut)


def count_pictures(folder: Path) -> tuple[int, bool]:
    """How many files below a folder are pictures by their names, and whether all of it was looked at.

    Links are not followed; folders that cannot be read hold none.
    """
    pictures, left, waiting = 0, COUNTED, [str(folder)]
    while waiting:
        try:
            for entry in _entries(waiting.pop()):
                left -= 1
                if left < 0:
                    return pictures, False
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    pictures += os.path.splitext(entry.name)[1].lower() in SUFFIXES  # noqa: PTH122
        except OSError:
            continue
    return pictures, True


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """What is not hidden, and has a name that can be written."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.lower() not in IGNORED and entry.name.isprintable():
                yield entry


def _order(name: str) -> tuple[str, str]:
    return name.casefold(), name
