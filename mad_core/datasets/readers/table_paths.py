"""Where the paths of a table lead: bare names, names without suffix, other folders in front, exports of other tools.

Whatever is written, only images that lie in the dataset's folder are ever named; where two fit, neither is taken.
"""

import itertools
import os
import posixpath
import re
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from mad_core.datasets.mask_names import same as same_name
from mad_core.datasets.naming import SPLITS, plain
from mad_core.datasets.walking import Walker, is_image
from mad_core.image_formats import SUFFIXES

_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]{1,15}://[^/]*", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:(?=/|$)")
_LOCAL_FILES = re.compile(r"\A.*/data/local-files/?\?d=", re.IGNORECASE)
_UPLOAD = re.compile(r"(?:.*/)?(?:data/)?upload/(?:\d+/)?", re.IGNORECASE)
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)", re.IGNORECASE)
_SEEN = 2_000
"""Rows that were not found and are looked at for what would help."""


@dataclass(frozen=True)
class Match:
    """Images that a path may mean, one where it is clear: their relative paths, and what they are called by."""

    relatives: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TablePaths:
    """Images by the paths that a table writes.

    Parameters
    ----------
    where : str
        What holds them, for sentences.
    images : callable
        Gives what a match is called by, by relative path; asked once, when a path is not found as it stands.
    written : sequence of str
        Every path of the table: folders that all of them share in front may be other ones here.
    """

    where: str
    images: Callable[[], Mapping[str, str]]
    written: Sequence[str]

    @classmethod
    def below(cls, folder: Path, walker: Walker, written: Sequence[str]) -> Self:
        """The images below a folder."""
        return cls(str(folder), lambda: dict(walker.images(folder)), written)

    def find(self, written: str, hints: Iterable[str] = ()) -> Match | None:
        """The images that a path may mean; None where there is none.

        Of several those count that lie in a folder called as one of ``hints`` (the row's split or subset).
        """
        for candidate in self._candidates(written):
            relatives = self._ending_in(candidate)
            if len(relatives) > 1:
                relatives = self._hinted(relatives, [h for h in hints if h]) or relatives
            if relatives:
                return Match(tuple(relatives), tuple(self._paths[r] for r in relatives))
        return None

    def cure(self, missing: Sequence[str]) -> str:
        """What most likely helps where these paths were not found, in a sentence."""
        if not self._by_name:
            return f"No image lies in {self.where}: put the table into the folder that holds them."
        names = [posixpath.basename(cleaned(w)) for w in missing[:_SEEN]]
        stems = [_stem(same_name(n)) for n in names]
        same_stem = [s for s in stems if s in self._by_stem]
        if len(same_stem) * 2 > len(stems):
            ending = posixpath.splitext(self._by_stem[same_stem[0]][0])[1]
            return f"Files of these names end in '{ending}' here: write so in the table."
        digits = {_digits(s) for s in self._by_stem}
        if sum(_digits(s) in digits for s in stems if _digits(s)) * 2 > len(stems):
            return (
                f"Numbers are written in another way: the files are called like '{self._example}', the table says "
                f"'{names[0][:80]}'."
            )
        return (
            f"The images in {self.where} are called like '{self._example}': check that the table belongs to them, or "
            "put it into the folder that holds its images."
        )

    @cached_property
    def _example(self) -> str:
        return min(min(self._by_name.values())) if self._by_name else ""

    def _candidates(self, written: str) -> list[str]:
        """A path without what another machine put in front of it, the most of it first."""
        path = cleaned(written)
        parts = [p for p in path.split("/") if p not in ("", ".")]
        if not parts or ".." in parts:
            return []
        uploaded = _UPLOAD.match(f"/{'/'.join(parts)}")
        whole = ["/".join(parts[cut:]) for cut in range(min(self._shared, len(parts) - 1) + 1)]
        if uploaded:
            name = f"/{'/'.join(parts)}"[uploaded.end() :]
            return [*whole, name, _UPLOADED.sub("", name, count=1)]
        return whole

    def _ending_in(self, candidate: str) -> list[str]:
        """Images whose path ends in these folders and this name, case and Unicode form set aside where need be."""
        name = posixpath.basename(candidate)
        candidates = self._by_name.get(same_name(name)) or (
            [] if is_image(name) else self._by_stem.get(same_name(name), [])
        )
        bare = not is_image(name)
        exact = [r for r in candidates if _ends(_stem(r) if bare and not r.endswith(candidate) else r, candidate)]
        loose = same_name(candidate)
        fit = exact or [
            r
            for r in candidates
            if _ends(same_name(_stem(r) if bare and not same_name(r).endswith(loose) else r), loose)
        ]
        return fit

    def _hinted(self, relatives: Sequence[str], hints: Sequence[str]) -> list[str]:
        wanted = {SPLITS.get(h.lower(), h.lower()) for h in hints}

        def folders(relative: str) -> set[str]:
            return {SPLITS.get(p.lower(), p.lower()) for p in relative.split("/")[:-1]}

        return [r for r in relatives if wanted & folders(r)]

    @cached_property
    def _shared(self) -> int:
        """How many folders in front all the table's paths share."""
        trails = (posixpath.dirname("/".join(p for p in cleaned(w).split("/") if p)).split("/") for w in self.written)
        common: list[str] | None = None
        for trail in trails:
            common = trail if common is None else _common(common, trail)
            if not common:
                return 0
        return len([p for p in common or [] if p])

    @cached_property
    def _paths(self) -> Mapping[str, str]:
        return self.images()

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        return _grouped(self._paths, lambda relative: same_name(posixpath.basename(relative)))

    @cached_property
    def _by_stem(self) -> Mapping[str, list[str]]:
        return _grouped(self._paths, lambda relative: _stem(same_name(posixpath.basename(relative))))


def name_key(path: str) -> str:
    """What a path is called by where folders, suffix, case and Unicode form are set aside."""
    return _stem(same_name(posixpath.basename(cleaned(path))))


def naming_column(table: pd.DataFrame, taken: Set[str], images: Callable[[], Set[str]]) -> str | None:
    """The column whose cells name images, one each, where its name does not say so: ``id`` of Kaggle's tables.

    None where no other column than those ``taken`` does, or several do and none of them is called so.
    """
    free = [column for column in table.columns if column not in taken]
    there = images() if free else set()
    fit = [column for column in free if _name_one_each(table[column].astype(str), there)]
    named = [column for column in fit if plain(str(column)) == "id"] or fit
    return named[0] if len(named) == 1 else None


def _name_one_each(cells: Iterable[str], images: Set[str]) -> bool:
    """Whether cells differ and most of them are names of images."""
    names = [name_key(cell) for cell in itertools.islice((c for c in cells if c.strip()), _SEEN)]
    return len(set(names)) == len(names) and sum(name in images for name in names) * 2 > len(names)


def cleaned(written: str) -> str:
    """A path without scheme, host, drive or an export's address in front, percent signs undone, forward slashes."""
    path = _LOCAL_FILES.sub("", written.strip())
    if _SCHEME.match(path):
        path = urllib.parse.unquote(_SCHEME.sub("", path)).partition("?")[0]
    elif "%" in path and path != written.strip():
        path = urllib.parse.unquote(path)
    return _DRIVE.sub("", path.replace("\\", "/"), count=1)


def real_inside(written: str, root: Path) -> str | None:
    """An absolute path that leads into a folder once links are resolved, relative to it; None of all others."""
    path = written.removeprefix("file://")
    if not path.startswith("/") or "\0" in path or len(path) > 4096:
        return None
    real = os.path.realpath(path)
    return os.path.relpath(real, root) if real.startswith(f"{root}{os.sep}") else None


def _grouped(paths: Iterable[str], key: Callable[[str], str]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return dict(groups)


def _common(one: list[str], other: list[str]) -> list[str]:
    """What two lists of folders begin with."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return [folder for folder, _ in same]


def _ends(path: str, candidate: str) -> bool:
    return path == candidate or path.endswith(f"/{candidate}")


def _stem(path: str) -> str:
    """A path without a picture's suffix; other dots stay."""
    stem, suffix = posixpath.splitext(path)
    return stem if suffix.lower() in SUFFIXES else path


def _digits(text: str) -> str:
    """The numbers of a name without their leading zeros."""
    return "-".join(str(int(d)) for d in re.findall(r"\d{1,18}", text))
