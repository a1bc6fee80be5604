"""Masks read at import: whether they fit and mark what they should; joined and turned ones are kept as files.

A mask that needs nothing is read where it lies. One that is made of several files or of outlines, or has to be turned
as its image is, is written as a PNG named by the digest of its pixels.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, listed
from mad_core.datasets.polygons import Outlines
from mad_core.errors import InputError, WorkError
from mad_core.images import ImageError, content_hash, orientation_of, read_mask, turned

NEARLY_ALL, MORE_THAN_HALF = 0.9, 0.5
_SAME_ASPECT = 0.02
_BOXES = "Of this picture boxes, points or lines are drawn and no outlines: no mask is made of them."
_THREADS = 4
_REPORT_EVERY = 50
_SIDEWAYS = 5
"""From this EXIF orientation on width and height change places."""


@dataclass(frozen=True)
class MaskOf:
    """The mask of one image: its file, the digest of its bytes, and what is doubtful of it, by kind of problem."""

    path: str | None = None
    digest: str = ""
    doubts: tuple[Problem, ...] = ()


def read_masks(
    images: Sequence[Found],
    sizes: Mapping[str, tuple[int, int]],
    folder: Path,
    progress: Callable[[int], None],
) -> tuple[dict[str, MaskOf], list[Problem]]:
    """The mask of each image that has one, by the image's path, and every doubt about masks.

    Parameters
    ----------
    images : sequence of Found
        With ``masks`` and ``outlines``.
    sizes : mapping of path to (width, height)
        Of the images, as shown.
    folder : Path
        Where masks are written that have to be made.
    progress : callable
        Called as ``progress(images with masks done)``; what it raises ends the reading.

    Raises
    ------
    WorkError
        If a mask cannot be written.
    """
    todo = list({f.path: f for f in images if f.masks or f.outlines}.values())
    mask_paths: dict[str, MaskOf] = {}
    doubts: list[Problem] = []
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), "masks") as pool:
        made = pool.map(partial(_mask_of, sizes=sizes, folder=folder), todo)
        try:
            for done, (image, mask) in enumerate(zip(todo, made, strict=True), start=1):
                mask_paths |= {image.path: mask} if mask.path else {}
                doubts += mask.doubts
                if done % _REPORT_EVERY == 0 or done == len(todo):
                    progress(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return mask_paths, _by_kind(doubts)


def _by_kind(doubts: Iterable[Problem]) -> list[Problem]:
    kinds: dict[str, list[Problem]] = {}
    for doubt in doubts:
        kinds.setdefault(_BOXES if doubt.message == _BOXES else doubt.kind, []).append(doubt)
    boxes = kinds.pop(_BOXES, [])
    more = f" So it is with {len(boxes) - 1:,} more pictures." if len(boxes) > 1 else ""
    alone = [replace(boxes[0], message=f"{_BOXES}{more}")] if boxes else []
    return [*(one for alike in kinds.values() for one in listed(alike)), *alone]


def _mask_of(image: Found, sizes: Mapping[str, tuple[int, int]], folder: Path) -> MaskOf:
    """One image's mask: its files together, on the image as it is shown."""
    size, parts, doubts = sizes[image.path], [], []
    for path in image.masks:
        try:
            digest = content_hash(Path(path))
            mask = read_mask(Path(path), content_hash=digest)
        except ImageError as error:
            doubts.append(Problem(error.kind, path, str(error)))
            continue
        except OSError as error:
            doubts.append(Problem("unreadable", path, f"{path} cannot be read: {error.strerror}."))
            continue
        fitting = _upright(mask, image.path, size)
        doubts += _size_doubt(path, fitting, size)
        parts.append((path, fitting, "" if fitting is not mask else digest))
    if image.outlines:
        place = f"{image.outlines.source} of {Path(image.path).name}"
        drawn, unclear = _drawn(image.outlines, place, image.path, size)
        doubts += unclear
        parts += [] if drawn is None else [(place, drawn, "")]
    if not parts:
        return MaskOf(doubts=tuple(doubts))
    joined = parts[0][1] if len(parts) == 1 else _together([mask for _, mask, _ in parts], size)
    doubts += _doubts(image, parts[0][0], joined)
    if len(parts) == 1 and parts[0][2]:
        return MaskOf(parts[0][0], parts[0][2], tuple(doubts))
    made = keep_mask(joined, folder)
    return MaskOf(made, content_hash(Path(made)), tuple(doubts))


def _drawn(
    outlines: Outlines, place: str, image: str, size: tuple[int, int]
) -> tuple[np.ndarray | None, list[Problem]]:
    """The mask that outlines make, on the image as it is shown; None where they cannot be drawn on it."""
    if not outlines.shapes:
        return None, [Problem("mask-partial", place, _BOXES)]
    stated = outlines.size or size
    fits = _alike(stated, size)
    turn = 1 if fits else orientation_of(Path(image))
    if not fits and not (turn >= _SIDEWAYS and _alike((stated[1], stated[0]), size)):
        words = (
            f"These outlines are of a picture of {stated[0]} x {stated[1]} pixels, it has {size[0]} x {size[1]}, which "
            "is another shape: they do not fit, and no study uses them."
        )
        return None, [Problem("mask-size", place, words)]
    try:
        mask = outlines.drawn(size) if fits else turned(outlines.drawn((size[1], size[0])), turn)
    except InputError as error:
        return None, [Problem("mask-partial", place, f"{error} No mask is made of them.")]
    words = "Boxes, points or lines stand beside these outlines: the mask marks the outlines alone."
    return mask, [Problem("mask-partial", place, words)] if outlines.others else []


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have the same shape; that of outlines may be rounded to whole pixels."""
    return abs(size[0] / size[1] * other[1] / other[0] - 1) < _SAME_ASPECT


def _upright(mask: np.ndarray, image: str, size: tuple[int, int]) -> np.ndarray:
    """The mask as the image is shown: one drawn on the pixels as they are stored is turned with them."""
    width, height = size
    if mask.shape == (height, width) or width == height:
        return mask
    turn = orientation_of(Path(image))
    fits = turn >= _SIDEWAYS and abs(mask.shape[1] / mask.shape[0] * width / height - 1) < _SAME_ASPECT
    return turned(mask, turn) if fits else mask


def _size_doubt(path: str, mask: np.ndarray, size: tuple[int, int]) -> list[Problem]:
    height, width = mask.shape
    if (width, height) == size:
        return []
    sizes = f"This mask has {width} x {height} pixels, its image {size[0]} x {size[1]}"
    if abs(width / height * size[1] / size[0] - 1) < _SAME_ASPECT:
        return [Problem("mask-size", path, f"{sizes}: it is stretched to the image.")]
    return [Problem("mask-size", path, f"{sizes}, which is another shape: it does not fit, and no study uses it.")]


def _together(masks: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """What any of the masks marks, at the image's size."""
    joined = np.zeros(size[::-1], dtype=bool)
    for mask in masks:
        joined |= mask if mask.shape == joined.shape else np.asarray(Image.fromarray(mask).resize(size))
    return joined


def _doubts(image: Found, path: str, mask: np.ndarray) -> list[Problem]:
    """Whether a mask marks what one of its image would."""
    share = float(mask.mean())
    if image.level > 0 and share == 0:
        return [Problem("mask-empty", path, "This mask of an abnormal image marks nothing.")]
    if image.level == 0 and share > 0:
        words = f"This mask marks {_percent(share)} of an image of level 0: one of the two is wrong."
        return [Problem("mask-of-normal", path, words)]
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if share >= NEARLY_ALL or (share > MORE_THAN_HALF and edge.all()):
        words = f"This mask marks {_percent(share)} of its image; it may be inverted: what is not black is marked."
        return [Problem("mask-full", path, words)]
    return []


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def keep_mask(mask: np.ndarray, folder: Path) -> str:
    """Write a mask as a PNG that its pixels name, and return its path; the same mask is written once.

    One that is there is touched: nobody tidies it away before the dataset is stored.

    Raises
    ------
    WorkError
        If it cannot be written.
    """
    digest = hashlib.blake2b(repr(mask.shape).encode() + np.packbits(mask).tobytes(), digest_size=16).hexdigest()
    target = folder / digest[:2] / f"{digest}.png"
    building = target.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        if target.is_file():
            os.utime(target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(building, "PNG", optimize=False)
            building.replace(target)
    except OSError as error:
        raise WorkError(f"A mask cannot be kept in {folder}: {error.strerror or error}.") from error
    return str(target)
