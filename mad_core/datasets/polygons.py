"""Masks from outlines: polygons and run lengths as annotation tools write them, drawn at the size of the picture.

A pixel is marked where its centre lies inside a polygon (even-odd). Several shapes of a picture count together; of the
polygons of one shape one that lies wholly inside what is marked is a hole. Nothing of a file is trusted: points,
polygons, runs and the work of drawing are bounded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mad_core.errors import InputError
from mad_core.settings import MAX_PIXELS

MOST_SHAPES = 10_000
"""Polygons and run lengths of one picture."""
MOST_POINTS = 1_000_000
MOST_RUNS = 2_000_000
"""Runs, or characters or bytes that write them, of one shape."""
MOST_WORK = 500_000_000
"""Pixels of the boxes around all polygons of a picture, together."""
_MOST_CROSSINGS = 20_000_000
_FARTHEST = 1e7
_MOST_BRUSHED = 50_000_000
_STRIP = 4_000_000
_TOO_MUCH = "These outlines hold more than is drawn for one picture: {}."


@dataclass(frozen=True)
class Outlines:
    """The shapes that a file draws on one picture, as they are written.

    Parameters
    ----------
    source : str
        The file.
    shapes : tuple
        Each a sequence of polygons (each a sequence of points, or of numbers x, y, x, y …), a mapping with ``counts``
        and ``size`` (COCO's run lengths), or one with ``rle`` and ``size`` (Label Studio's brush).
    extent : (float, float), optional
        Where coordinates end, to the right and below: 1 for shares, 100 for percent; by default the size.
    size : (width, height), optional
        Of the picture, as the file has it.
    others : int
        Boxes, points and lines on the same picture, of which no mask is made; without shapes they stand alone.
    """

    source: str
    shapes: tuple[Any, ...] = ()
    extent: tuple[float, float] | None = None
    size: tuple[int, int] | None = None
    others: int = 0

    def drawn(self, size: tuple[int, int]) -> np.ndarray:
        """The mask, bool of shape (height, width), on a picture of ``size`` (width, height).

        Raises
        ------
        InputError
            If a shape is none, or they are too many or too large.
        """
        width, height = size
        if len(self.shapes) > MOST_SHAPES:
            raise InputError(_TOO_MUCH.format(f"{len(self.shapes):,} shapes"))
        across, down = self.extent or self.size or size
        scale = np.array([width / across, height / down])
        points, work = 0, 0
        mask = np.zeros((height, width), dtype=bool)
        for shape in self.shapes:
            if isinstance(shape, Mapping):
                runs = _of_runs(shape)
                work += runs.size
                mask |= runs if runs.shape == mask.shape else np.asarray(Image.fromarray(runs).resize(size))
            else:
                rings = [ring * scale for ring in rings_of(shape)]
                points += sum(map(len, rings))
                work += sum(_box_area(ring, size) for ring in rings)
                if len(rings) > MOST_SHAPES or points > MOST_POINTS or work > MOST_WORK:
                    raise InputError(_TOO_MUCH.format(f"{points:,} points"))
                _draw(rings, mask)
            if work > MOST_WORK:
                raise InputError(_TOO_MUCH.format(f"{work:,} pixels"))
        return mask


def together(parts: Sequence[Outlines]) -> Outlines:
    """Outlines of one picture in one file as one; of files that measure in different ways the first alone counts."""
    first = next((p for p in parts if p.shapes), parts[0])
    alike = [p for p in parts if (p.extent, p.size) == (first.extent, first.size)]
    shapes = tuple(shape for p in alike for shape in p.shapes)
    left = sum(len(p.shapes) for p in parts) - len(shapes)
    return Outlines(first.source, shapes, first.extent, first.size, sum(p.others for p in parts) + left)


def rings_of(shape: Any) -> list[np.ndarray]:
    """The polygons of one shape, each of shape (n, 2), float64.

    Raises
    ------
    InputError
        If it is no list of polygons with three points or more.
    """
    if not isinstance(shape, list | tuple) or not shape:
        raise InputError("An outline is no list of polygons.")
    return [_ring(polygon) for polygon in shape]


def _ring(polygon: Any) -> np.ndarray:
    if not isinstance(polygon, list | tuple) or len(polygon) > 2 * MOST_POINTS:
        raise InputError("A polygon is no list of points, or too long.")
    try:
        numbers = np.asarray(polygon, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError("A polygon holds something that is no number.") from None
    if numbers.ndim == 1 and numbers.size % 2 == 0:
        numbers = numbers.reshape(-1, 2)
    if numbers.ndim != 2 or numbers.shape[1] != 2 or len(numbers) < 3:
        raise InputError("A polygon has fewer than three points, or a point that is no pair of numbers.")
    if not (np.abs(numbers) <= _FARTHEST).all():
        raise InputError("A polygon has a point that is no place on a picture.")
    return numbers


def _draw(rings: Iterable[np.ndarray], mask: np.ndarray) -> None:
    """Draw the polygons of one shape on a mask, the largest first, so that holes follow what they are in."""
    size = mask.shape[::-1]
    boxes = sorted((_box(ring, size) for ring in rings), key=lambda box: -box.area)
    own: np.ndarray | None = None
    whole = _around(boxes, size)
    for box in boxes if whole else ():
        if box.empty:
            continue
        if own is None:
            own = np.zeros((whole.bottom - whole.top, whole.right - whole.left), dtype=bool)
        place = own[box.top - whole.top : box.bottom - whole.top, box.left - whole.left : box.right - whole.left]
        ring = filled(box.ring - (box.left, box.top), place.shape)
        if ring.any() and place[ring].all() and not _touches(ring, box, own, whole):
            place &= ~ring
        else:
            place |= ring
    if own is not None:
        mask[whole.top : whole.bottom, whole.left : whole.right] |= own


@dataclass(frozen=True)
class _Box:
    """The pixels around a polygon that lie on the picture; empty where it lies beside it."""

    ring: np.ndarray
    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top

    @property
    def area(self) -> int:
        return 0 if self.empty else (self.right - self.left) * (self.bottom - self.top)


def _box(ring: np.ndarray, size: tuple[int, int]) -> _Box:
    width, height = size
    (left, top), (right, bottom) = np.floor(ring.min(axis=0)), np.ceil(ring.max(axis=0))
    return _Box(ring, max(int(left), 0), max(int(top), 0), min(int(right), width), min(int(bottom), height))


def _box_area(ring: np.ndarray, size: tuple[int, int]) -> int:
    return _box(ring, size).area


def _around(boxes: Sequence[_Box], size: tuple[int, int]) -> _Box:
    seen = [box for box in boxes if not box.empty]
    if not seen:
        return _Box(np.empty((0, 2)), 0, 0, 0, 0)
    edges = ((b.left, b.top, b.right, b.bottom) for b in seen)
    left, top, right, bottom = zip(*edges, strict=True)
    return _Box(np.empty((0, 2)), min(left), min(top), max(right), max(bottom))


def _touches(ring: np.ndarray, box: _Box, own: np.ndarray, whole: _Box) -> bool:
    """Whether a polygon reaches the edge of what is marked: then it is no hole, but a part drawn again."""
    top, left = box.top - whole.top, box.left - whole.left
    padded = np.zeros((ring.shape[0] + 2, ring.shape[1] + 2), dtype=bool)
    padded[1:-1, 1:-1] = ring
    grown = padded.copy()
    for axis in (0, 1):
        for step in (1, -1):
            grown |= np.roll(padded, step, axis)
    marked = np.zeros_like(padded)
    above, before = max(top - 1, 0), max(left - 1, 0)
    part = own[above : top + ring.shape[0] + 1, before : left + ring.shape[1] + 1]
    down, across = above - (top - 1), before - (left - 1)
    marked[down : down + part.shape[0], across : across + part.shape[1]] = part
    return not marked[grown].all()


def filled(ring: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie inside a polygon, by the even-odd rule.

    Parameters
    ----------
    ring : ndarray of shape (n, 2)
        x to the right, y down, in pixels from the upper left corner of the upper left pixel; closed by itself.
    shape : (height, width)

    Returns
    -------
    ndarray of shape (height, width), bool

    Raises
    ------
    InputError
        If it crosses rows of pixels too often.
    """
    height, width = shape
    mask = np.zeros(shape, dtype=bool)
    step = max(1, _STRIP // (width + 1))
    for top in range(0, height, step):
        rows = min(step, height - top)
        mask[top : top + rows] = _strip(ring - (0, top), rows, width)
    return mask


def _strip(ring: np.ndarray, height: int, width: int) -> np.ndarray:
    (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    after = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    counts = after - first
    total = int(counts.sum())
    if total > _MOST_CROSSINGS:
        raise InputError(_TOO_MUCH.format(f"{total:,} crossings"))
    edge = np.repeat(np.arange(len(ring)), counts)
    rows = first[edge] + np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (rows + 0.5 - y0[edge]) / (y1 - y0)[edge]
    columns = np.ceil(x0[edge] + share * (x1 - x0)[edge] - 0.5).clip(0, width).astype(np.int64)
    turns = np.bincount(rows * (width + 1) + columns, minlength=height * (width + 1)) & 1
    inside = np.bitwise_xor.accumulate(turns.astype(np.uint8).reshape(height, width + 1), axis=1)
    return inside[:, :width].astype(bool)


# -- run lengths ----------------------------------------------------------------------------------


def _of_runs(shape: Mapping[Any, Any]) -> np.ndarray:
    """A mask that run lengths write, bool of shape (height, width)."""
    size = shape.get("size")
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(_is_count(n) and n > 0 for n in size):
        raise InputError("Run lengths name no size of two numbers, height and width.")
    height, width = int(size[0]), int(size[1])
    if height * width > MAX_PIXELS:
        raise InputError(f"Run lengths mark a picture of {height * width:,} pixels, more than {MAX_PIXELS:,}.")
    if "rle" in shape:
        if height * width > _MOST_BRUSHED:
            raise InputError(f"A brush marks a picture of {height * width:,} pixels, more than {_MOST_BRUSHED:,}.")
        return _of_brush(shape["rle"], height, width)
    counts = shape.get("counts")
    runs = _unpacked_counts(counts) if isinstance(counts, str) else _plain_counts(counts)
    if int(runs.sum()) != height * width:
        raise InputError(f"Run lengths write {int(runs.sum()):,} pixels of {height * width:,}.")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _plain_counts(counts: Any) -> np.ndarray:
    if not isinstance(counts, list) or len(counts) > MOST_RUNS or not all(map(_is_count, counts)):
        raise InputError("Run lengths are no list of counts from 0 up, or too long a one.")
    return np.array(counts, dtype=np.int64)


def _unpacked_counts(text: str) -> np.ndarray:
    """COCO's compressed counts: five bits a character from "0" on, the sixth says that more follow, differences to
    the count before the last from the fourth on (``maskApi.c``, rleFrString)."""
    if len(text) > MOST_RUNS:
        raise InputError(f"Run lengths are written in more than {MOST_RUNS:,} characters.")
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 40:
            raise InputError("Compressed run lengths hold a character that is none of theirs.")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    return _plain_counts(counts)


def _of_brush(data: Any, height: int, width: int) -> np.ndarray:
    """Label Studio's brush: runs of bits that write the four channels of each pixel; what is opaque is marked."""
    if not isinstance(data, list) or len(data) > MOST_RUNS or not all(_is_count(n) and n < 256 for n in data):
        raise InputError("A brush's run lengths are no list of bytes, or too long a one.")
    values = bytearray()
    try:
        for value, count in _brush_runs("".join(f"{byte:08b}" for byte in data), 4 * height * width):
            values += bytes((value,)) * count
    except ValueError:
        raise InputError("A brush's run lengths end too early.") from None
    return np.frombuffer(bytes(values), dtype=np.uint8).reshape(height, width, 4)[:, :, 3] > 0


def _brush_runs(bits: str, expected: int) -> Iterator[tuple[int, int]]:
    """Values and how often each stands there; ``rle-pack`` by K. Schmidt, which Label Studio uses."""
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2) if at <= len(bits) else int("")

    if read(32) != expected:
        raise InputError("A brush's run lengths are of a picture of another size.")
    word = read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if word > 8:
        raise InputError("A brush's run lengths hold values of more than 8 bits.")
    done = 0
    while done < expected:
        repeated = read(1)
        count = min(read(sizes[read(2)]) + 1, expected - done)
        if repeated:
            yield read(word), count
        else:
            yield from ((read(word), 1) for _ in range(count))
        done += count
