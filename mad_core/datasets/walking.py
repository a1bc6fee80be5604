"""Walking a dataset's folder: hidden files are passed over, links that lead out of it are refused."""

import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mad_core.datasets.dataset import Problem
from mad_core.datasets.naming import BESIDE
from mad_core.errors import InputError
from mad_core.images import SUFFIXES

IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found"})
COMPANIONS = frozenset(
    {".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".yaml", ".yml", ".xml", ".html", ".pdf"}
)
"""Suffixes of files that often lie beside images and are none."""
MOST_FOLDERS = 200_000
_REPORT_EVERY = 200
_FOLDERS, _FILES = 0, 1  # places in a listing


@dataclass
class Walker:
    """Lists folders and images below one root and keeps the problems met there, one a path.

    Parameters
    ----------
    root : Path
        Resolved; nothing outside of it is listed.
    progress : callable
        Called as ``progress(0, images found so far)`` now and then; what it raises ends the walk.
    """

    root: Path
    progress: Callable[[int, int], None]
    problems: dict[str, Problem] = field(default_factory=dict)
    _listings: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    _spellings: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    _seen: int = 0

    def folders(self, folder: Path) -> list[Path]:
        """The subfolders of a folder, by name."""
        return [folder / name for name in self._list(str(folder))[0]]

    def files(self, folder: Path) -> list[str]:
        """Names of the files right in a folder, images or not, by name."""
        return self._list(str(folder))[1]

    def images(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Every image file below a folder: its path relative to it (POSIX form) and its path."""
        return ((relative, path) for relative, path in self._below(folder) if is_image(path))

    def strangers(self, folder: Path) -> Iterator[str]:
        """Files below a folder that are neither images nor texts that often lie beside them."""
        known = SUFFIXES | COMPANIONS
        return (path for _, path in self._below(folder) if _suffix(path) not in known)

    def find(self, folder: Path, relative: str) -> str | None:
        """A file below a folder by its relative path; None where it is not.

        Where no name is exactly so, one that differs in case or in its Unicode form alone counts.
        """
        place = str(folder)
        *above, name = relative.split("/")
        for part in above:
            found = self._spelled(place, _FOLDERS, part)
            if found is None:
                return None
            place = os.path.join(place, found)  # noqa: PTH118 - 100,000 times
        found = self._spelled(place, _FILES, name)
        return None if found is None else os.path.join(place, found)  # noqa: PTH118

    def _spelled(self, place: str, kind: int, name: str) -> str | None:
        """How a name is really spelled in a folder; None where nothing there is called so."""
        if (place, kind) not in self._spellings:
            names = self._list(place)[kind]
            self._spellings[place, kind] = {same_name(n): n for n in names} | {n: n for n in names}
        known = self._spellings[place, kind]
        return known.get(name) or known.get(same_name(name))

    def _below(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Every file below a folder, masks and templates left out."""
        waiting = [(str(folder), "", frozenset[str]())]
        while waiting:
            place, relative, above = waiting.pop()
            real = os.path.realpath(place)
            if real in above:  # a link to a folder above: walking on would never end
                continue
            subfolders, files = self._list(place)
            for name in files:
                yield relative + name, os.path.join(place, name)  # noqa: PTH118
            below = above | {real}
            for name in reversed(subfolders):
                if name.lower() not in BESIDE:
                    waiting.append((os.path.join(place, name), f"{relative}{name}/", below))  # noqa: PTH118

    def _list(self, place: str) -> tuple[list[str], list[str]]:
        if place not in self._listings:
            if len(self._listings) >= MOST_FOLDERS:
                raise InputError(f"{self.root} holds more than {MOST_FOLDERS} folders; name the dataset's own folder.")
            self._listings[place] = self._read(place)
            self._seen += sum(map(is_image, self._listings[place][1]))
            if len(self._listings) % _REPORT_EVERY == 1:
                self.progress(0, self._seen)
        return self._listings[place]

    def _read(self, place: str) -> tuple[list[str], list[str]]:
        folders, files = [], []
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if is_hidden(entry.name) or not self._usable(entry):
                        continue
                    if entry.is_dir():
                        folders.append(entry.name)
                    elif entry.is_file():
                        files.append(entry.name)
        except OSError as error:
            self._problem("unreadable", place, f"The folder cannot be listed: {error.strerror}.")
        return sorted(folders), sorted(files)

    def _usable(self, entry: os.DirEntry[str]) -> bool:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            self._problem("unreadable", entry.path, "The name of this file is not UTF-8; rename it.")
            return False
        if not entry.is_symlink():
            return True
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(self.root):
            self._problem(
                "missing-file", entry.path, "This link leads out of the dataset's folder and is not followed."
            )
            return False
        if Path(entry.path).parent.resolve().is_relative_to(target):
            self._problem("unmatched", entry.path, "This link leads to a folder above it and is not followed.")
            return False
        if not target.exists():
            self._problem("missing-file", entry.path, "This link leads to a file that is not there.")
            return False
        return True

    def _problem(self, kind: str, path: str, message: str) -> None:
        self.problems[path] = Problem(kind, path.encode(errors="replace").decode(), message)


def is_hidden(name: str) -> bool:
    """Files that operating systems leave behind, and hidden ones."""
    return name.startswith(".") or name.lower() in IGNORED


def same_name(name: str) -> str:
    """A name without regard to case and to the Unicode form in which an accent is written."""
    return unicodedata.normalize("NFC", name).casefold()


def is_image(name: str) -> bool:
    return _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()
