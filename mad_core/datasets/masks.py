"""Which masks belong to which pictures, wherever they lie and however they are called."""

import math
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mad_core.datasets import mask_names
from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, Gathered, listed, stem
from mad_core.datasets.naming import SPLITS, meaning, plain
from mad_core.datasets.readers.outlines import outlines_beside
from mad_core.datasets.walking import Walker

GENERIC = frozenset(
    {"image", "images", "img", "imgs", "rgb", "data", "input", "inputs", "photo", "photos", "picture", "pictures"}
    | {"jpegimages", "original", "originals", "raw", "src", "source", "frames", "scans"}
)
"""Folders that hold the pictures themselves and say nothing else."""
_NO_IMAGE = "This mask belongs to no image."
_SEVERAL = "Several images are called as this mask is, and nothing says which of them it belongs to."
_ASKED = (
    "This file has two values only and is called as {} is: it may be its mask or a picture. It counts as neither; "
    "call it {}_mask if it is a mask, or give it a name of its own."
)
_SAME_STEM = (
    "This file has two values only and is called as the image beside it but for the suffix: it counts as its mask. "
    "If it is a picture, give it a name of its own."
)


@dataclass(frozen=True)
class MaskFile:
    """A mask, and what its place and name say of its picture.

    Parameters
    ----------
    path : str
    anchor : tuple of str
        Folders from the root to the one that holds the folder of masks, or the mask itself.
    inner : tuple of str
        Folders below the folder of masks.
    stems : sequence of str
        Names of the picture, without suffix, the likeliest first.
    """

    path: str
    anchor: tuple[str, ...]
    inner: tuple[str, ...]
    stems: Sequence[str]


@dataclass(frozen=True)
class _Picture:
    path: str
    folders: tuple[str, ...]
    split: str | None


def attach(gathered: Gathered, walker: Walker) -> Gathered:
    """Give every picture its masks; masks that belong to none, and files that may be masks, are problems.

    A mask that a table names counts alone. Else a picture has every mask that is called as it is, in a folder of
    masks beside it or beside a folder above it, or right beside it, and the outlines that an export or a file beside it
    draws; several count together.
    """
    named = {f.mask for f in gathered.found if f.mask}
    files = [m for m in mask_files(walker, {f.path for f in gathered.found}) if m.path not in named]
    pictures, left_out = _by_stem(gathered.found, walker.root), _by_stem(_others(gathered.found, walker), walker.root)
    of: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {_NO_IMAGE: [], _SEVERAL: []}
    for mask in files:
        owners = _pictures_of(mask, pictures)
        if len(owners) == 1:
            of.setdefault(owners[0], []).append(mask.path)
        elif owners or not _pictures_of(mask, left_out):
            problems[_SEVERAL if owners else _NO_IMAGE].append(mask.path)
    images = [replace(f, masks=(f.mask,) if f.mask else tuple(sorted(of.get(f.path, ())))) for f in gathered.found]
    beside = outlines_beside({f.path for f in images if not f.mask}, walker)
    told = {path: drawn for path, drawn in gathered.outlines.items() if drawn.shapes or path not in beside}
    outlines = {**beside, **told}
    images = [f if f.mask else replace(f, outlines=outlines.get(f.path)) for f in images]
    unread = [p for words, paths in problems.items() for p in listed(Problem("unmatched", x, words) for x in paths)]
    return replace(gathered, found=tuple(images), problems=(*gathered.problems, *unread, *_questions(walker)))


def _others(images: Iterable[Found], walker: Walker) -> list[Found]:
    """Pictures that were left out, for a reason that is told: their masks are no problem of their own."""
    taken = {f.path for f in images}
    paths = (str(folder / name) for folder in _of_pictures(walker) for name in walker.pictures(folder))
    return [Found("", "", path, "", None, math.nan) for path in paths if path not in taken]


def mask_files(walker: Walker, pictures: Iterable[str]) -> list[MaskFile]:
    """Masks in folders of masks beside the pictures or above them, and those beside pictures."""
    folders = {folder for path in pictures for folder in _up(Path(path).parent, walker.root)}
    tops = [sub for folder in sorted(folders) for sub in walker.folders(folder) if walker.holds_masks(sub)]
    in_folders = [mask for top in tops for mask in _in_folder(top, walker)]
    beside = [
        MaskFile(str(folder / name), _parts(folder, walker.root), (), (of,))
        for folder in _of_pictures(walker)
        for name, of in walker.sorted_out(folder).masks.items()
    ]
    return [*in_folders, *beside]


def _of_pictures(walker: Walker) -> list[Path]:
    """The folders that were listed and hold no masks, nor lie in one that does."""
    return [f for f in walker.listed() if not any(map(walker.is_beside, _up(f, walker.root)))]


def _up(folder: Path, root: Path) -> Iterator[Path]:
    while folder.is_relative_to(root):
        yield folder
        if folder == root:
            return
        folder = folder.parent


def _in_folder(top: Path, walker: Walker) -> Iterator[MaskFile]:
    anchor = _parts(top.parent, walker.root)
    for relative, path in walker.masks(top):
        *inner, name = relative.split("/")
        inner = [part for part in inner if not mask_names.holds_masks(part)]
        yield MaskFile(path, anchor, tuple(inner), mask_names.picture_stems(stem(name)))


def _parts(folder: Path, root: Path) -> tuple[str, ...]:
    return folder.relative_to(root).parts


def _by_stem(images: Iterable[Found], root: Path) -> Mapping[str, list[_Picture]]:
    index: dict[str, list[_Picture]] = {}
    for f in {f.path: f for f in images}.values():
        folders = posixpath.relpath(posixpath.dirname(f.path), str(root)).split("/")
        picture = _Picture(f.path, () if folders == ["."] else tuple(folders), f.split)
        index.setdefault(mask_names.same(stem(posixpath.basename(f.path))), []).append(picture)
    return index


def _pictures_of(mask: MaskFile, pictures: Mapping[str, list[_Picture]]) -> list[str]:
    """The pictures that a mask may belong to: one where all is well."""
    tries = [(name, mask.inner) for name in mask.stems]
    if mask.inner:  # a folder of masks an image, as MVTec LOCO has them
        tries.append((mask.inner[-1], mask.inner[:-1]))
    for name, inner in tries:
        called = pictures.get(mask_names.same(name), ())
        for depth in range(len(mask.anchor), -1, -1):
            nearest = _nearest(
                called, mask.anchor[:depth], inner if depth == len(mask.anchor) else (*mask.anchor[depth:], *inner)
            )
            if nearest:
                return nearest
    return []


def _nearest(called: Iterable[_Picture], anchor: tuple[str, ...], inner: tuple[str, ...]) -> list[str]:
    """Of the pictures below a folder those whose own folders agree best with a mask's."""
    below = [(p, p.folders[len(anchor) :]) for p in called if p.folders[: len(anchor)] == anchor]
    for agree in (_equal, _alike, _within):
        agreeing = [p for p, folders in below if agree(inner, folders)]
        if len(agreeing) > 1:
            agreeing = [p for p in agreeing if p.split != "train"] or agreeing
        if agreeing:
            return [p.path for p in agreeing]
    return []


def _equal(inner: tuple[str, ...], folders: tuple[str, ...]) -> bool:
    return [x.casefold() for x in inner] == [x.casefold() for x in folders]


def _alike(inner: tuple[str, ...], folders: tuple[str, ...]) -> bool:
    return _one_split(inner, folders) and _content_folders(inner) == _content_folders(folders)


def _within(inner: tuple[str, ...], folders: tuple[str, ...]) -> bool:
    """Whether a mask's folders stand among the picture's, in order."""
    rest = iter(_content_folders(folders))
    return _one_split(inner, folders) and all(part in rest for part in _content_folders(inner))


def _content_folders(folders: Iterable[str]) -> list[str]:
    """Folders that say what is in them: without splits and those of pictures alone, levels without their number."""
    names = []
    for folder in folders:
        sense = meaning(folder)
        name = plain(sense.defect if sense and sense.defect else folder)
        if folder.lower() not in SPLITS and name not in GENERIC:
            names.append(name)
    return names


def _one_split(inner: tuple[str, ...], folders: tuple[str, ...]) -> bool:
    """Whether two places do not belong to different splits."""
    one, other = ({SPLITS[f.lower()] for f in some if f.lower() in SPLITS} for some in (inner, folders))
    return not one or not other or one == other


def _questions(walker: Walker) -> list[Problem]:
    asked, same_stem = [], []
    for folder in _of_pictures(walker):
        others = walker.sorted_out(folder)
        names = walker.pictures(folder)
        for name in others.asked:
            of = next(
                (n for n in names if mask_names.may_belong(stem(name), stem(n))), names[0] if names else "another"
            )
            asked.append(Problem("question", str(folder / name), _ASKED.format(of, stem(of))))
        same_stem += [Problem("question", str(folder / name), _SAME_STEM) for name in others.same_stem]
    return [*listed(asked), *_summed(same_stem)]


def _summed(problems: Sequence[Problem]) -> list[Problem]:
    """One problem for all of them."""
    if len(problems) < 2:
        return list(problems)
    return [replace(problems[0], message=f"{problems[0].message} So it is with {len(problems) - 1:,} more files.")]
