"""Raw VisA, as its authors publish it: ``<object>/Data/Images/{Normal,Anomaly}``, masks beside, labels in tables.

``<object>/image_anno.csv`` (image, label, mask) names the defect types of each image, several joined by commas;
``split_csv/1cls.csv`` beside the objects (object, split, label, image, mask) says which normals are for training.
Nothing is copied: the images take the levels and the names that the benchmark gives them in its templates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, listed
from mad_core.datasets.madbench import BENCHMARKS, Identity, identify
from mad_core.datasets.naming import plain
from mad_core.datasets.policies import defect_key
from mad_core.datasets.readers.subset_folder import Class, SubsetFolder, unmatched
from mad_core.datasets.walking import Walker
from mad_core.errors import InputError
from mad_core.tables import read_table

_IMAGES = ("data", "images")
_KINDS = ("normal", "anomaly")
_LABELS, _SPLITS = "image_anno.csv", ("split_csv", "1cls.csv")
_VISA = next(b for b in BENCHMARKS if b.key == "visa")


def is_raw_visa(folder: Path, walker: Walker) -> bool:
    """Whether a folder holds one object of VisA in its authors' own layout."""
    images = _below(folder, _IMAGES, walker)
    if images is None or not any(f.name.lower() in _KINDS for f in walker.folders(images)):
        return False
    identity = identify((folder.parent.name, folder.name))
    in_visa = _VISA.classes(folder.name) or (identity and identity.benchmark is _VISA)
    return bool(in_visa) or any(n.lower() == _LABELS for n in walker.files(folder))


@dataclass(frozen=True, eq=False)
class RawVisa(SubsetFolder):
    """One object of VisA; ``image_anno.csv`` stands for folders that say defect types."""

    @cached_property
    def identity(self) -> Identity | None:
        """The folders' names say it, or the layout does."""
        return identify(self.trail) or Identity(_VISA, self.own)

    @cached_property
    def classes(self) -> list[Class]:
        """None: the tables say what an image is, not its folder."""
        return []

    @cached_property
    def images(self) -> list[Found]:
        """Every image; the level is NaN where its defect types have none."""
        top = _below(self.folder, _IMAGES, self.walker)
        kinds = [f for f in self.walker.folders(top) if f.name.lower() in _KINDS] if top else []
        return [
            self._found(path[len(str(self.folder)) + 1 :], path, kind.name.lower())
            for kind in kinds
            for _, path in sorted(self.walker.images(kind))
        ]

    def leftovers(self) -> list[Problem]:
        """Tables that are missing or cannot be read, images they name that are not there, and loose files."""
        present = {_key(i.relative) for i in self.images}
        absent = [written for key, (written, _) in self._labels.rows.items() if key not in present]
        words = f"{_LABELS} names this image, but it is not in {self.folder}."
        loose = [str(self.folder / n) for n in self.walker.pictures(self.folder)]
        return [
            *self._labels.problems,
            *self._splits.problems,
            *listed(Problem("missing-file", written, words) for written in absent),
            *unmatched(loose, "This image lies in no folder that says its level."),
        ]

    def _found(self, relative: str, path: str, kind: str) -> Found:
        """One image, under the name that the benchmark's templates give it."""
        name = Path(path).name
        label = self._labels.rows.get(_key(relative), ("", kind if kind == "normal" else ""))[1]
        if defect_key(label) == "normal":
            split = self._splits.rows.get(_key(relative), ("", ""))[1].lower() or None
            written = f"train/good/{name}" if split == "train" else f"good_level_0/{name}"
            return Found(self.name, relative, path, written, split, 0.0, promise=str(Path(path).parent))
        level = self._level(label) if label else math.nan
        folder = self._test_folder(label, level)
        return Found(
            self.name,
            relative,
            path,
            f"{folder}/{name}" if folder else relative,
            "test",
            level,
            folder.rpartition("_level_")[0] if folder else defect_key(label) or None,
            promise=str(Path(path).parent / label.replace("/", " ")) if label else str(Path(path).parent),
        )

    def _test_folder(self, label: str, level: float) -> str | None:
        identity = self.identity
        return identity.benchmark.test_folder(identity.part, label, level) if identity else None

    @cached_property
    def _labels(self) -> _Listing:
        path = self.walker.find(self.folder, _LABELS)
        if path is None:
            words = f"VisA's {_LABELS} is not in this folder, so that nothing says the defect types; put it back."
            return _Listing(problems=(Problem("missing-file", str(self.folder / _LABELS), words),))
        return _listing(Path(path), "label", self.folder.name)

    @cached_property
    def _splits(self) -> _Listing:
        """Of ``split_csv/1cls.csv``, the split of the published benchmark."""
        above = self.folder.parent
        path = self.walker.find(above, "/".join(_SPLITS)) if above.is_relative_to(self.walker.root) else None
        if path is None:
            words = (
                "VisA's split_csv/1cls.csv is not beside this folder, so that nothing says which normal images are for "
                "training; they are drawn. Import the folder of all objects, with split_csv in it, instead."
            )
            return _Listing(problems=(Problem("missing-file", str(above.joinpath(*_SPLITS)), words),))
        return _listing(Path(path), "split", self.folder.name)


@dataclass(frozen=True)
class _Listing:
    """What one column of a table says, by image (:func:`_key`): the path as written there, and the cell."""

    rows: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def _listing(path: Path, column: str, own: str) -> _Listing:
    """One column of a table, for the images of one object: a table may list those of all objects."""
    try:
        table = read_table(path)
    except InputError as error:
        return _Listing(problems=(Problem("unmatched", str(path), str(error)),))
    names = {str(c).strip().lower(): c for c in table.columns}
    if not {"image", column} <= names.keys():
        words = f"{path} has no columns image and {column}; it is passed over."
        return _Listing(problems=(Problem("unmatched", str(path), words),))
    return _Listing(dict(_cells(table, names["image"], names[column], own)))


def _cells(table: pd.DataFrame, image: str, column: str, own: str) -> Iterable[tuple[str, tuple[str, str]]]:
    for written, cell in zip(table[image], table[column], strict=True):
        path = str(written).strip().replace("\\", "/")
        above = path[: len(path) - len(_key(path))].strip("/").rpartition("/")[2]
        if not above or plain(above) == plain(own):
            yield _key(path), (path, str(cell).strip())


def _key(path: str) -> str:
    """A path from ``Data`` on, in lower case: tables begin at the folder of all objects."""
    lower = path.lower()
    at = lower.find("data/images/")
    return lower[at:] if at >= 0 else lower


def _below(folder: Path, names: tuple[str, ...], walker: Walker) -> Path | None:
    """A folder below another one, its names in any case."""
    for name in names:
        child = next((f for f in walker.folders(folder) if f.name.lower() == name), None)
        if child is None:
            return None
        folder = child
    return folder
