"""The only place that opens an image file, on this machine or fetched from object storage.

Only the formats in ``FORMATS`` are read; the header is checked against the pixel limit before a
pixel is decoded; EXIF rotation is applied; the first frame stands for an animation. Everything comes
back as 8-bit RGB: 16-bit integers are divided by 257 (unless none is above 255), floating-point images
of the range 0-1 are multiplied by 255, transparency lies on black.
"""

import contextlib
import ctypes
import hashlib
import os
import secrets
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from mad_core import mask_pixels, remote
from mad_core.errors import InputError, MadError, WorkError
from mad_core.filekinds import kind_of
from mad_core.settings import MAX_PIXELS

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm"})
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
    """Size in pixels as shown (after EXIF rotation) and format of an image file."""

    width: int
    height: int
    format: str


def probe(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Read an image's header; no pixel is decoded.

    Raises
    ------
    ImageError
        If the file is missing, no image of a known format, or has more than ``max_pixels`` pixels.
    """
    with at_hand(path) as file, _opened(file, file, max_pixels) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        return ImageInfo(width, height, image.format or "")


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
        if not _whole(file, info.format):
            with _IN_FLIGHT.taken(info.width * info.height):
                _decoded(file, file, max_pixels)
        return info


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS, content_hash: str = "") -> np.ndarray:
    """Decode an image.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    ImageError
        As :func:`probe`, or if the file is cut off, holds no finite pixel, or not the bytes of ``content_hash``.
    """
    return with_image(path, _itself, max_pixels=max_pixels, content_hash=content_hash)


def with_image(
    path: Path, use: Callable[[np.ndarray], T], *, max_pixels: int = MAX_PIXELS, content_hash: str = ""
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
        return use(_array(file.decoded(max_pixels)))


def _itself(image: np.ndarray) -> np.ndarray:
    return image


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a mask: bool of shape (H, W), by the rule of :func:`mad_core.mask_pixels.marked`."""
    with opened_image(path) as file:
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
    with at_hand(path) as file, _opened(file, file, max_pixels) as image:
        return _orientation(image)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels of shape (H, W) as an image of an EXIF orientation is turned."""
    turn = _TURNS.get(orientation)
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def thumbnail(path: Path, folder: Path, longest: int, key: str, *, content_hash: str = "") -> Path:
    """A small WebP of an image, kept in ``folder`` under ``key`` (the content's digest).

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
            _make_thumbnail(path, target, longest, content_hash)
    return target


def thumbnail_path(folder: Path, longest: int, key: str) -> Path:
    """Where :func:`thumbnail` keeps one; no key leads out of the folder."""
    if not key.isalnum():
        key = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return folder / f"{key}-{longest}.webp"


def is_made(target: Path) -> bool:
    """Whether there is a thumbnail; one of 0 bytes is what a power cut leaves."""
    return target.is_file() and target.stat().st_size > 0


def _make_thumbnail(path: Path, target: Path, longest: int, content_hash: str) -> None:
    with opened_image(path, content_hash) as file, _IN_FLIGHT.taken(file.pixels(MAX_PIXELS)):
        image = file.decoded(MAX_PIXELS, 2 * longest)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    building = target.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(building, "WEBP", quality=85, method=2)
        building.replace(target)
    except OSError as error:
        building.unlink(missing_ok=True)
        raise WorkError(f"A thumbnail of {path} cannot be kept in {target.parent}: {error.strerror}.") from error


def content_hash(path: Path) -> str:
    """Digest of a file's bytes, 32 hexadecimal characters."""
    with at_hand(path) as there, there.open("rb") as file:
        return _digest(file)


def _digest(file: BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


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
    """

    path: Path
    handle: BufferedReader
    digest: str = ""

    def check(self) -> None:
        """See that these are the bytes that were imported.

        Raises
        ------
        ImageError
            ``changed-file``
        """
        if self.digest and _digest(self.handle) != self.digest:
            raise _changed(self.path)

    def format(self) -> str:
        """The image's format, by its content."""
        with _opened(self.path, self.handle, MAX_PIXELS) as image:
            return image.format or ""

    def mask(self, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """As :func:`read_mask`."""
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
        with _opened(self.path, self.handle, max_pixels) as image:
            return image.width * image.height

    def decoded(self, max_pixels: int, side: int = 0) -> Image.Image:
        """As :func:`_decoded`, of the bytes that were imported: the digest before, no change meanwhile."""
        before = self.state()
        self.check()
        image = _decoded(self.path, self.handle, max_pixels, side)
        if self.digest and self.state() != before:
            raise _changed(self.path)
        return image

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
    with at_hand(path) as file:
        try:
            handle = open(file, "rb", opener=_without_waiting)  # noqa: SIM115
        except FileNotFoundError:
            raise ImageError("missing-file", f"{file} is not there.") from None
        except (OSError, ValueError) as error:
            raise ImageError("unreadable", f"{file} cannot be read as an image ({_why(error, file)}).") from None
        with handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise ImageError("unreadable", f"{file} cannot be read as an image (it is no plain file).")
            yield ImageFile(file, handle, content_hash)


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
    address = remote.plain_address(path)
    try:
        file = remote.local(address)
    except MadError as error:
        kind = "missing-file" if isinstance(error, remote.MissingError) else "unreadable"
        raise ImageError(kind, str(error)) from None
    try:
        yield file
    except ImageError as error:
        raise ImageError(error.kind, str(error).replace(str(file), address)) from None


def _opened(path: Path, source: Path | BinaryIO, max_pixels: int) -> Image.Image:
    if not isinstance(source, Path):
        source.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are checked right below
            image = Image.open(source, formats=FORMATS)
            image.filename = ""  # else Pillow maps some files into memory, and scrambles rotated TIFFs then
    except FileNotFoundError:
        raise ImageError("missing-file", f"{path} is not there.") from None
    except Image.DecompressionBombError:
        raise ImageError("too-large", f"{path} has too many pixels to be opened safely.") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, OverflowError, MemoryError) as error:
        raise ImageError("unreadable", f"{path} cannot be read as an image ({_why(error, path)}).") from None
    if image.width * image.height > max_pixels:
        image.close()
        sizes = f"{image.width} x {image.height} pixels; at most {max_pixels / 1e6:.0f} million are opened"
        raise ImageError("too-large", f"{path} has {sizes}.")
    return image


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


def _decoded(path: Path, source: Path | BinaryIO, max_pixels: int, side: int = 0) -> Image.Image:
    """An image, upright, 8-bit RGB; with ``side`` made smaller by a whole factor, its longest side not below it.

    At most about eight bytes a pixel are taken at once: what is not RGB yet is converted strip by strip.
    """
    _return_large_blocks()
    with _opened(path, source, max_pixels) as image:
        try:
            image.seek(0)
            if side:
                image.draft(None, (side, side))  # of a JPEG only a part is decoded then
            image.load()
            turn = _TURNS.get(_orientation(image))
            plain = _rgb(image, path, max(1, max(image.size) // side) if side else 1)
        except ImageError:
            raise
        except Exception as error:  # decoders of broken files raise nearly anything
            raise ImageError("unreadable", f"{path} cannot be decoded ({_why(error, path)}).") from None
    del image
    return plain.transpose(turn) if turn is not None else plain


@lru_cache(maxsize=1)
def _return_large_blocks() -> None:
    """Let the C library give every large block back to the system as soon as it is free.

    By itself it learns to keep blocks of the size that pictures are made of, for each thread its own: forty threads
    that made one thumbnail each kept 3 GB.
    """
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none that can be read; TIFF files are turned by Pillow itself."""
    if image.format == "TIFF":
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # broken EXIF raises nearly anything, and the pixels may still be fine
        return 1
    return orientation if orientation in _TURNS else 1


def _rgb(image: Image.Image, path: Path, factor: int) -> Image.Image:
    """An image as 8-bit RGB, reduced by a whole factor."""
    plain = image.mode == "RGB" and "transparency" not in image.info
    if plain and factor == 1:
        return image
    convert = _from_numbers(image, path) if image.mode.startswith("I") or image.mode == "F" else _eight_bit
    size = -(-image.width // factor), -(-image.height // factor)
    made = Image.new("RGB", size)
    for top, strip in _strips(image, factor):
        made.paste(convert(strip).reduce(factor), (0, top // factor))
    return made


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


def _from_numbers(image: Image.Image, path: Path) -> Callable[[Image.Image], Image.Image]:
    """How strips of an image of 16-bit or floating-point numbers become 8-bit: by the largest number of all."""
    largest = 0.0
    for _, strip in _strips(image):
        values = np.asarray(strip)
        if not np.isfinite(values).all():
            raise ImageError("unreadable", f"{path} holds pixels that are not numbers.")
        largest = max(largest, float(values.max(initial=0)))
    if image.mode == "F":
        scale = 255.0 if largest <= 1 else 1 / 257 if largest > 255 else 1.0
        return lambda strip: _grey(np.asarray(strip, dtype=np.float64) * scale)
    return lambda strip: _grey(np.asarray(strip) // (257 if largest > 255 else 1))


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")


def _array(image: Image.Image) -> np.ndarray:
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for top, strip in _strips(image):
        pixels[top : top + strip.height] = np.asarray(strip)
    return pixels


def _why(error: BaseException, path: Path) -> str:
    """The library's reason, without the path again."""
    if isinstance(error, UnidentifiedImageError):
        kind = kind_of(path)
        return f"it is {kind}" if kind else "no known image format"
    return str(error).replace(str(path), path.name).strip(". ")[:120] or type(error).__name__
