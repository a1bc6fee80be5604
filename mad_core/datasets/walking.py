"""Walking a dataset's folder: hidden files are passed over, links that lead out of it are refused."""

import itertools
import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mad_core.datasets import mask_names
from mad_core.datasets.dataset import Problem
from mad_core.datasets.mask_names import PROBES, Sorted
from mad_core.datasets.naming import TEMPLATES
from mad_core.datasets.plan import MASKS, ImportPlan
from mad_core.datasets.policies import LEFT_OUT
from mad_core.errors import InputError
from mad_core.image_formats import HEAD, SUFFIXES, kind_of
from mad_core.images import looks_like_mask
from mad_core.paths import MOST_PARTS

IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found"})
COMPANIONS = frozenset(
    {".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".yaml", ".yml", ".xml"}
    | {".html", ".pdf", ".cls"}
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
    plan : ImportPlan
        Folders that it leaves out are not listed, those that it calls masks hold no images.
    """

    root: Path
    progress: Callable[[int, int], None]
    plan: ImportPlan = field(default_factory=ImportPlan)
    problems: dict[str, Problem] = field(default_factory=dict)
    _listings: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    _spellings: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    _contents: dict[str, bool] = field(default_factory=dict)
    _seen: int = 0
    _sorted: dict[str, Sorted] = field(default_factory=dict)
    _of_masks: dict[str, bool] = field(default_factory=dict)

    def folders(self, folder: Path) -> list[Path]:
        """The subfolders of a folder, by name."""
        return [folder / name for name in self._list(str(folder))[0]]

    def image_folders(self, folder: Path) -> list[Path]:
        """Those of them that may hold images: neither masks nor templates, by name or by the plan."""
        return [f for f in self.folders(folder) if not self.is_beside(f)]

    def relative(self, path: str | Path) -> str:
        """A path relative to the root in POSIX form, ``.`` for the root itself: how a plan names it."""
        return Path(path).relative_to(self.root).as_posix()

    def files(self, folder: Path) -> list[str]:
        """Names of the files right in a folder, images or not, by name."""
        return self._list(str(folder))[1]

    def pictures(self, folder: Path) -> list[str]:
        """Names of the image files right in a folder, by name; masks, and what may be one, are left out."""
        others = self.sorted_out(folder)
        return [name for name in self._images_in(str(folder)) if name not in others.masks and name not in others.asked]

    def sorted_out(self, folder: Path) -> Sorted:
        """The image files right in a folder that are masks, or may be."""
        place = str(folder)
        if place not in self._sorted:
            names = self._images_in(place)
            self._sorted[place] = mask_names.sort_out(names, lambda name: bool(_probe(os.path.join(place, name))))  # noqa: PTH118
        return self._sorted[place]

    def images(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Every picture below a folder: its path relative to it (POSIX form) and its path; masks are none."""
        for place, relative in self._places(folder, self.is_beside):
            for name in self.pictures(Path(place)):
                yield relative + name, os.path.join(place, name)  # noqa: PTH118

    def is_image(self, path: str) -> bool:
        """Whether a file is an image, by its name; by its content where the name has no suffix that says anything."""
        if is_image(path):
            return True
        if not _silent(path):
            return False
        if path not in self._contents:
            self._contents[path] = image_kind(path) is not None
        return self._contents[path]

    def masks(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Every image file below a folder of masks, as :meth:`images`."""
        for place, relative in self._places(folder, lambda _: False):
            for name in self._images_in(place):
                yield relative + name, os.path.join(place, name)  # noqa: PTH118

    def listed(self) -> list[Path]:
        """The folders that were listed so far, by name."""
        return [Path(place) for place in sorted(self._listings)]

    def is_beside(self, folder: Path) -> bool:
        """Whether a folder lies beside the pictures: templates or masks; nothing in it is a picture."""
        return folder != self.root and (folder.name.lower() in TEMPLATES or self.holds_masks(folder))

    def holds_masks(self, folder: Path) -> bool:
        """Whether a folder is called as those of masks are; where that may mean something else, pixels decide."""
        place, told = str(folder), self.plan.folder(self.relative(folder)) if self.plan.folders else None
        if told:
            return told.role == MASKS
        if place not in self._of_masks:
            self._of_masks[place] = mask_names.holds_masks(folder.name) or (
                mask_names.may_hold_masks(folder.name) and self._looks_like_masks(folder)
            )
        return self._of_masks[place]

    def _looks_like_masks(self, folder: Path) -> bool:
        """Whether the first files below a folder look like masks; of files that stand for others the name counts."""
        answers = [_probe(path) for _, path in itertools.islice(self.masks(folder), PROBES)]
        return bool(answers) and all(answer is not False for answer in answers)

    def _images_in(self, place: str) -> list[str]:
        return [name for name in self._list(place)[_FILES] if self.is_image(f"{place}{os.sep}{name}")]

    def strangers(self, folder: Path) -> Iterator[str]:
        """Files below a folder that are neither images nor texts that often lie beside them."""
        expected = SUFFIXES | COMPANIONS
        return (path for _, path in self._below(folder) if _suffix(path) not in expected and not self.is_image(path))

    def find(self, folder: Path, relative: str) -> str | None:
        """A file below a folder by its relative path; None where it is not.

        Where no name is exactly so, one that differs in case or in its Unicode form alone counts.
        """
        place = str(folder)
        *above, name = relative.split("/")
        for part in above:
            spelled = self._spelled(place, _FOLDERS, part)
            if spelled is None:
                return None
            place = os.path.join(place, spelled)  # noqa: PTH118 - 100,000 times
        spelled = self._spelled(place, _FILES, name)
        return None if spelled is None else os.path.join(place, spelled)  # noqa: PTH118

    def _spelled(self, place: str, kind: int, name: str) -> str | None:
        """How a name is really spelled in a folder; None where nothing there is called so."""
        if (place, kind) not in self._spellings:
            names = self._list(place)[kind]
            self._spellings[place, kind] = {mask_names.same(n): n for n in names} | {n: n for n in names}
        spellings = self._spellings[place, kind]
        return spellings.get(name) or spellings.get(mask_names.same(name))

    def _below(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Every file below a folder, masks and templates left out."""
        for place, relative in self._places(folder, self.is_beside):
            for name in self._list(place)[_FILES]:
                yield relative + name, os.path.join(place, name)  # noqa: PTH118

    def _places(self, folder: Path, skipped: Callable[[Path], bool]) -> Iterator[tuple[str, str]]:
        """A folder and those below it: paths, and paths relative to it that end in ``/``."""
        waiting = [(str(folder), "", frozenset[str]())]
        while waiting:
            place, relative, above = waiting.pop()
            real = os.path.realpath(place)
            if real in above:  # a link to a folder above: walking on would never end
                continue
            yield place, relative
            below = above | {real}
            for name in reversed(self._list(place)[_FOLDERS]):
                path = os.path.join(place, name)  # noqa: PTH118
                if not skipped(Path(path)):
                    waiting.append((path, f"{relative}{name}/", below))

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
                    if entry.is_dir() and not self._left_out(entry.path):
                        folders.append(entry.name)
                    elif entry.is_file():
                        files.append(entry.name)
        except OSError as error:
            self._problem("unreadable", place, f"The folder cannot be listed: {error.strerror}.")
        if folders and place.count(os.sep) - str(self.root).count(os.sep) >= MOST_PARTS:
            self._problem("unreadable", place, f"Folders below this one, {MOST_PARTS} deep, are not looked into.")
            folders = []
        return sorted(folders), sorted(files)

    def _left_out(self, place: str) -> bool:
        if not self.plan.folders:
            return False
        told = self.plan.folder(self.relative(place))
        return told is not None and told.role == LEFT_OUT

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
                "missing-file",
                entry.path,
                "This link leads out of the dataset's folder and is not followed; name the folder above with both, "
                "or copy the data with its links followed (cp -rL).",
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


def _probe(path: str) -> bool | None:
    """Whether a file looks like a mask; None where it is empty and only stands for one that lies elsewhere."""
    try:
        return looks_like_mask(Path(path)) if Path(path).stat().st_size else None
    except OSError:
        return False


def is_hidden(name: str) -> bool:
    """Files that operating systems leave behind, and hidden ones."""
    return name.startswith(".") or name.lower() in IGNORED


def is_image(name: str) -> bool:
    return _suffix(name) in SUFFIXES


def _silent(name: str) -> bool:
    """Whether a file's name says nothing of its kind: no suffix, or numbers alone, as archives of radiology use."""
    suffix = _suffix(name)
    return suffix in ("", ".") or suffix[1:].isdigit()


def image_kind(path: str) -> str | None:
    """The format of which a plain file is by its first bytes; None where it is no image."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            return kind_of(file.read(HEAD)) if stat.S_ISREG(os.fstat(handle).st_mode) else None
        except OSError:
            return None


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()
