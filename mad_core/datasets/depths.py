"""The windows of a dataset's subsets, found once at import, and what a sample of their pixels says."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import Imported, Problem
from mad_core.datasets.naming import level_key
from mad_core.errors import InputError
from mad_core.images import ImageError, sample_pixels
from mad_core.pixels import (
    EIGHT,
    NARROW,
    Depth,
    PixelRange,
    PixelSample,
    Window,
    chosen,
    find_window,
    pixel_range,
    share_used,
)

MOST_DEEP, MOST_EIGHT = 256, 12
"""Pictures of a subset whose pixels are looked at."""
DARKEST = 32
"""8-bit pictures none of whose numbers reach this look black."""
_THREADS = 4


@dataclass(frozen=True)
class WindowChoice:
    """Windows that a person asks for, in the words of :func:`mad_core.pixels.chosen`.

    Parameters
    ----------
    every : str
        Of all subsets; empty for what is found.
    subsets : mapping of str to str
        Of some of them.
    """

    every: str = ""
    subsets: Mapping[str, str] | None = None

    @classmethod
    def parse(cls, given: Iterable[str]) -> WindowChoice:
        """From ``"lung"``, ``"0:4095"`` or ``"subset=0:4095:0.8"``, any number of them."""
        every, subsets = "", {}
        for text in given:
            name, equals, words = text.rpartition("=")
            if equals:
                subsets[name] = words
            else:
                every = words
        return cls(every, subsets)

    def of(self, subset: str) -> str:
        return (self.subsets or {}).get(subset, self.every)

    def check(self, subsets: Sequence[str]) -> None:
        """See that every subset is there.

        Raises
        ------
        InputError
        """
        strange = sorted(set(self.subsets or {}) - set(subsets))
        if strange and subsets:
            raise InputError(f"There is no subset '{strange[0][:80]}' to see through a window; {', '.join(subsets)}.")


def with_windows(imported: Imported, choice: WindowChoice, listen: Callable[[], None]) -> Imported:
    """What was imported, with windows: of subsets whose pictures are deeper than 8 bits, or for which one is chosen.

    A window that the card brings with it counts unless another one is asked for. Of each subset at most
    ``MOST_DEEP`` pictures are decoded, of one of 8-bit pictures ``MOST_EIGHT``; which ones depends on their content.

    Pictures that use little of their window, or whose depths differ, are problems. ``listen`` is called now and then;
    what it raises ends the work.

    Raises
    ------
    InputError
        If a window cannot be understood, or is asked for of a subset that is not there.
    """
    by_subset: dict[str, list[Mapping[str, Any]]] = {}
    columns = ["subset", "path", "content_hash", "level"]
    table: Any = imported.dataset.table[columns]
    for row in table.to_dict("records"):
        depth = imported.depths.get(str(row["path"]), EIGHT)
        by_subset.setdefault(str(row["subset"]), []).append({**row, "depth": depth})
    card = imported.dataset.card
    choice.check(sorted(by_subset))
    problems: list[Problem] = []
    subsets = dict(card.subsets)
    for name, images in sorted(by_subset.items()):
        samples = _samples(images, listen)
        window, spread = _window(samples, images, card.subset(name).window, choice.of(name))
        if window is not None:
            subsets[name] = replace(card.subset(name), window=window, pixels=spread)
        problems += _warnings(name, images, window, spread)
    dataset = replace(imported.dataset, card=replace(card, subsets=subsets)) if subsets else imported.dataset
    return replace(imported, dataset=dataset, problems=(*imported.problems, *problems))


def _window(
    samples: Sequence[PixelSample], images: Sequence[Mapping[str, Any]], brought: Window | None, asked: str
) -> tuple[Window | None, PixelRange | None]:
    proposed = find_window(samples)
    spread = pixel_range(samples, proposed)
    window = chosen(asked, proposed, spread) if asked else brought or proposed
    if window is None or spread is None:
        return window, spread
    depths = Counter(str(row["depth"]) for row in images)
    seen = pixel_range(samples, window) or spread
    return window, replace(seen, depths=dict(depths.most_common()))


def _samples(images: Sequence[Mapping[str, Any]], listen: Callable[[], None]) -> list[PixelSample]:
    """Numbers of some of a subset's pictures, deep ones first; one that cannot be decoded is passed over."""
    deep = [row for row in images if row["depth"].deep]
    drawn = _drawn(deep, MOST_DEEP) if deep else _drawn(images, MOST_EIGHT)
    samples = []
    with ThreadPoolExecutor(_THREADS, "sampling") as pool:
        for sample in pool.map(_sample, [row["path"] for row in drawn]):
            samples += [sample] if sample is not None else []
            listen()
    return samples


def _sample(path: str) -> PixelSample | None:
    try:
        return sample_pixels(Path(path))
    except (ImageError, OSError):
        return None


def _drawn(images: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """Some images of every level and depth, by their content: the same ones wherever the folder lies."""
    groups: dict[tuple[str, Depth], list[Mapping[str, Any]]] = {}
    for row in sorted(images, key=lambda row: hashlib.blake2b(row["content_hash"].encode()).digest()):
        groups.setdefault((level_key(row["level"]), row["depth"]), []).append(row)
    share = max(1, most // max(1, len(groups)))
    return [row for group in groups.values() for row in group[:share]][: 2 * most]


def _warnings(
    subset: str, images: Sequence[Mapping[str, Any]], window: Window | None, spread: PixelRange | None
) -> Iterable[Problem]:
    depths = Counter(str(row["depth"]) for row in images)
    if len(depths) > 1:
        words = ", ".join(f"{n} of {depth}" for depth, n in depths.most_common())
        kind = "floating-point" if window is not None and window.floats else "deeper"
        rest = "" if window is None else f" The {kind} ones are seen through one window, {window}."
        if window is not None and any(row["depth"].deep and not window.serves(row["depth"]) for row in images):
            rest += " Floats and whole numbers have no window in common: the fewer of them are seen each by itself."
        yield Problem("mixed-depth", subset, f"The pictures of subset '{subset[:80]}' differ in depth: {words}.{rest}")
    if spread is None:
        return
    low, high = (f"{value:g}" for value in spread.used)
    if window is not None and spread.used[0] < spread.used[1] and share_used(spread, window) < NARROW:
        share = f"{100 * share_used(spread, window):.2g} %"
        sentence = (
            f"The pictures of subset '{subset[:80]}' use {share} of their window, {window}: nearly all numbers lie "
            f"between {low} and {high}. Choose another window, for instance --window used."
        )
        yield Problem("narrow-range", subset, sentence)
    elif window is None and spread.edges[1] > 0 and 0 < spread.used[1] < DARKEST:
        sentence = (
            f"The 8-bit pictures of subset '{subset[:80]}' are nearly black: nearly all numbers lie between {low} and "
            f"{high} of 255. If they were made from deeper ones, import those; else choose a window, --window used."
        )
        yield Problem("narrow-range", subset, sentence)
