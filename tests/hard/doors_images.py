"""The door of images: every format, every mode, and files that lie about themselves."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from mad_core.images import ImageError, inspect, probe, read_image, read_mask, thumbnail
from tests.hard.attack import Door, expect, refusal
from tests.hard.mutation import spoiled_bytes

SUFFIXES = (".png", ".jpg", ".tif", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".JPG")


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@cache
def whole() -> dict[str, bytes]:
    """Files that are fine, by what they are."""
    pixels = np.random.default_rng(3).integers(0, 256, (23, 31, 3), dtype=np.uint8)
    rgb = Image.fromarray(pixels)
    grey, alpha = rgb.convert("L"), rgb.convert("RGBA")
    deep = Image.fromarray((pixels[..., 0].astype(np.uint16) << 7) + 5)
    real = Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
    palette = rgb.quantize(16)
    frames = [rgb.rotate(90 * k) for k in range(3)]
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 40_000, zip=True)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "d" * 20_000
    found = {
        "png": _saved(rgb, "PNG"),
        "png grey": _saved(grey, "PNG"),
        "png alpha": _saved(alpha, "PNG"),
        "png palette": _saved(palette, "PNG", transparency=3),
        "png 16": _saved(deep, "PNG"),
        "png 1": _saved(grey.convert("1"), "PNG"),
        "png text": _saved(rgb, "PNG", pnginfo=text),
        "png icc": _saved(rgb, "PNG", icc_profile=b"no profile" * 900),
        "apng": _saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "jpeg": _saved(rgb, "JPEG", quality=80),
        "jpeg progressive": _saved(rgb, "JPEG", progressive=True),
        "jpeg cmyk": _saved(rgb.convert("CMYK"), "JPEG"),
        "jpeg grey": _saved(grey, "JPEG"),
        "jpeg exif": _saved(rgb, "JPEG", exif=exif),
        "tiff": _saved(rgb, "TIFF"),
        "tiff lzw": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "tiff deflate": _saved(alpha, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": _saved(rgb, "TIFF", compression="jpeg"),
        "tiff 16": _saved(deep, "TIFF"),
        "tiff float": _saved(real, "TIFF"),
        "tiff cmyk": _saved(rgb.convert("CMYK"), "TIFF"),
        "tiff pages": _saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "tiff exif": _saved(rgb, "TIFF", exif=exif),
        "bmp": _saved(rgb, "BMP"),
        "bmp palette": _saved(palette, "BMP"),
        "webp": _saved(rgb, "WEBP", quality=60),
        "webp lossless": _saved(alpha, "WEBP", lossless=True),
        "webp animated": _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "gif": _saved(palette, "GIF", transparency=2),
        "gif animated": _saved(palette, "GIF", save_all=True, append_images=[frames[1].quantize(8)], loop=0),
        "ppm": _saved(rgb, "PPM"),
        "pgm 16": _saved(deep, "PPM"),
        "ppm plain": b"P3\n# c\n2 2\n255\n0 1 2 3 4 5 6 7 8 9 10 11\n",
        "pgm plain": b"P2 2 2 65535 1 2 3 65535\n",
        "pbm": b"P4\n8 2\n\xaa\x55",
        "pfm": b"Pf\n2 2\n-1.0\n" + struct.pack("<4f", 0, 0.5, 1, 0.25),
    }
    return found


def lies() -> dict[str, bytes]:
    """Files made by hand: bombs, empty ones, other kinds of file, pixels that are no numbers."""
    big = struct.pack(">II", 40_000, 25_000)
    header = b"IHDR" + big + b"\x08\x02\0\0\0"
    body = b"IDAT" + zlib.compress(b"\0" * 1000)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, body, b"IEND")
    )
    near = png.replace(big, struct.pack(">II", 9_999, 9_999))
    nan = np.full((4, 5), np.nan, np.float32)
    whole_numbers = np.full((4, 5), 1e30, np.float32)
    text = zlib.compress(b"\0" * 60_000_000)
    chunk = b"zTXtc\0\0" + text
    small = whole()["png"]
    heavy = small[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + small[33:]
    gif = (
        b"GIF89a"
        + struct.pack("<HH", 65_535, 65_535)
        + b"\x80\0\0"
        + bytes(6)
        + b","
        + struct.pack("<HHHH", 0, 0, 65_535, 65_535)
        + b"\0\x02\x02L\x01\0;"
    )
    return {
        "empty": b"",
        "one byte": b"\x89",
        "png of 10^9 pixels": png,
        "png of 10^8 pixels, cut": near,
        "png of unpacked text": heavy,
        "gif of 4 * 10^9 pixels": gif,
        "ppm of 10^10 pixels": b"P6 100000 100000 255\n\0\0\0",
        "ppm of no pixels": b"P6 0 0 255\n",
        "ppm of negative size": b"P6 -5 7 255\n",
        "plain ppm of long numbers": b"P3 2 2 255 " + b"9" * 5000,
        "bmp of 10^9 pixels": b"BM"
        + struct.pack("<IHHI", 70, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "tiff of nan": _saved(Image.fromarray(nan), "TIFF"),
        "tiff of 1e30": _saved(Image.fromarray(whole_numbers), "TIFF"),
        "tiff of 32-bit": _saved(Image.fromarray(np.full((3, 3), -7, np.int32)), "TIFF"),
        "html": b"<!doctype html><html><body>404</body></html>",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
        "ico": _saved(Image.new("RGB", (16, 16)), "ICO"),
        "icns": b"icns" + struct.pack(">I", 16) + b"ic07" + struct.pack(">I", 8),
        "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
    }


def cases(rng: random.Random, count: int) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Every whole file, every lie, each under other suffixes, and spoiled ones for the rest."""
    fine, false = whole(), lies()
    given = [(name, data) for group in (fine, false) for name, data in group.items()]
    for number in range(count):
        if number < len(given):
            name, data = given[number]
        else:
            name = rng.choice(list(fine)) if rng.random() < 0.9 else rng.choice(list(false))
            data = spoiled_bytes(rng, (fine | false)[name][:200_000], list(fine.values()))
            name = f"{name}, spoiled"
        yield f"{number} {name}", (rng.choice(SUFFIXES), data)


def enter(case: tuple[str, bytes], folder: Path) -> bool:
    suffix, data = case
    path = folder / f"odd name{suffix}"
    path.write_bytes(data)
    taken = False
    for work in (probe, inspect, read_image, read_mask, lambda p: thumbnail(p, folder / "thumbs", 64, "k")):
        try:
            found = work(path)
        except ImageError as error:
            expect(error.kind in ("unreadable", "too-large"), f"kind {error.kind}")
            refusal(error, path.name)
            continue
        taken = True
        if work is read_image:
            expect(
                found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3 and found.size > 0,
                f"shape {found.shape}",
            )
            info = probe(path)
            expect((info.height, info.width) == found.shape[:2], f"{info} but pixels {found.shape}")
        if work is read_mask:
            expect(found.dtype == bool and found.ndim == 2, f"mask {found.dtype} {found.shape}")
    return taken


DOORS = (Door("images", cases, enter, megabytes=2500),)
