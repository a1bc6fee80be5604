"""Tiles of a picture larger than a network's view: they overlap, and what each gives is kept without its rim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CORE, RIM = 48, 8
"""Cells a side that a tile gives, and cells around them that it only sees."""


@dataclass(frozen=True)
class Span:
    """Cells along one axis: a tile sees ``[start, stop)`` and gives ``[first, last)``."""

    start: int
    first: int
    last: int
    stop: int

    @property
    def core(self) -> slice:
        """What it gives, in cells of the picture."""
        return slice(self.first, self.last)

    @property
    def inner(self) -> slice:
        """What it gives, in its own cells."""
        return slice(self.first - self.start, self.last - self.start)

    def pixels(self, stride: int) -> slice:
        """What it sees, in pixels of the picture."""
        return slice(self.start * stride, self.stop * stride)


def spans(length: int, core: int = CORE, rim: int = RIM) -> Iterator[Span]:
    """Spans whose cores cover ``length`` cells once; a picture of at most two rims and a core is one span."""
    if length <= core + 2 * rim:
        yield Span(0, 0, length, length)
        return
    for first in range(0, length, core):
        last = min(first + core, length)
        yield Span(max(0, first - rim), first, last, min(length, last + rim))


def tiles(height: int, width: int) -> Iterator[tuple[Span, Span]]:
    """Rows and columns of the tiles of a picture of ``height`` x ``width`` cells."""
    for rows in spans(height):
        for columns in spans(width):
            yield rows, columns
