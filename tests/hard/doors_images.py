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

from mad_core.image_formats import formats
from mad_core.images import ImageError, forget_patient, inspect, probe, read_image, read_mask, read_pixels, thumbnail
from mad_core.pixels import Window
from tests.hard.attack import Door, expect, refusal
from tests.hard.mutation import spoiled_bytes

SUFFIXES = (
    ".png",
    ".jpg",
    ".tif",
    ".bmp",
    ".webp",
    ".gif",
    ".ppm",
    ".pgm",
    ".JPG",
    ".dcm",
    ".heic",
    ".jxl",
    ".avif",
    ".jp2",
    "",
)


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
        **_newer(rgb, deep),
        "pfm": b"Pf\n2 2\n-1.0\n" + struct.pack("<4f", 0, 0.5, 1, 0.25),
    }
    return found


def _newer(rgb: Image.Image, deep: Image.Image) -> dict[str, bytes]:
    """Files of the formats that packages beside Pillow read, where these are installed."""
    there = formats()
    found = {"jpeg 2000": _saved(rgb, "JPEG2000"), "jpeg 2000, 16": _saved(deep, "JPEG2000")}
    found |= {name: _saved(rgb, name) for name in ("AVIF", "HEIF", "JXL") if name in there}
    if "DICOM" in there:
        found |= {"dicom": dicom(np.asarray(deep)), "dicom frames": dicom(np.stack([np.asarray(deep)] * 3))}
    return found


def dicom(values: np.ndarray, **elements: object) -> bytes:
    """A DICOM file of 16 bits with a patient and a window."""
    from pydicom.dataset import Dataset, FileMetaDataset

    data, data.file_meta = Dataset(), FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.PatientName, data.Modality = "PLANTED^PATIENT", "CT"
    data.Rows, data.Columns = values.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME1", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.WindowCenter, data.WindowWidth, data.RescaleSlope, data.RescaleIntercept = 40, 400, 1.5, -1024
    data.NumberOfFrames = values.shape[0] if values.ndim == 3 else 1
    data.PixelData = values.astype("<u2").tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _endless_pages(pages: int) -> bytes:
    """A TIFF whose pages are the same one, ``pages`` times; the last leads back to the first."""
    one = struct.pack("<H", 8) + b"".join(
        struct.pack("<HHII", *tag)
        for tag in (
            *((256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
            *((273, 4, 1, 8), (278, 4, 1, 4), (279, 4, 1, 16)),
        )
    )
    size = len(one) + 4
    places = [24 + size * number for number in range(pages)]
    heads = [one + struct.pack("<I", place) for place in (*places[1:], places[0])]
    return struct.pack("<2sHI", b"II", 42, 24) + bytes(range(16)) + b"".join(heads)


def _hostile() -> dict[str, bytes]:
    """Sizes, pages and frames that no machine holds, in the formats that are read since."""
    grey = np.zeros((4, 4), np.uint16)
    jxl = b"\xff\x0a" + ((2**30 - 1) << 3 | 3 << 1 | 1 << 33).to_bytes(12, "little")
    found = {"tiff of 30,000 pages": _endless_pages(30_000), "tiff in a circle": _endless_pages(1), "jxl bomb": jxl}
    if "DICOM" in formats():
        found |= {
            "dicom of 4 * 10^9 pixels": dicom(grey, Rows=65_535, Columns=65_535),
            "dicom of a billion frames": dicom(grey, NumberOfFrames=10**9),
            "dicom without pixels": dicom(grey, PixelData=b""),
            "dicom of 0 bits": dicom(grey, BitsStored=0),
            "dicom of a window without width": dicom(grey, WindowWidth=0),
            "dicom deflated": dicom(grey).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"),
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
        "jpeg 2000, cut": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
        **_hostile(),
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
    for work in (
        probe,
        inspect,
        read_image,
        read_mask,
        lambda p: read_pixels(p, window=Window(-1000, 3000)),
        lambda p: read_image(Path(f"{p}#page=2")),
        lambda p: thumbnail(p, folder / "thumbs", 64, "k", window=Window(0, 4095)),
        forget_patient,
    ):
        try:
            found = work(path)
        except ImageError as error:
            expect(error.kind in ("unreadable", "too-large"), f"kind {error.kind}")
            refusal(error, path.name)
            continue
        taken = taken or work is not forget_patient  # which takes whatever holds no patient
        if work is read_image:
            expect(
                found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3 and found.size > 0,
                f"shape {found.shape}",
            )
            info = probe(path)
            expect(info.pages >= 1, f"{info.pages} pages")
            expect((info.height, info.width) == found.shape[:2], f"{info} but pixels {found.shape}")
        if work is read_mask:
            expect(found.dtype == bool and found.ndim == 2, f"mask {found.dtype} {found.shape}")
    expect(b"PLANTED" not in path.read_bytes() or data[128:132] != b"DICM", "a patient is kept")
    return taken


DOORS = (Door("images", cases, enter, megabytes=2500),)
