"""Public data sets in their authors' own layouts, where folders alone do not say what an image is.

MVTec 3D-AD (``test/<defect>/rgb`` beside ``gt`` and ``xyz``), MVTec AD 2 (``test_public/bad``), DAGM 2007
(``Class1/Train/Label``), KolektorSDD (``kos01/Part0.jpg`` and ``Part0_label.bmp``), KolektorSDD2 (``train/10000.png``
and ``10000_GT.png``), Real-IAD (``<object>/NG/<defect>/S0001/…jpg`` with the mask beside). Sound images are level 0, as
their authors say; what level a defect type has, a severity policy says. BTAD, MVTec AD and MVTec LOCO are trees of
folders and need no reader of their own, raw VisA has one in :mod:`mad_core.datasets.readers.visa`.
"""

import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, split_of, stem
from mad_core.datasets.naming import NORMAL, SPLITS, UNLABELLED, Meaning, meanings
from mad_core.datasets.policies import Policy
from mad_core.datasets.readers.annotations import NOTHING_SAID, read_label_table
from mad_core.datasets.readers.subset_folder import Class, SubsetFolder, unmatched
from mad_core.datasets.walking import Walker, is_image
from mad_core.errors import InputError
from mad_core.images import ImageError, read_mask

GOOD, DEFECT = "good", "defect"
_PRIVATE = ("test_private", "test_private_mixed")


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """One image of a layout: its split, what it shows, its path, the folder that says so, its mask."""

    split: str | None
    kind: str
    path: str
    folder: Path
    mask: str | None = None


def layout_of(folder: Path, walker: Walker) -> str | None:
    """Which of the layouts a folder has; None for all others."""
    inside = {f.name.lower(): f for f in walker.folders(folder)}
    splits = [f for name, f in inside.items() if name in SPLITS or name.startswith("test_")]
    if "test_public" in inside and "train" in inside:
        return "mvtec-ad-2"
    kinds = [k for s in splits for k in walker.folders(s)]
    if kinds and any(_has(k, walker, "rgb") and (_has(k, walker, "xyz") or _has(k, walker, "gt")) for k in kinds):
        return "mvtec-3d"
    labels = [label for s in splits if _loose(s, walker) and (label := _inner(s, walker, "label"))]
    if labels and all(stem(n).lower().endswith("_label") for label in labels for n in _loose(label, walker)):
        return "dagm"
    if splits and all(any(stem(n).endswith("_GT") for n in _loose(s, walker)) for s in splits):
        return "ksdd2"
    parts = [f for name, f in inside.items() if re.fullmatch(r"kos\d+", name)]
    if parts and any(re.fullmatch(r"part\d+_label\.\w+", n.lower()) for n in walker.files(parts[0])):
        return "ksdd"
    if {"ok", "ng"} <= inside.keys() and any(
        re.fullmatch(r"s\d+", f.name.lower()) for f in walker.folders(inside["ok"])
    ):
        return "real-iad"
    return None


def published_place(folder: Path, trail: tuple[str, ...], walker: Walker, policy: Policy | None) -> SubsetFolder | None:
    """The subset that a folder of one of the layouts holds; None for all others."""
    layout = layout_of(folder, walker)
    return PublishedFolder(folder, trail, walker, policy, layout) if layout else None


@dataclass(frozen=True, eq=False)
class PublishedFolder(SubsetFolder):
    """One subset in one of the layouts."""

    layout: str = ""

    @cached_property
    def classes(self) -> list[Class]:
        """A class for each split and kind that the layout holds."""
        kinds = dict.fromkeys((i.split, i.kind) for i in self._items)
        return [
            Class(self.folder / (split or "") / kind, "", "", split, self._level_of(kind), self._defect(kind))
            for split, kind in kinds
        ]

    @cached_property
    def images(self) -> list[Found]:
        """Every image; the level is NaN where no policy says that of its defect type."""
        return sorted(map(self._found, self._items), key=lambda f: f.relative)

    def leftovers(self) -> list[Problem]:
        """Masks without an image, and parts of the layout that hold no labels."""
        private = [f for f in self.walker.folders(self.folder) if f.name.lower() in _PRIVATE]
        words = "Nothing says what these images show: their labels are kept by the authors' server. They are left out."
        loose = [str(self.folder / n) for n in self.walker.files(self.folder) if is_image(n)]
        return [
            *unmatched((str(f) for f in private), words),
            *unmatched(loose, "This image lies in no folder that says its level."),
        ]

    def _found(self, item: PublishedImage) -> Found:
        relative = item.path[len(str(self.folder)) + 1 :].replace("\\", "/")
        origin = self.walker.relative(item.folder)
        told = self.walker.plan.folder(origin)
        planned = told.level if told else None
        level = self._level_of(item.kind) if planned is None else planned
        return Found(
            self.name,
            relative,
            item.path,
            relative.removeprefix("test/"),
            split_of(item.split, level),
            level,
            self._defect(item.kind),
            item.mask,
            str(self.folder / (item.split or "") / item.kind),
            origin=origin,
            word=item.kind if planned is None and self._by_policy(item.kind) is not None else "",
        )

    def _level_of(self, kind: str) -> float:
        """The level that a policy says, else the one in the folder's name; NaN where there is none."""
        told, meaning = self._by_policy(kind), self._said.get(kind)
        if told is None and kind == NOTHING_SAID:
            return UNLABELLED
        if told is None:
            return meaning.level if meaning else math.nan
        return told

    def _by_policy(self, kind: str) -> float | None:
        if kind.lower() in NORMAL or self.policy is None:
            return None
        return self.policy.level(kind, self.own, self.name)

    def _defect(self, kind: str) -> str | None:
        meaning = self._said.get(kind)
        return meaning.defect if meaning else kind

    @cached_property
    def _said(self) -> Mapping[str, Meaning | None]:
        """What the names of the kinds say, beside each other."""
        return meanings(dict.fromkeys(i.kind for i in self._items))

    @cached_property
    def _items(self) -> list[PublishedImage]:
        readers = {
            "mvtec-ad-2": self._ad_2,
            "mvtec-3d": self._mvtec_3d,
            "dagm": self._dagm,
            "ksdd2": self._ksdd2,
            "ksdd": self._ksdd,
            "real-iad": self._real_iad,
        }
        return list(readers[self.layout]())

    def _splits(self) -> Iterator[tuple[str, Path]]:
        for folder in self.walker.folders(self.folder):
            split = "test" if folder.name.lower() == "test_public" else SPLITS.get(folder.name.lower())
            if split:
                yield split, folder

    def _ad_2(self) -> Iterator[PublishedImage]:
        for split, folder in self._splits():
            truth = _inner(folder, self.walker, "ground_truth")
            masks = _by_stem(_every(self.walker, truth)) if truth else {}
            for kind in self.walker.folders(folder):
                if kind != truth:
                    for relative, path in _every(self.walker, kind):
                        mask = masks.get(f"{kind.name}/{stem(relative)}_mask".lower())
                        yield PublishedImage(split, kind.name, path, kind, mask)

    def _mvtec_3d(self) -> Iterator[PublishedImage]:
        for split, folder in self._splits():
            for kind in self.walker.folders(folder):
                pictures, truth = _inner(kind, self.walker, "rgb"), _inner(kind, self.walker, "gt")
                masks = _by_stem(_every(self.walker, truth)) if truth else {}
                alone = ((name, str(kind / name)) for name in _loose(kind, self.walker))
                for relative, path in _every(self.walker, pictures) if pictures else alone:
                    mask = None if kind.name.lower() in NORMAL else masks.get(stem(relative).lower())
                    yield PublishedImage(split, kind.name, path, kind, mask)

    def _dagm(self) -> Iterator[PublishedImage]:
        for split, folder in self._splits():
            label = _inner(folder, self.walker, "label")
            masks = _by_stem(_every(self.walker, label)) if label else {}
            for name in _loose(folder, self.walker):
                mask = masks.get(f"{stem(name)}_label".lower())
                yield PublishedImage(split, DEFECT if mask else GOOD, str(folder / name), folder, mask)

    def _ksdd2(self) -> Iterator[PublishedImage]:
        for split, folder in self._splits():
            yield from self._with_masks(split, folder, "_gt")

    def _ksdd(self) -> Iterator[PublishedImage]:
        for folder in self.walker.folders(self.folder):
            if re.fullmatch(r"kos\d+", folder.name.lower()):
                yield from self._with_masks(None, folder, "_label")

    def _with_masks(self, split: str | None, folder: Path, ending: str) -> Iterator[PublishedImage]:
        """Images with a mask beside each, which marks nothing where the image shows no defect."""
        names = {stem(n).lower(): n for n in _loose(folder, self.walker)}
        for key, name in names.items():
            if key.endswith(ending):
                continue
            mask = names.get(key + ending)
            path = str(folder / name)
            if mask is None:
                yield PublishedImage(split, NOTHING_SAID, path, folder)
                continue
            marked = _marks(folder / mask)
            kind = "unreadable mask" if marked is None else DEFECT if marked else GOOD
            yield PublishedImage(split, kind, path, folder, str(folder / mask) if marked else None)

    def _real_iad(self) -> Iterator[PublishedImage]:
        listed = self._listed
        for side in self.walker.folders(self.folder):
            if side.name.lower() not in ("ok", "ng"):
                continue
            files = dict(_every(self.walker, side))
            masks = {stem(r): p for r, p in files.items() if r.lower().endswith(".png")}
            for relative, path in files.items():
                if stem(relative) in masks and not relative.lower().endswith((".jpg", ".jpeg")):
                    continue
                sound = side.name.lower() == "ok"
                kind = GOOD if sound else relative.partition("/")[0]
                split = listed.get(posixpath.basename(relative)) if listed else None
                mask = masks.get(stem(relative)) if masks.get(stem(relative)) != path else None
                yield PublishedImage(split, kind, path, side if sound else side / kind, mask)

    @cached_property
    def _listed(self) -> Mapping[str, str]:
        """The split of each image by its name, from ``realiad_jsons/<object>.json`` where that lies near."""
        for above in (self.folder.parent, self.folder.parent.parent):
            if not above.is_relative_to(self.walker.root):
                break
            for folder in (above, *self.walker.folders(above)):
                path = self.walker.find(folder, f"{self.folder.name}.json")
                if path is None:
                    continue
                try:
                    table, _ = read_label_table(Path(path))
                except InputError:
                    continue
                if {"path", "split"} <= set(table.columns):
                    names = (posixpath.basename(p) for p in table["path"])
                    return dict(zip(names, table["split"], strict=True))
        return {}


def _marks(path: Path) -> bool | None:
    """Whether a mask marks anything; None where it cannot be read."""
    try:
        return bool(read_mask(path).any())
    except ImageError:
        return None


def _has(folder: Path, walker: Walker, name: str) -> bool:
    return _inner(folder, walker, name) is not None


def _inner(folder: Path, walker: Walker, name: str) -> Path | None:
    return next((f for f in walker.folders(folder) if f.name.lower() == name), None)


def _every(walker: Walker, folder: Path, ahead: str = "") -> Iterator[tuple[str, str]]:
    """Every image file below a folder, masks among them: its relative path and its path."""
    yield from ((ahead + name, str(folder / name)) for name in _loose(folder, walker))
    for inner in walker.folders(folder):
        yield from _every(walker, inner, f"{ahead}{inner.name}/")


def _loose(folder: Path, walker: Walker) -> list[str]:
    """The images right in a folder."""
    return [n for n in walker.files(folder) if is_image(n)]


def _by_stem(images: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {stem(relative).lower(): path for relative, path in images}
