"""A region of all pictures of a subset that counts for nothing: a clamp, a date stamp, the rim of a lens.

It is kept as a small mask, in parts of the picture, so that it fits pictures of any size. What lies in it is replaced
before a scorer sees a picture, so it can change neither a fit nor a score nor a map.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mad_core.errors import InputError


@dataclass(frozen=True)
class IgnoredRegion:
    """Cells of a grid laid over a picture.

    Parameters
    ----------
    height, width : int
        Of the grid, at most ``MOST_SIDE``.
    cells : str
        Base64 of the compressed bits of the grid, row by row; 1 is ignored.
    """

    height: int
    width: int
    cells: str
    MOST_SIDE: ClassVar[int] = 1024

    @classmethod
    def of_mask(cls, mask: np.ndarray) -> IgnoredRegion:
        """From a bool mask (H, W); of one that is larger than the grid a cell is ignored if any pixel of it is.

        Raises
        ------
        InputError
            If the mask marks nothing, or everything.
        """
        if mask.ndim != 2 or not mask.any():
            raise InputError("The mask marks nothing, so there is nothing to leave out.")
        if mask.all():
            raise InputError("The mask marks the whole picture, of which nothing would be left.")
        factor = min(1.0, cls.MOST_SIDE / max(mask.shape))
        shape = max(1, int(mask.shape[0] * factor)), max(1, int(mask.shape[1] * factor))
        rows, columns = (np.arange(n) * length // n for n, length in zip(shape, mask.shape, strict=True))
        grid = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, 0), columns, 1)
        if grid.all():
            raise InputError("The mask marks nearly the whole picture, of which nothing would be left.")
        return cls(*shape, base64.b64encode(zlib.compress(np.packbits(grid).tobytes(), 9)).decode("ascii"))

    @classmethod
    def of_boxes(cls, boxes: Iterable[Sequence[float]]) -> IgnoredRegion:
        """From boxes (left, top, right, bottom) in parts of the picture, 0 to 1.

        Raises
        ------
        InputError
            If there is none, or one is empty or leaves the picture.
        """
        side = cls.MOST_SIDE // 2
        grid = np.zeros((side, side), bool)
        for box in boxes:
            left, top, right, bottom = (float(value) for value in box)
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise InputError("A box to leave out has a left, top, right and bottom between 0 and 1, in this order.")
            rows = slice(int(top * side), max(int(top * side) + 1, int(np.ceil(bottom * side - 1e-9))))
            grid[rows, int(left * side) : max(int(left * side) + 1, int(np.ceil(right * side - 1e-9)))] = True
        return cls.of_mask(grid)

    @cached_property
    def grid(self) -> np.ndarray:
        """Bool (height, width)."""
        size = self.height * self.width
        packed = zlib.decompressobj().decompress(base64.b64decode(self.cells), -(-size // 8))
        return np.unpackbits(np.frombuffer(packed, np.uint8), count=size).reshape(self.height, self.width).astype(bool)

    @property
    def share(self) -> float:
        """Of the picture, 0 to 1."""
        return float(self.grid.mean())

    @property
    def key(self) -> str:
        """What a dataset's version depends on."""
        facts = f"{self.height}x{self.width}".encode() + np.packbits(self.grid).tobytes()
        return hashlib.blake2b(facts, digest_size=8).hexdigest()

    @property
    def words(self) -> str:
        return f"{100 * self.share:.2g} % of each picture left out"

    def on(self, shape: tuple[int, ...]) -> np.ndarray:
        """The region on a picture or map of a height and width, bool (H, W); something of it always remains."""
        height, width = shape[:2]
        rows = (np.arange(height) * 2 + 1) * self.height // (2 * height)
        columns = (np.arange(width) * 2 + 1) * self.width // (2 * width)
        return self.grid[rows[:, None], columns]

    def left_out_of(self, image: np.ndarray) -> np.ndarray:
        """The picture (H, W, 3) with the mean colour of the rest in the region."""
        there = self.on(image.shape)
        if not there.any() or there.all():
            return image
        mean = image[~there].mean(0, dtype=np.float64)
        filled = image.copy()
        filled[there] = np.round(mean) if image.dtype == np.uint8 else mean
        return filled

    def to_json(self) -> dict[str, Any]:
        return {"height": self.height, "width": self.width, "cells": self.cells}

    @classmethod
    def from_json(cls, data: Any) -> IgnoredRegion | None:
        """The inverse of :meth:`to_json`; None where there is none that can be read."""
        if not isinstance(data, Mapping):
            return None
        try:
            region = cls(int(data["height"]), int(data["width"]), str(data["cells"]))
            usable = (
                0 < region.height <= cls.MOST_SIDE and 0 < region.width <= cls.MOST_SIDE and len(region.cells) < 1 << 20
            )
            return region if usable and region.grid.any() and not region.grid.all() else None
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error):
            return None
