"""TIFF files that Pillow does not know, as an image format of Pillow: halves, colours in floats, rare compressions.

Read by tifffile, which comes with the detectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageFile

from mad_core.pixels import Depth

FORMAT = "WIDETIFF"
_KINDS = {"f": "float", "u": "unsigned", "i": "signed"}
_MOST_BYTES = 16
"""Of one pixel of one channel."""


class WideTiffFile(ImageFile.ImageFile):
    """One page; ``planes`` holds its numbers, (H, W) or (H, W, 3), once it is loaded."""

    format = "TIFF"
    format_description = "TIFF"
    planes: np.ndarray | None = None

    def _open(self) -> None:
        import tifffile

        try:
            self._page: Any = tifffile.TiffFile(self.fp).pages[0]  # type: ignore[arg-type]
            page = self._page
            height, width = int(page.imagelength), int(page.imagewidth)
            kind = np.dtype(page.dtype)
            samples = int(page.samplesperpixel)
            plain = int(page.imagedepth) == 1 and samples in (1, 3, 4) and kind.kind in _KINDS
        except Exception as error:  # broken files raise nearly anything
            raise SyntaxError("no TIFF that can be read") from error
        if not plain or kind.itemsize > _MOST_BYTES or min(width, height) < 1:
            raise SyntaxError("no picture of one or three channels")
        self._size, self._mode = (width, height), "F" if samples == 1 else "RGB"
        negative = int(page.photometric) == 0
        self.depth = Depth(8 * kind.itemsize, _KINDS[kind.kind], negative)  # type: ignore[arg-type]

    def load(self) -> Any:
        if self.planes is None:
            planes = np.asarray(self._page.asarray())
            if planes.ndim == 3 and planes.shape[0] in (3, 4) and planes.shape[1:] == (self.height, self.width):
                planes = np.moveaxis(planes, 0, -1)
            if planes.shape[:2] != (self.height, self.width):
                raise OSError("another size than the header says")
            self.planes = planes[..., :3] if planes.ndim == 3 else planes
            self.im = Image.new(self.mode, self.size).im
        return super(ImageFile.ImageFile, self).load()


Image.register_open(FORMAT, WideTiffFile, lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
