"""Reading the images that were gathered: headers and digests in parallel, and what they give away."""

import hashlib
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mad_core.datasets.dataset import Problem, image_id, level_key
from mad_core.datasets.gathering import Found, Gathered, PromisedLevel, differ, summed
from mad_core.datasets.mask_files import MaskOf, read_masks
from mad_core.datasets.naming import UNLABELLED
from mad_core.datasets.near_copies import MOST, SIDE
from mad_core.datasets.own_normals import TYPICAL
from mad_core.datasets.same_pictures import copy_problems, group_problems, same_pictures, told_of_copies, too_many
from mad_core.images import ImageError, content_hash, inspect, small_grey
from mad_core.pixels import EIGHT, Depth

_UNKNOWN = frozenset({9.0, 98.0, 99.0, 998.0, 999.0, 9999.0})
"""Levels that may stand for an unknown one."""

_BATCH = 64
_MOST_THREADS = 8
_SEED = "mad-inspector"


@dataclass(frozen=True, slots=True)
class Read:
    """What a file's header and bytes say, or the problem that keeps it out; ``small`` is its picture as a square."""

    content_hash: str = ""
    width: int = 0
    height: int = 0
    depth: Depth = EIGHT
    pages: int = 1
    problem: Problem | None = None
    small: np.ndarray | None = None


def rows_of(
    gathered: Gathered, masks: Path, progress: Callable[[int, int], None]
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Rows for the dataset's table, and every problem met.

    Each file is opened once. An image that cannot be used is left out, with a problem; one that only
    looks wrong (same content twice, under two levels, in training and test) stays, with a problem.
    Where nothing says which normal images are for training, up to half of them are drawn for it: see
    :func:`with_training`. Takes about 0.5 ms a small image on two cores.

    Parameters
    ----------
    gathered : Gathered
    masks : Path
        The folder that masks are made in.
    progress : callable
        Called as ``progress(images and masks done, all of them)``; what it raises ends the reading.
    """
    unique, problems = _once(sorted(gathered.found, key=_labels_first))
    images, masked = len({f.path for f in unique}), len({f.path for f in unique if f.masks or f.outlines})
    files = read_files({f.path for f in unique}, lambda done, total: progress(done, total + masked))
    problems += summed(r.problem for _, r in sorted(files.items()) if r.problem)
    usable = [f for f in unique if not files[f.path].problem]
    copies = same_pictures(usable, {path: (r.content_hash, r.width, r.height, r.small) for path, r in files.items()})
    usable = with_training(usable, files)
    problems += [*_same_content(usable, files), *_empty(gathered.expected, usable)]
    problems += [*_without_normals(usable), *_without_test(usable), *_without_level(usable), *_for_unknown(usable)]
    problems += copy_problems(copies, usable) if len(files) <= MOST else [too_many(len(files))]
    problems += group_problems(usable)
    sizes = {path: (read.width, read.height) for path, read in files.items()}
    of, doubts = read_masks(usable, sizes, masks, lambda done: progress(images + done, images + masked))
    return [_row(f, files, of.get(f.path, MaskOf())) for f in usable], [*gathered.problems, *problems, *doubts]


def _labels_first(image: Found) -> tuple[str, bool, float, str]:
    """In which order files are read: one that has a level somewhere keeps it."""
    return image.subset, image.level == UNLABELLED, image.level, image.relative


def read_files(paths: Iterable[str], progress: Callable[[int, int], None]) -> dict[str, Read]:
    """Header and digest of each file, and each picture as a small square if they are few enough, by a few threads."""
    todo = sorted(paths)
    few = len(todo) <= MOST
    batches = [todo[at : at + _BATCH] for at in range(0, len(todo), _BATCH)]
    done: dict[str, Read] = {}
    with ThreadPoolExecutor(min(_MOST_THREADS, 2 * (os.cpu_count() or 1)), "reading") as pool:
        futures = [pool.submit(lambda batch: {p: _read(p, few) for p in batch}, batch) for batch in batches]
        try:
            for future in as_completed(futures):
                done |= future.result()
                progress(len(done), len(todo))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return done


def with_training(images: Sequence[Found], files: Mapping[str, Read]) -> list[Found]:
    """Say the split of the images for which nothing says it.

    In a subset that has training normals these are test images. In one that has none, normals are
    drawn for training in the order of a seeded digest of their content, copies and groups together (a group with an
    abnormal image stays for test), as long as at least half of the undecided normals stay for test. The
    draw depends on nothing but the content and the groups, so it is the same on every machine and
    wherever the folder lies.
    """
    chosen: set[tuple[str, str]] = set()
    for subset in {f.subset for f in images if f.split is None}:
        in_subset = [f for f in images if f.subset == subset]
        if not any(f.split == "train" for f in in_subset):
            chosen |= {(subset, digest) for digest in _draw([f for f in in_subset if f.split is None], files)}
    return [
        f
        if f.split is not None
        else replace(f, split="train" if f.level == 0 and (f.subset, _unit(f, files)) in chosen else "test")
        for f in images
    ]


def _draw(images: Sequence[Found], files: Mapping[str, Read]) -> list[str]:
    """Normals that become training images, no more than half of them: digests of contents, or groups."""
    together: dict[str, int] = {}
    for f in images:
        if f.level == 0:
            together[_unit(f, files)] = together.get(_unit(f, files), 0) + 1
    apart = {_unit(f, files) for f in images if f.level > 0 and f.group}
    room, drawn = sum(together.values()) // 2, []
    for unit in sorted(together.keys() - apart, key=lambda d: hashlib.blake2b(f"{_SEED}\0{d}".encode()).digest()):
        if together[unit] <= room:
            room -= together[unit]
            drawn.append(unit)
    return drawn


def _unit(image: Found, files: Mapping[str, Read]) -> str:
    """What is drawn together: the images of a group, else those of one content."""
    return f"group\0{image.group}" if image.group else files[image.path].content_hash


def _key(image: Found, files: Mapping[str, Read]) -> tuple[str, str]:
    return image.subset, files[image.path].content_hash


def _read(path: str, with_pixels: bool) -> Read:
    file = Path(path)
    try:
        info = inspect(file)
        small = small_grey(file, SIDE) if with_pixels else None
        return Read(content_hash(file), info.width, info.height, info.depth, info.pages, small=small)
    except ImageError as error:
        return Read(problem=Problem(error.kind, path, str(error)))
    except OSError as error:
        return Read(problem=Problem("unreadable", path, f"{path} cannot be read: {error.strerror}."))


def _once(images: Iterable[Found]) -> tuple[list[Found], list[Problem]]:
    """Each image once; a second mention of the same file in a subset is a problem."""
    first: dict[tuple[str, str], Found] = {}
    problems = []
    for f in images:
        earlier = first.setdefault((f.subset, _identity(f)), f)
        if earlier is f:
            continue
        kind = "conflicting-level" if differ(earlier, f) else "duplicate"
        levels = (
            f" at level {level_key(f.level)}, first at level {level_key(earlier.level)}" if kind != "duplicate" else ""
        )
        problems.append(Problem(kind, f.template_path, f"This image is named again{levels}; the first one counts."))
    return list(first.values()), problems


def id_of(image: Found) -> str:
    """The id that an image has in the dataset's table."""
    return image_id(image.subset, _identity(image))


def _identity(image: Found) -> str:
    """The path from which the id is made: the same whichever system wrote its accents."""
    return unicodedata.normalize("NFC", image.relative)


def _same_content(images: Iterable[Found], files: Mapping[str, Read]) -> Iterator[Problem]:
    """Copies within a subset: under two levels, in training and elsewhere, or plain ones."""
    first: dict[tuple[str, str], Found] = {}
    for f in images:
        earlier = first.setdefault(_key(f, files), f)
        if earlier is f:
            continue
        same = f"This image has the same content as {earlier.path}"
        yield from told_of_copies(f.path, earlier, f, same, "duplicate")


def _empty(expected: Iterable[PromisedLevel], images: Iterable[Found]) -> Iterator[Problem]:
    filled = {(f.promise, f.subset) for f in images}
    for e in expected:
        if (e.promise, e.subset) not in filled:
            sentence = f"Level {level_key(e.level)} of subset '{e.subset[:80]}' has no usable image here."
            yield Problem("empty-level", e.path, sentence)


def _without_normals(images: Iterable[Found]) -> Iterator[Problem]:
    """Subsets without a picture at level 0."""
    levels: dict[str, set[float]] = {}
    for f in images:
        levels.setdefault(f.subset, set()).update([f.level] if f.level >= 0 else [])
    for subset, there in levels.items():
        if not there:
            sentence = (
                f"None of the images of '{subset[:80]}' has a level, so none is known to be normal. Detectors learn "
                "from normals: add some in train/good, or, where most images are normal, say "
                f"--normals-from {TYPICAL}."
            )
            yield Problem("empty-level", subset, sentence)
        elif 0 not in there:
            names = ", ".join(level_key(level) for level in sorted(there)[:8])
            sentence = (
                f"The levels of '{subset[:80]}' are {names}: no picture is at level 0 (normal), so that no scorer can "
                "be fitted on normals and AUROC has no value. If the lowest is normal, say so in a severity policy."
            )
            yield Problem("empty-level", subset, sentence)


def _for_unknown(images: Iterable[Found]) -> Iterator[Problem]:
    """Levels far above the others that studies often write where nobody knows the level."""
    counts = Counter((f.subset, f.level) for f in images)
    for subset in dict.fromkeys(subset for subset, _ in counts):
        levels = {level for of, level in counts if of == subset and level >= 0}
        top = max(levels - _UNKNOWN, default=math.inf)
        for level in sorted(level for level in levels & _UNKNOWN if level > 2 * top):
            name = level_key(level)
            sentence = (
                f"Level {name} of {counts[subset, level]:,} images of '{subset[:80]}' lies far above the others, which "
                f"end at {level_key(top)}: does it say that nobody knows the level? Then write '{name}: none' among "
                "the levels of the plan or into a severity policy."
            )
            yield Problem("question", subset, sentence)


def _without_test(images: Iterable[Found]) -> Iterator[Problem]:
    """Subsets all of whose pictures serve training and calibration."""
    splits: dict[str, set[str | None]] = {}
    for f in images:
        splits.setdefault(f.subset, set()).add(f.split)
    for subset, there in splits.items():
        if "test" not in there:
            sentence = (
                f"No picture of '{subset[:80]}' is for test, so nothing of it is scored or measured; say 'test' of "
                "some, or leave the split out: then it is drawn."
            )
            yield Problem("empty-level", subset, sentence)


def _without_level(images: Iterable[Found]) -> Iterator[Problem]:
    """How many pictures of each subset nobody has graded."""
    counts: Counter[str] = Counter()
    for f in images:
        counts[f.subset] += f.level == UNLABELLED
    for subset, n in counts.items():
        if n:
            sentence = (
                f"{n:,} of the images of '{subset[:80]}' have no severity level: they are tested, which gives scores "
                "and maps, and enter no metric until somebody grades them."
            )
            yield Problem("question", subset, sentence)


def _row(image: Found, files: Mapping[str, Read], mask: MaskOf) -> dict[str, Any]:
    read = files[image.path]
    return {
        "image_id": id_of(image),
        "content_hash": read.content_hash,
        "path": image.path,
        "template_path": image.template_path,
        "split": image.split,
        "subset": image.subset,
        "level": math.nan if image.level == UNLABELLED else image.level,
        "defect": image.defect,
        "group": image.group or None,
        "mask_path": mask.path,
        "mask_hash": mask.digest or None,
        "width": read.width,
        "height": read.height,
        "depth": read.depth,  # these two are not in the table
        "pages": read.pages,
    }
