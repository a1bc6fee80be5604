"""Formats beyond Pillow's own, read by packages that need not be installed; and what a file is that none reads."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache

from mad_core import extras
from mad_core.filekinds import kind_of_bytes

BUILT_IN = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF")
SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "pjpeg", "pjp", "tif", "tiff", "bmp", "dib"),
        *("webp", "gif", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "avif", "heic", "heif"),
        *("jxl", "dcm", "dicom"),
    )
)
UPLOAD_TYPES = tuple(sorted(suffix.removeprefix(".") for suffix in SUFFIXES))
"""The same without their dots, as browsers are told."""
HEAD = 4096
"""Bytes at the beginning of a file that tell what it is."""
_BRANDS = {b"heic": "HEIF", b"heix": "HEIF", b"hevc": "HEIF", b"heim": "HEIF", b"heis": "HEIF", b"mif1": "HEIF"}
_BRANDS |= {b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF"}
_JXL_BOX = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"


def _heif() -> None:
    importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False, decode_threads=1)


def _jxl() -> None:
    importlib.import_module("pillow_jxl")


def _wide_tiff() -> None:
    importlib.import_module("mad_core.wide_tiff")


def _dicom() -> None:
    importlib.import_module("mad_core.dicom")


_PACKAGES: Mapping[str, tuple[str, str, str, Callable[[], None]]] = {
    "HEIF": ("pillow_heif", "pillow-heif", "requirements-formats.txt", _heif),
    "JXL": ("pillow_jxl", "pillow-jxl-plugin", "requirements-formats.txt", _jxl),
    "DICOM": ("pydicom", "pydicom", "requirements-dicom.txt", _dicom),
}
"""By format: what is imported, the package, the file that installs it, and what makes Pillow know the format."""
_NAMES = {"HEIF": "HEIC", "JXL": "JPEG XL"}


@cache
def formats() -> tuple[str, ...]:
    """The formats that can be read here, in Pillow's words."""
    there = []
    for name, (module, _, _, make) in _PACKAGES.items():
        if extras.installed(module):
            make()
            there.append(name)
    if extras.installed("tifffile"):
        _wide_tiff()
        there.append("WIDETIFF")
    return (*BUILT_IN, *there)


def kind_of(head: bytes) -> str | None:
    """The format of an image file by its beginning, ``HEAD`` bytes of it; None where it is none of ours."""
    signs = (
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (b"GIF8", "GIF"),
        (b"\xff\x4f\xff\x51", "JPEG2000"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
        (b"\xff\x0a", "JXL"),
        (_JXL_BOX, "JXL"),
    )
    kind = next((name for sign, name in signs if head.startswith(sign)), None)
    if kind:
        return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[14:18] in (b"\x28\0\0\0", b"\x0c\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n" and len(head) > 2:
        return "PPM"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    return "DICOM" if head[128:132] == b"DICM" else None


def what_it_is(head: bytes, name: str = "") -> str:
    """Why a file that begins so is not read, and what to do, in a few words."""
    kind = kind_of(head)
    if kind is not None and kind in _PACKAGES and kind not in formats():
        _, package, file, _ = _PACKAGES[kind]
        return f"{_NAMES.get(kind, kind)} needs {package}: pip install -r {file}"
    if kind is not None and len(head) > len(kind):
        return f"no known image format: it begins as {_NAMES.get(kind, kind)}, but is broken or of a rare kind"
    other = kind_of_bytes(head, name)
    return f"it is {other}" if other else "no known image format"


def jxl_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG XL file, from its first bytes (ISO/IEC 18181-1, SizeHeader); None where unclear.

    Its plug-in decodes a file when it is opened, so a bomb is to be known before.
    """
    stream = data if data[:2] == b"\xff\x0a" else _codestream(data)
    if stream is None or stream[:2] != b"\xff\x0a" or len(stream) < 14:
        return None
    bits, place = int.from_bytes(stream[2:14], "little"), 0

    def take(count: int) -> int:
        nonlocal place
        value = bits >> place & ((1 << count) - 1)
        place += count
        return value

    def length(small: int) -> int:
        return 8 * (take(5) + 1) if small else 1 + take((9, 13, 18, 30)[take(2)])

    small = take(1)
    height = length(small)
    ratio = take(3)
    if ratio == 0:
        return length(small), height
    above, below = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * above // below, height


def _codestream(data: bytes) -> bytes | None:
    """The beginning of the codestream in the boxes of a JPEG XL file."""
    place = 0
    while place + 8 <= len(data):
        size, kind, inner = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], place + 8
        if size == 1:
            size, inner = int.from_bytes(data[place + 8 : place + 16], "big"), place + 16
        if kind == b"jxlc":
            return data[inner:]
        if kind == b"jxlp":
            return data[inner + 4 :]
        if size < 8:
            return None
        place += size
    return None
