"""The only place that opens an image file, on this machine or fetched from object storage.

Only the formats of :mod:`mad_core.image_formats` are read, whatever a file is called; the header is checked against
the pixel limit before a pixel is decoded; EXIF rotation is applied; the first frame stands for an animation, and
``x.tif#page=3`` names the third page of a file. Pictures deeper than 8 bits are seen through a
:class:`~mad_core.pixels.Window`, as 8-bit RGB (:func:`read_image`) or with their full depth as floats
(:func:`read_pixels`); where none is given, through the one that the picture would have by itself.
Transparency lies on black.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import os
import re
import secrets
import stat
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageChops, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from mad_core import mask_pixels, remote
from mad_core.errors import InputError, MadError, WorkError
from mad_core.image_formats import HEAD, formats, jxl_size, kind_of, what_it_is
from mad_core.pixels import (
    EIGHT,
    EIGHT_BIT,
    Depth,
    PixelSample,
    Window,
    find_window,
    sampled,
    to_bytes,
)
from mad_core.settings import MAX_PIXELS

CHANGED = "changed-file"
_MMAP_THRESHOLD, _LARGE_BLOCK = -3, 1 << 20  # M_MMAP_THRESHOLD of mallopt(3)
_PROC = Path("/proc/self/fd")
_ORIENTATION = 0x0112
_START_OF_SCAN, _END_OF_JPEG = b"\xff\xda", b"\xff\xd9"  # within a scan neither can stand
_JPEG_TAIL = 65_536
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings an image of each EXIF orientation upright; from 5 on width and height change places."""


PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20  # bytes; scanners write long texts and profiles
for _prefix, _raw in ((TiffImagePlugin.II, "F;64F"), (TiffImagePlugin.MM, "F;64BF")):  # it reads them, unasked for
    for _photometric in (0, 1):
        TiffImagePlugin.OPEN_INFO[(_prefix, _photometric, (3,), 1, (64,), ())] = ("F", _raw)

MOST_PAGES = 1_000
"""Pages of one file that are counted; a file may promise a million."""
_PAGE = re.compile(r"(.+)#page=([0-9]{1,6})", re.DOTALL)
_REDUCED, _MASK = 1, 4  # bits of TIFF's NewSubfileType: a page that is a thumbnail, or a mask of another
PIXELS_IN_FLIGHT = 150_000_000
"""Of all images that a process decodes at once; one image at least."""
STRIP_PIXELS = 500_000
_MAKING = tuple(threading.Lock() for _ in range(256))
"""One of them is held while a thumbnail is made."""
T = TypeVar("T")


class ImageError(InputError):
    """An image cannot be used; ``kind`` is ``missing-file``, ``unreadable``, ``too-large`` or ``changed-file``."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class _Budget:
    """So many pixels may be in flight at once; whoever wants more waits, first come, first served.

    A thread that holds some gets further ones at once: it would wait for itself.
    """

    def __init__(self) -> None:
        self._turn, self._changed, self._mine = threading.Lock(), threading.Condition(), threading.local()
        self._taken = 0

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        if getattr(self._mine, "holds", False):
            yield
            return
        pixels = min(pixels, PIXELS_IN_FLIGHT)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._taken + pixels <= PIXELS_IN_FLIGHT)
            self._taken += pixels
        self._mine.holds = True
        try:
            yield
        finally:
            self._mine.holds = False
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


_IN_FLIGHT = _Budget()


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Size in pixels as shown (after EXIF rotation) and format of an image file; how deep, how many pages."""

    width: int
    height: int
    format: str
    depth: Depth = EIGHT
    pages: int = 1


def probe(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Read an image's header; no pixel is decoded.

    Raises
    ------
    ImageError
        If the file is missing, no image of a known format, or has more than ``max_pixels`` pixels.
    """
    with at_hand(path) as file, _opened(path_of(file), path_of(file), max_pixels, page_of(file)) as image:
        (width, height), depth = image.size, _depth(image)  # before the orientation, for which a PNG is read whole
        if _orientation(image) >= 5:
            width, height = height, width
        return ImageInfo(width, height, image.format or "", depth, _pages(image))


def inspect(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """As :func:`probe`, and make sure that the file is whole.

    A PNG is checked by its checksums, a JPEG by its end mark: about 0.1 ms. Pixels are decoded only
    where these fail and for the other formats.

    Raises
    ------
    ImageError
        As :func:`read_image`.
    """
    with at_hand(path) as file:
        info = probe(file, max_pixels=max_pixels)
        if not _whole(path_of(file), info.format):
            with _IN_FLIGHT.taken(info.width * info.height), opened_image(file) as opened:
                opened.decoded(max_pixels)
        return info


def read_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, content_hash: str = "", window: Window | None = None
) -> np.ndarray:
    """Decode an image.

    Parameters
    ----------
    window : Window, optional
        Of the dataset that the picture belongs to; the picture's own without one.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    ImageError
        As :func:`probe`, or if the file is cut off, holds no finite pixel, or not the bytes of ``content_hash``.
    """
    return with_image(path, _itself, max_pixels=max_pixels, content_hash=content_hash, window=window)


def with_image(
    path: Path,
    use: Callable[[np.ndarray], T],
    *,
    max_pixels: int = MAX_PIXELS,
    content_hash: str = "",
    window: Window | None = None,
) -> T:
    """``use(image)`` of an image as :func:`read_image` gives it, which counts as in flight until then.

    Of all threads of a process, only so many decode and use images at once that these have at most
    ``PIXELS_IN_FLIGHT`` pixels; the others wait for their turn. The file is opened once: what has the digest
    ``content_hash``, where one is given, is what is decoded.

    Raises
    ------
    ImageError
        As :func:`read_image`.
    """
    with opened_image(path, content_hash) as file, _IN_FLIGHT.taken(file.pixels(max_pixels)):
        return use(_array(file.decoded(max_pixels, window=window)))


def read_pixels(
    path: Path, *, max_pixels: int = MAX_PIXELS, content_hash: str = "", window: Window | None = None
) -> np.ndarray:
    """As :func:`read_image`, with the full depth of the file: float32 of shape (H, W, 3) in 0-1, RGB."""
    return with_pixels(path, _itself, max_pixels=max_pixels, content_hash=content_hash, window=window)


def with_pixels(
    path: Path,
    use: Callable[[np.ndarray], T],
    *,
    max_pixels: int = MAX_PIXELS,
    content_hash: str = "",
    window: Window | None = None,
) -> T:
    """As :func:`with_image`, of an image as :func:`read_pixels` gives it; it counts twice, for it takes more memory."""
    with opened_image(path, content_hash) as file, _IN_FLIGHT.taken(2 * file.pixels(max_pixels)):
        return use(file.unit(max_pixels, window))


def sample_pixels(path: Path, *, max_pixels: int = MAX_PIXELS) -> PixelSample:
    """Some of a picture's numbers, as they are stored.

    Raises
    ------
    ImageError
        As :func:`read_image`.
    """
    with opened_image(path) as file, _IN_FLIGHT.taken(file.pixels(max_pixels)):
        return file.sample(max_pixels)


def _itself(image: np.ndarray) -> np.ndarray:
    return image


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS, content_hash: str = "") -> np.ndarray:
    """Decode a mask: bool of shape (H, W), by the rule of :func:`mad_core.mask_pixels.marked`.

    Raises
    ------
    ImageError
        As :func:`read_image`.
    """
    with opened_image(path, content_hash) as file:
        return file.mask(max_pixels)


def looks_like_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> bool:
    """Whether an image could be a mask, by :func:`mad_core.mask_pixels.looks_like_mask`; no if it cannot be read."""
    try:
        with opened_image(path) as file:
            return file.as_stored(mask_pixels.looks_like_mask, max_pixels)
    except ImageError:
        return False


def small_grey(path: Path, side: int, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """An image squeezed to a small grey square, shape (side, side), uint8; a large JPEG is decoded in part only.

    Raises
    ------
    ImageError
        As :func:`read_image`.
    """
    with opened_image(path) as file, _IN_FLIGHT.taken(file.pixels(max_pixels)):
        grey = file.decoded(max_pixels, 2 * side).convert("L")
    large = min(grey.size) >= side
    return np.asarray(grey.resize((side, side), Image.Resampling.BOX if large else Image.Resampling.BILINEAR))


def pixel_digest(path: Path, *, max_pixels: int = MAX_PIXELS) -> str:
    """Digest of an image's decoded pixels: the same for two files that show exactly the same.

    Raises
    ------
    ImageError
        As :func:`read_image`.
    """
    return with_image(
        path, lambda pixels: hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest(), max_pixels=max_pixels
    )


def orientation_of(path: Path, *, max_pixels: int = MAX_PIXELS) -> int:
    """The EXIF orientation that is applied when an image is read; 1 where none is.

    Raises
    ------
    ImageError
        As :func:`probe`.
    """
    with at_hand(path) as file, _opened(path_of(file), path_of(file), max_pixels) as image:
        return _orientation(image)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels of shape (H, W) as an image of an EXIF orientation is turned."""
    turn = _TURNS.get(orientation)
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def thumbnail(
    path: Path, folder: Path, longest: int, key: str, *, content_hash: str = "", window: Window | None = None
) -> Path:
    """A small WebP of an image, kept in ``folder`` under ``key`` (the content's digest, within a dataset).

    Raises
    ------
    ImageError
        As :func:`read_image`.
    WorkError
        If it cannot be kept.
    """
    target = thumbnail_path(folder, longest, key)
    with _MAKING[hash(target) % len(_MAKING)]:  # those who ask meanwhile get the one that is being made
        if not is_made(target):
            _make_thumbnail(path, target, longest, content_hash, window)
    return target


def thumbnail_path(folder: Path, longest: int, key: str) -> Path:
    """Where :func:`thumbnail` keeps one; no key leads out of the folder."""
    if not key.isalnum():
        key = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return folder / f"{key}-{longest}.webp"


def is_made(target: Path) -> bool:
    """Whether there is a thumbnail; one of 0 bytes is what a power cut leaves."""
    return target.is_file() and target.stat().st_size > 0


def _make_thumbnail(path: Path, target: Path, longest: int, content_hash: str, window: Window | None) -> None:
    with opened_image(path, content_hash) as file, _IN_FLIGHT.taken(file.pixels(MAX_PIXELS)):
        image = file.decoded(MAX_PIXELS, 2 * longest, window)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    building = target.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        for folder in (target.parent.parent, target.parent):  # whoever makes it, it is for its owner alone
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        building.touch(mode=0o600, exist_ok=False)
        image.save(building, "WEBP", quality=85, method=2)
        building.replace(target)
    except OSError as error:
        building.unlink(missing_ok=True)
        raise WorkError(f"A thumbnail of {path} cannot be kept in {target.parent}: {error.strerror}.") from error


def content_hash(path: Path) -> str:
    """Digest of a file's bytes, and of the page where one is named; 32 hexadecimal characters."""
    with at_hand(path) as there, path_of(there).open("rb") as file:
        return _of_page(_digest(file), page_of(there))


def _digest(file: BufferedReader) -> str:
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    digest = _dicom_digest(file) if kind_of(head) == "DICOM" else None
    return digest or hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _of_page(digest: str, page: int) -> str:
    """The digest of a page of a file with this digest."""
    return hashlib.blake2b(f"{digest}#{page}".encode(), digest_size=16).hexdigest() if page else digest


def _dicom_digest(file: BufferedReader) -> str | None:
    """Of the pixels and what they mean, so that nothing of a patient is kept, not even in a digest."""
    if "DICOM" not in formats():
        return None
    from mad_core.dicom import digest

    try:
        return digest(file)
    except OSError:  # broken; the decoder says so
        return None
    finally:
        file.seek(0)


def forget_patient(path: Path) -> bool:
    """Rewrite a DICOM file of our own folders so that it holds the pixels and nothing of a patient; others stay.

    Returns
    -------
    bool
        Whether it is one.

    Raises
    ------
    ImageError
        If that cannot be done here; the file is gone then.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        if kind_of(head) != "DICOM":
            return False
        if "DICOM" not in formats():
            path.unlink()
            raise ImageError("unreadable", f"{path.name} is a DICOM file: {what_it_is(head)}.")
        from mad_core.dicom import BROKEN, is_anonymous, without_patient

        if is_anonymous(head):
            return True
        try:
            data = without_patient(file)
        except OSError:
            data = BROKEN
    building = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    building.write_bytes(data)
    building.replace(path)
    return True


def page_of(path: Path) -> int:
    """Which page of its file a path names, counted from 1; 0 where it names none."""
    match = _PAGE.fullmatch(path.name)
    return int(match[2]) if match else 0


def path_of(path: Path) -> Path:
    """The file of a path that may name a page."""
    match = _PAGE.fullmatch(path.name)
    return path.with_name(match[1]) if match else path


@dataclass(frozen=True)
class ImageFile:
    """An image's file, opened once; what is checked is what is decoded and sent.

    Parameters
    ----------
    path : Path
        As sentences name it.
    handle : binary file
    digest : str
        Of the bytes that it must have; empty where nothing is known.
    page : int
        Counted from 1; 0 for the first.
    """

    path: Path
    handle: BufferedReader
    digest: str = ""
    page: int = 0

    def check(self) -> None:
        """See that these are the bytes that were imported.

        Raises
        ------
        ImageError
            ``changed-file``
        """
        if self.digest and _of_page(_digest(self.handle), self.page) != self.digest:
            raise _changed(self.path)

    def format(self) -> str:
        """The image's format, by its content."""
        with _opened(self.path, self.handle, MAX_PIXELS) as image:
            return image.format or ""

    def image(self, window: Window | None) -> Image.Image:
        """Whole, upright, 8-bit RGB."""
        with _IN_FLIGHT.taken(self.pixels(MAX_PIXELS)):
            return self.decoded(MAX_PIXELS, window=window)

    def mask(self, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """As :func:`read_mask`."""
        with self._unchanged():
            return self.as_stored(mask_pixels.marked, max_pixels)

    def as_stored(self, use: Callable[[Image.Image], T], max_pixels: int = MAX_PIXELS) -> T:
        """``use`` of the decoded image in its own mode; only its EXIF orientation is applied.

        Raises
        ------
        ImageError
            As :func:`read_image`.
        """
        with _IN_FLIGHT.taken(self.pixels(max_pixels)), _opened(self.path, self.handle, max_pixels) as image:
            try:
                image.seek(0)
                _check_covered(image)
                image.load()
                turn, kind = _TURNS.get(_orientation(image)), image.format
                upright = image if turn is None else image.transpose(turn)
                upright.format = kind
                return use(upright)
            except Exception as error:  # decoders of broken files raise nearly anything
                raise ImageError("unreadable", f"{self.path} cannot be decoded ({_why(error, self.path)}).") from None

    def place(self) -> Path:
        """Where the file that was opened lies, links resolved."""
        return Path(os.path.realpath(f"/proc/self/fd/{self.handle.fileno()}" if _PROC.exists() else self.path))

    def pixels(self, max_pixels: int) -> int:
        with _opened(self.path, self.handle, max_pixels, self.page) as image:
            return image.width * image.height

    def decoded(self, max_pixels: int, side: int = 0, window: Window | None = None) -> Image.Image:
        """As :func:`_decoded`, of the bytes that were imported: the digest before, no change meanwhile."""
        with self._unchanged():
            return _decoded(self.path, self.handle, max_pixels, side, window, self.page)

    def unit(self, max_pixels: int, window: Window | None) -> np.ndarray:
        """As :func:`read_pixels`."""
        with self._unchanged(), _loaded(self.path, self.handle, max_pixels, page=self.page) as numbers:
            return numbers.unit(window)

    def sample(self, max_pixels: int) -> PixelSample:
        """As :func:`sample_pixels`."""
        with _loaded(self.path, self.handle, max_pixels, page=self.page) as numbers:
            return sampled(numbers.depth, (values for _, values in numbers.strips()))

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        before = self.state()
        self.check()
        yield
        if self.digest and self.state() != before:
            raise _changed(self.path)

    def state(self) -> tuple[int, int]:
        """Size and time of the last change."""
        facts = os.fstat(self.handle.fileno())
        return facts.st_size, facts.st_mtime_ns


def _changed(path: Path) -> ImageError:
    return ImageError(CHANGED, f"{path} is not the one that was imported; import the dataset again.")


@contextmanager
def opened_image(path: Path, content_hash: str = "") -> Iterator[ImageFile]:
    """An image's file, opened.

    Raises
    ------
    ImageError
        If it is missing or no plain file.
    """
    with at_hand(path) as named:
        file = path_of(named)
        try:
            handle = open(file, "rb", opener=_without_waiting)  # noqa: SIM115
        except FileNotFoundError:
            raise ImageError("missing-file", f"{file} is not there.") from None
        except (OSError, ValueError) as error:
            raise ImageError("unreadable", f"{file} cannot be read as an image ({_why(error, file)}).") from None
        with handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise ImageError("unreadable", f"{file} cannot be read as an image (it is no plain file).")
            yield ImageFile(file, handle, content_hash, page_of(named))


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe in its place would wait for somebody who writes."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def at_hand(path: Path) -> Iterator[Path]:
    """The file on this machine, fetched where it lies on object storage; sentences name it as it was given.

    Raises
    ------
    ImageError
        If it cannot be fetched.
    """
    if not remote.is_address(path):
        yield path
        return
    address = remote.plain_address(path_of(path))
    try:
        file = remote.local(address)
        forget_patient(file)
    except MadError as error:
        kind = "missing-file" if isinstance(error, remote.MissingError) else "unreadable"
        raise ImageError(kind, str(error)) from None
    try:
        yield file.with_name(f"{file.name}#page={page}") if (page := page_of(path)) else file
    except ImageError as error:
        raise ImageError(error.kind, str(error).replace(str(file), address)) from None


def _opened(path: Path, source: Path | BinaryIO, max_pixels: int, page: int = 0) -> Image.Image:
    if not isinstance(source, Path):
        source.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are checked right below
            head = _head(source)
            _check_bomb(path, head, max_pixels)
            image = Image.open(source, formats=formats())
            if _in_deep_planes(image):
                if not isinstance(source, Path):
                    source.seek(0)
                image = Image.open(source, formats=[name for name in formats() if name == "WIDETIFF"])
            image.filename = ""  # else Pillow maps some files into memory, and scrambles rotated TIFFs then
            if page > 1:
                _turn_to(image, page)
    except FileNotFoundError:
        raise ImageError("missing-file", f"{path} is not there.") from None
    except Image.DecompressionBombError:
        raise ImageError("too-large", f"{path} has too many pixels to be opened safely.") from None
    except EOFError:
        raise ImageError("unreadable", f"{path} has no page {page}.") from None
    except UnidentifiedImageError:
        raise ImageError("unreadable", f"{path} cannot be read as an image ({what_it_is(head, path.name)}).") from None
    except MadError:
        raise
    except Exception as error:  # readers of broken files raise nearly anything
        raise ImageError("unreadable", f"{path} cannot be read as an image ({_why(error, path)}).") from None
    if image.width * image.height > max_pixels:
        image.close()
        sizes = f"{image.width} x {image.height} pixels; at most {max_pixels / 1e6:.0f} million are opened"
        raise ImageError("too-large", f"{path} has {sizes}.")
    return image


def _head(source: Path | BinaryIO) -> bytes:
    """The first bytes of a file."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(HEAD)
    head = source.read(HEAD)
    source.seek(0)
    return head


def _in_deep_planes(image: Image.Image) -> bool:
    """Whether it is a TIFF of 16 bits whose channels lie one after the other, which Pillow reads wrongly."""
    if image.format != "TIFF" or image.mode not in _MANY:
        return False
    tags: Any = getattr(image, "tag_v2", {})
    return tags.get(284) == 2 and max(tags.get(258, (8,))) > 8


def _check_bomb(path: Path, head: bytes, max_pixels: int) -> None:
    """Refuse what would be decoded by being opened and has too many pixels."""
    if kind_of(head) != "JXL":
        return
    size = jxl_size(head)
    if size is None:
        raise ImageError(
            "unreadable", f"{path} cannot be read as an image (JPEG XL without its size at the beginning)."
        )
    if size[0] * size[1] > max_pixels:
        sizes = f"{size[0]} x {size[1]} pixels; at most {max_pixels / 1e6:.0f} million are opened"
        raise ImageError("too-large", f"{path} has {sizes}.")


def _whole(path: Path, file_format: str) -> bool:
    """Whether a file is surely not cut off."""
    try:
        if file_format == "PNG":
            with Image.open(path, formats=("PNG",)) as image:
                image.verify()
            return True
        if file_format == "JPEG":
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _JPEG_TAIL))
                tail = file.read()
            return tail.rfind(_END_OF_JPEG) > tail.rfind(_START_OF_SCAN)
    except (OSError, SyntaxError, ValueError):
        return False
    return False


def _decoded(
    path: Path, source: Path | BinaryIO, max_pixels: int, side: int = 0, window: Window | None = None, page: int = 0
) -> Image.Image:
    """An image, upright, 8-bit RGB; with ``side`` made smaller by a whole factor, its longest side not below it.

    At most about eight bytes a pixel are taken at once: what is not RGB yet is converted strip by strip.
    """
    with _loaded(path, source, max_pixels, side, page) as numbers:
        return numbers.rgb(max(1, max(numbers.image.size) // side) if side else 1, window)


@contextmanager
def _loaded(path: Path, source: Path | BinaryIO, max_pixels: int, side: int = 0, page: int = 0) -> Iterator[_Numbers]:
    """An image's numbers, decoded; what goes wrong within is a sentence."""
    _return_large_blocks()
    with _opened(path, source, max_pixels, page) as image:
        try:
            if page < 2:
                image.seek(0)
            if side:
                image.draft(None, (side, side))  # of a JPEG only a part is decoded then
            depth = _depth(image)
            split = depth.deep and image.mode in _MANY and _raw_mode(image)[-4:] in _OTHER_BYTE
            turn = _TURNS.get(_orientation(image))
            lower = _lower_bytes(path, source, max_pixels, page) if split else None
            _check_covered(image)
            try:
                image.load()
            except OSError as error:
                image = _without_end_mark(path, source, max_pixels, image, error)
            yield _Numbers(path, image, depth, turn, lower)
        except ImageError:
            raise
        except Exception as error:  # decoders of broken files raise nearly anything
            raise ImageError("unreadable", f"{path} cannot be decoded ({_why(error, path)}).") from None


def _check_covered(image: Any) -> None:
    """See that the pieces that a TIFF file names make up the whole image: Pillow leaves black what none of them holds.

    Raises
    ------
    OSError
    """
    if image.format != "TIFF" or not image.tile:
        return
    width, height = image.tag_v2[256], image.tag_v2[257]  # as stored; ``size`` is that of the upright image
    pieces = (tile[1] or (0, 0, width, height) for tile in image.tile)
    covered = sum((min(right, width) - left) * (min(lower, height) - upper) for left, upper, right, lower in pieces)
    if covered < width * height:
        raise OSError("image file is truncated: strips or tiles are missing")


def _without_end_mark(
    path: Path, source: Path | BinaryIO, max_pixels: int, cut: Image.Image, error: OSError
) -> Image.Image:
    """A JPEG that lacks nothing but its end mark, as some cameras write it.

    It is decoded twice, with other bytes in place of what is missing: where pixels are missing, these differ.

    Raises
    ------
    OSError
        If pixels are missing too.
    """
    if cut.format != "JPEG" or cut.info.get("progressive"):
        raise error
    if not isinstance(source, Path):
        source.seek(0)
    data = source.read_bytes() if isinstance(source, Path) else source.read()
    made = []
    for missing in (b"", b"\x5a\x3c\xa7\x13" * 16):
        image = _opened(path, io.BytesIO(data + missing + _END_OF_JPEG), max_pixels)
        image.load()
        made.append(image)
    if ImageChops.difference(*made).getbbox() is not None:
        raise error
    return made[0]


_MANY = ("RGB", "RGBA", "RGBX")
"""Modes of several channels, of which Pillow keeps 8 bits each."""
_OTHER_BYTE = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}


def _lower_bytes(path: Path, source: Path | BinaryIO, max_pixels: int, page: int) -> Image.Image:
    """The lower byte of every number of an image of 16 bits a channel, of which Pillow gives the higher one.

    It is told that the numbers are in the other byte order.
    """
    with _opened(path, source, max_pixels, page) as opened:
        image: Any = opened
        image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]
        image.load()
        return image.copy()


def _swapped(args: Any) -> Any:
    if isinstance(args, tuple):
        return tuple(_swapped(part) for part in args)
    return args[:-4] + _OTHER_BYTE[args[-4:]] if isinstance(args, str) and args[-4:] in _OTHER_BYTE else args


def _raw_mode(image: Image.Image) -> str:
    """How the numbers lie in the file, in Pillow's words."""
    for tile in getattr(image, "tile", ()):
        parts = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        return next((part for part in parts if isinstance(part, str)), "")
    return ""


def _codec(image: Image.Image) -> str:
    tiles: Any = getattr(image, "tile", ())
    return tiles[0].codec_name if tiles else ""


def _depth(image: Image.Image) -> Depth:
    """What the header says of the numbers."""
    if isinstance(stated := getattr(image, "depth", None), Depth):  # of a reader of our own
        return stated
    if image.format == "TIFF":
        return _tiff_depth(image)
    many = image.mode in _MANY and _raw_mode(image)[-4:] in _OTHER_BYTE and not _raw_mode(image).startswith("LA")
    if many or image.mode.startswith("I;16") or image.mode == "I":
        scaled = image.format == "JPEG2000" or (image.format == "PPM" and _codec(image) != "raw")
        return Depth(16, stated=(0.0, 65535.0) if scaled else None)  # brought to the whole of 16 bits by Pillow
    return Depth(32, "float") if image.mode == "F" else EIGHT


def _tiff_depth(image: Image.Image) -> Depth:
    tags: Any = getattr(image, "tag_v2", {})
    bits, sort = int(tags.get(258, (8,))[0]), int(tags.get(339, (1,))[0])
    kind = "signed" if sort == 2 else "float" if sort == 3 or image.mode == "F" else "unsigned"
    negative = tags.get(262) == 0 and image.mode[0] in "IF"  # of 8 bits Pillow turns them round itself
    if image.mode in _MANY and _raw_mode(image)[-4:] not in _OTHER_BYTE:
        return EIGHT
    if image.mode[0] not in "IF" and image.mode not in _MANY and kind != "signed":
        return EIGHT
    stated = (0.0, float(2**bits - 1)) if 8 < bits < 16 and kind == "unsigned" else None
    return Depth(max(bits, 8), kind, negative, stated)


def _pages(image: Image.Image) -> int:
    """How many pages a file has, thumbnails and masks of others left out; no more than ``MOST_PAGES`` are counted."""
    if image.format == "DICOM":
        return int(getattr(image, "n_frames", 1))
    if image.format != "TIFF" or not getattr(image, "is_animated", False):
        return 1
    pages, place = 0, image.tell()
    with contextlib.suppress(EOFError, OSError, ValueError, SyntaxError, TypeError, struct.error):
        for number in range(MOST_PAGES):
            image.seek(number)
            pages += _is_page(image)
    with contextlib.suppress(Exception):
        image.seek(place)
    return max(1, pages)


def _is_page(image: Image.Image) -> bool:
    """Whether the frame in view of a TIFF is a picture of its own."""
    tags: Any = getattr(image, "tag_v2", {})
    return not int(tags.get(254, 0) or 0) & (_REDUCED | _MASK)


def _turn_to(image: Image.Image, page: int) -> None:
    """Go to a page, counted from 1 as :func:`_pages` counts.

    Raises
    ------
    EOFError
        If there is none.
    """
    if image.format != "TIFF":
        image.seek(page - 1)
        return
    for number in range(MOST_PAGES):
        image.seek(number)
        page -= _is_page(image)
        if page == 0:
            return
    raise EOFError


@dataclass(frozen=True)
class _Numbers:
    """The decoded numbers of an image."""

    path: Path
    image: Image.Image
    depth: Depth
    turn: Image.Transpose | None
    lower: Image.Image | None

    def rgb(self, factor: int, window: Window | None) -> Image.Image:
        """8-bit RGB, upright, reduced by a whole factor."""
        plain = self._plain(factor, window)
        return plain.transpose(self.turn) if self.turn is not None else plain

    def unit(self, window: Window | None) -> np.ndarray:
        """Float32 (H, W, 3) in 0-1, upright."""
        seen = self._window(window)
        pixels = np.empty((self.image.height, self.image.width, 3), dtype=np.float32)
        for top, strip in _strips(self.image):
            pixels[top : top + strip.height] = self._seen(top, strip, seen)
        return np.ascontiguousarray(_turned(pixels, self.turn))

    def strips(self) -> Iterator[tuple[int, np.ndarray]]:
        """The numbers of the channels as they are stored, strip by strip, and where each begins."""
        for top, strip in _strips(self.image):
            yield top, self._stored(top, strip)[0]

    def _plain(self, factor: int, window: Window | None) -> Image.Image:
        eight = not self.depth.deep and (window is None or window.plain) and not hasattr(self.image, "planes")
        if eight and factor == 1 and self.image.mode == "RGB" and "transparency" not in self.image.info:
            return self.image
        seen = None if eight else self._window(window)
        made = Image.new("RGB", (-(-self.image.width // factor), -(-self.image.height // factor)))
        for top, strip in _strips(self.image, factor):
            converted = _eight_bit(strip) if seen is None else Image.fromarray(to_bytes(self._seen(top, strip, seen)))
            made.paste(converted.reduce(factor), (0, top // factor))
        return made

    def _window(self, window: Window | None) -> Window:
        """Through which this picture is seen: the given one, unless that is of other pictures; else its own."""
        if window is None or not window.serves(self.depth):
            sample = sampled(self.depth, (values for _, values in self.strips())) if self.depth.deep else None
            return (find_window([sample]) if sample else None) or EIGHT_BIT
        return window

    def _seen(self, top: int, strip: Image.Image, window: Window) -> np.ndarray:
        """A strip as float32 (h, w, 3) in 0-1."""
        values, alpha = self._stored(top, strip)
        unit = window.unit(values, negative=self.depth.negative)
        unit = np.repeat(unit[..., None], 3, 2) if unit.ndim == 2 else unit
        return unit if alpha is None else unit * alpha[..., None]

    def _stored(self, top: int, strip: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
        """The numbers of a strip, (h, w) or (h, w, 3), and how opaque each pixel is where that is known."""
        if not self.depth.deep and getattr(self.image, "planes", None) is None:
            return np.asarray(_eight_bit(strip)), None
        planes = getattr(self.image, "planes", None)
        values = np.asarray(strip) if planes is None else planes[top : top + strip.height]
        if self.lower is not None:
            low = np.asarray(self.lower.crop((0, top, strip.width, top + strip.height)))
            values = values.astype(np.uint16) * np.uint16(256) + low
            values = values.view(np.int16) if self.depth.kind == "signed" else values
        elif self.depth.kind == "signed" and values.dtype == np.uint8:
            values = values.view(np.int8)
        elif self.depth.kind == "unsigned" and self.depth.bits == 32 and values.dtype == np.int32:
            values = values.view(np.uint32)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ImageError("unreadable", f"{self.path} holds pixels that are not numbers.")
        if values.ndim == 3 and self.image.mode == "RGBA":
            return values[..., :3], values[..., 3].astype(np.float32) / 65535
        return values[..., :3] if values.ndim == 3 else values, None


def _turned(pixels: np.ndarray, turn: Image.Transpose | None) -> np.ndarray:
    if turn is None:
        return pixels
    T = Image.Transpose
    turned = pixels.swapaxes(0, 1) if turn in (T.TRANSPOSE, T.TRANSVERSE, T.ROTATE_90, T.ROTATE_270) else pixels
    across = turn in (T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.ROTATE_270, T.TRANSVERSE)
    down = turn in (T.FLIP_TOP_BOTTOM, T.ROTATE_180, T.ROTATE_90, T.TRANSVERSE)
    return turned[:: -1 if down else 1, :: -1 if across else 1]


@lru_cache(maxsize=1)
def _return_large_blocks() -> None:
    """Let the C library give every large block back to the system as soon as it is free.

    By itself it learns to keep blocks of the size that pictures are made of, for each thread its own: forty threads
    that made one thumbnail each kept 3 GB.
    """
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none that can be read; some files are turned by their reader itself."""
    if image.format in ("TIFF", "JXL"):
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # broken EXIF raises nearly anything, and the pixels may still be fine
        return 1
    return orientation if orientation in _TURNS else 1


def _strips(image: Image.Image, step: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """An image in strips of whole lines, a multiple of ``step`` of them, and where each begins."""
    height = max(1, STRIP_PIXELS // max(1, image.width) // step) * step
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _eight_bit(strip: Image.Image) -> Image.Image:
    if strip.mode in ("RGBA", "LA", "PA") or "transparency" in strip.info:
        over = strip.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over).convert("RGB")
    return strip.convert("RGB")


def _array(image: Image.Image) -> np.ndarray:
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for top, strip in _strips(image):
        pixels[top : top + strip.height] = np.asarray(strip)
    return pixels


def _why(error: BaseException, path: Path) -> str:
    """The library's reason, without the path again; of the commonest one what it means."""
    if re.search("truncated|premature end", str(error), re.IGNORECASE):
        return "it is cut off: copy or download it again"
    return " ".join(str(error).replace(str(path), path.name).split()).strip(". ")[:120] or type(error).__name__
