"""The only place that opens an image file, on this machine or fetched from object storage.

Only the formats in ``FORMATS`` are read; the header is checked against the pixel limit before a
pixel is decoded; EXIF rotation is applied; the first frame stands for an animation. Everything comes
back as 8-bit RGB: 16-bit integers are divided by 257 (unless none is above 255), floating-point images
of the range 0-1 are multiplied by 255, transparency lies on black.
"""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mad_core import remote
from mad_core.errors import InputError, MadError, WorkError
from mad_core.settings import MAX_PIXELS

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm"})
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


class ImageError(InputError):
    """An image cannot be used; ``kind`` is ``missing-file``, ``unreadable`` or ``too-large``."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


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
    with at_hand(path) as file, _opened(file, max_pixels) as image:
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
            _decoded(file, max_pixels)
        return info


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    ImageError
        As :func:`probe`, or if the file is cut off or holds no finite pixel.
    """
    with at_hand(path) as file:
        return np.asarray(_decoded(file, max_pixels))


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a mask: bool of shape (H, W), True where any channel is above half its range, or non-zero
    where the mask only holds small label numbers (0, 1, 2 …)."""
    grey = read_image(path, max_pixels=max_pixels).max(axis=2)
    return grey > (127 if grey.max() > 32 else 0)


def thumbnail(path: Path, folder: Path, longest: int, key: str) -> Path:
    """A small WebP of an image, kept in ``folder`` under ``key`` (the content's digest).

    Raises
    ------
    ImageError
        As :func:`read_image`.
    WorkError
        If it cannot be kept.
    """
    if not key.isalnum():
        key = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    target = folder / f"{key}-{longest}.webp"
    if target.exists():
        return target
    with at_hand(path) as file:
        image = _decoded(file, MAX_PIXELS)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    building = target.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        image.save(building, "WEBP", quality=85, method=2)
        building.replace(target)
    except OSError as error:
        building.unlink(missing_ok=True)
        raise WorkError(f"A thumbnail of {path} cannot be kept in {folder}: {error.strerror}.") from error
    return target


def content_hash(path: Path) -> str:
    """Digest of a file's bytes, 32 hexadecimal characters."""
    with at_hand(path) as there, there.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


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


def _opened(path: Path, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are checked right below
            image = Image.open(path, formats=FORMATS)
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


def _decoded(path: Path, max_pixels: int) -> Image.Image:
    with _opened(path, max_pixels) as image:
        try:
            image.seek(0)
            image.load()
            turn = _TURNS.get(_orientation(image))
            return _rgb(image.transpose(turn) if turn is not None else image, path)
        except ImageError:
            raise
        except Exception as error:  # decoders of broken files raise nearly anything
            raise ImageError("unreadable", f"{path} cannot be decoded ({_why(error, path)}).") from None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none that can be read; TIFF files are turned by Pillow itself."""
    if image.format == "TIFF":
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # broken EXIF raises nearly anything, and the pixels may still be fine
        return 1
    return orientation if orientation in _TURNS else 1


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        eight = values // 257 if values.max(initial=0) > 255 else values
        return Image.fromarray(np.clip(eight, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ImageError("unreadable", f"{path} holds pixels that are not numbers.")
        scaled = values * 255 if values.max(initial=0) <= 1 else values / 257 if values.max() > 255 else values
        return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over).convert("RGB")
    return image.convert("RGB")


def _why(error: BaseException, path: Path) -> str:
    """The library's reason, without the path again."""
    if isinstance(error, UnidentifiedImageError):
        return "no known image format"
    return str(error).replace(str(path), path.name).strip(". ")[:120] or type(error).__name__
