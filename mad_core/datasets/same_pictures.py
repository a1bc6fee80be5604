"""The same picture twice in a subset, in different files: what is alike, and what is wrong with it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, differ, listed
from mad_core.datasets.naming import level_key
from mad_core.datasets.near_copies import MOST, TURNS, near_copies
from mad_core.images import ImageError, pixel_digest

Facts = tuple[str, int, int, np.ndarray | None]
"""Digest, width and height of a file, and its picture as a small square."""
_EXACT = 500
"""Pairs whose pixels are compared one by one."""


@dataclass(frozen=True, slots=True)
class SamePicture:
    """Two files of a subset that show the same picture, by path, and how they are alike, in words."""

    subset: str
    first: str
    second: str
    how: str


def same_pictures(images: Sequence[Found], facts: Mapping[str, Facts]) -> list[SamePicture]:
    """Files of one subset that show the same picture and are not the same bytes.

    Parameters
    ----------
    images : sequence of Found
    facts : mapping of path to Facts
    """
    pairs = []
    for subset in sorted({f.subset for f in images}):
        first_of: dict[str, str] = {}
        for f in images:
            if f.subset == subset and facts[f.path][3] is not None:
                first_of.setdefault(facts[f.path][0], f.path)
        paths = list(first_of.values())
        if len(paths) < 2:
            continue
        squares = np.stack([square for path in paths if (square := facts[path][3]) is not None])
        for place, copy in enumerate(near_copies(squares, [facts[path][1:3] for path in paths])):
            first, second = paths[copy.first], paths[copy.second]
            how = _how(first, second, copy.turn, facts, place < _EXACT)
            pairs.append(SamePicture(subset, first, second, how))
    return pairs


def _how(first: str, second: str, turn: int, facts: Mapping[str, Facts], exactly: bool) -> str:
    (_, *size, _), (_, *other, _) = facts[first], facts[second]
    sideways = turn % 2 == 1
    resized = sorted(size) != sorted(other) if sideways else size != other
    words = [TURNS[turn]] if turn else []
    words += [f"resized ({size[0]} x {size[1]} and {other[0]} x {other[1]} pixels)"] if resized else []
    if words:
        return " and ".join(words)
    return "identical pixels in another file" if exactly and _same_pixels(first, second) else "a near copy"


def _same_pixels(first: str, second: str) -> bool:
    try:
        return pixel_digest(Path(first)) == pixel_digest(Path(second))
    except ImageError:
        return False


def copy_problems(copies: Iterable[SamePicture], images: Iterable[Found]) -> list[Problem]:
    """What is wrong with pictures that are there twice: in training and test, under two levels, or just twice."""
    of = {(f.subset, f.path): f for f in images}
    kinds: dict[str, list[Problem]] = {}
    for copy in copies:
        for problem in _wrong(copy, of[copy.subset, copy.first], of[copy.subset, copy.second]):
            kinds.setdefault(problem.kind, []).append(problem)
    return [problem for alike in kinds.values() for problem in listed(alike)]


def told_of_copies(path: str, first: Found, second: Found, same: str, plain: str) -> Iterator[Problem]:
    """What is wrong with the ``second`` of two images of one picture: its level, its split, or that it stands twice."""
    if differ(first, second):
        levels = f"level {level_key(second.level)}, the other level {level_key(first.level)}"
        yield Problem("conflicting-level", path, f"{same}, but {levels}.")
    if first.split != second.split:
        yield Problem("train-test-leak", path, f"{same}, but serves {second.split} and the other {first.split}.")
    if not differ(first, second) and first.split == second.split:
        yield Problem(plain, path, f"{same}.")


def _wrong(copy: SamePicture, first: Found, second: Found) -> Iterator[Problem]:
    same = f"This is the same picture as {copy.first} ({copy.how})"
    yield from told_of_copies(copy.second, first, second, same, "near-duplicate")


def too_many(images: int) -> Problem:
    """Why nobody looked for copies but those of the same bytes."""
    words = f"Of {images:,} images only identical files were looked for; near copies are among up to {MOST:,}."
    return Problem("near-duplicate", "", words)


def group_problems(images: Iterable[Found]) -> list[Problem]:
    """Groups of one subset with images in more than one split: what is measured is too good by what they share."""
    of: dict[tuple[str, str], list[Found]] = {}
    for f in images:
        if f.group:
            of.setdefault((f.subset, f.group), []).append(f)
    problems = []
    for (_, group), together in of.items():
        splits = Counter(str(f.split) for f in together)
        if len(splits) > 1:
            counts = " and ".join(f"{n} in {split}" for split, n in sorted(splits.items(), reverse=True))
            words = f"Group '{group[:80]}' has images in several splits: {counts}."
            problems.append(Problem("group-leak", together[0].path, words))
    return listed(problems)
