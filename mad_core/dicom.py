"""DICOM as an image format of Pillow: pixels, depth and window, and nothing about a patient.

Only the elements in ``KEPT`` are ever read, so that no name, date or number of a person is in memory; the digest and
the copy of a file are made of them and of the pixels alone. Needs pydicom, ``requirements-dicom.txt``.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from mad_core import extras
from mad_core.pixels import CT_RANGE, EIGHT, Depth

FORMAT = "DICOM"
KEPT = (
    "SOPClassUID",
    "Modality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
)
"""Elements that say what the pixels mean."""
PIXELS = "PixelData"
_MARK, _PREAMBLE = b"DICM", 128
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_ANONYMOUS = "1.2.826.0.1.3680043.8.498.7723401"
"""Identifier of every copy: the original's would lead to its patient."""
PERSON = ("PatientName", "PatientID", "OtherPatientNames", "ReferringPhysicianName")
_TEXTS = {"UI": re.compile(r"[0-9.]{0,64}"), "CS": re.compile(r"[A-Z0-9_ ]{0,16}")}
_TEXTS |= dict.fromkeys(("IS", "DS"), re.compile(r"[0-9eE.+-]{0,24}"))
"""What texts of the standard's kinds are made of (PS3.5, 6.2)."""
TELLING = 8
"""Characters from which on a name found among the pixels is no accident, unless it is two of them over and over."""
BROKEN = bytes(_PREAMBLE) + _MARK
"""What is left of a file that cannot be read."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is a DICOM file."""
    return head[_PREAMBLE : _PREAMBLE + 4] == _MARK


def is_anonymous(head: bytes) -> bool:
    """Whether a file that begins so is what :func:`without_patient` made."""
    return _ANONYMOUS.encode() in head


def digest(handle: BinaryIO) -> str | None:
    """Digest of a DICOM file's pixels and of what they mean; None of any other file, or where pydicom is missing."""
    handle.seek(0)
    if not is_dicom(handle.read(_PREAMBLE + 4)) or not extras.installed("pydicom"):
        return None
    with _quietly():
        dataset = _read(handle, pixels=True)
        made = hashlib.blake2b(str(dataset.file_meta.TransferSyntaxUID).encode(), digest_size=16)
        for name in KEPT:
            if name in dataset:
                made.update(f"{name}={dataset[name].value!r}\n".encode())
        made.update(bytes(dataset.get(PIXELS, b"")))
    return made.hexdigest()


def without_patient(handle: BinaryIO) -> bytes:
    """The bytes of a DICOM file that holds the pixels and what they mean, and nothing else.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    from pydicom.dataset import Dataset, FileMetaDataset

    with _quietly():
        original = _read(handle, pixels=True)
        copy, meta = Dataset(), FileMetaDataset()
        for name in (*KEPT, PIXELS):
            if name in original:
                copy.add(_itself(original[name]))
        meta.TransferSyntaxUID = original.file_meta.TransferSyntaxUID
        meta.MediaStorageSOPClassUID = original.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
        copy.SOPInstanceUID = _ANONYMOUS
        setattr(meta, "MediaStorageSOPInstanceUID", _ANONYMOUS)  # noqa: B010 - pydicom's stubs want its own text
        copy.file_meta = meta
        out = io.BytesIO()
        copy.save_as(out, enforce_file_format=True)
        data = out.getvalue()
        if any(name in data for name in _names(handle)):  # parts of a header among the pixels of a damaged file
            raise ValueError("damaged")
    return data


def _itself(element: Any) -> Any:
    """An element of a header whose text is of its kind: in a damaged file it may have swallowed those behind it.

    Raises
    ------
    ValueError
    """
    allowed = _TEXTS.get(str(element.VR))
    values = (
        element.value if isinstance(element.value, Sequence) and not isinstance(element.value, str) else [element.value]
    )
    if allowed and not all(allowed.fullmatch(str(value or "").strip(" \0")) for value in values):
        raise ValueError("damaged")
    return element


def _names(handle: BinaryIO) -> list[bytes]:
    """What the file calls people, where that is long enough to be told from pixels."""
    from pydicom import dcmread

    handle.seek(0)
    header = dcmread(handle, stop_before_pixels=True, force=True, specific_tags=list(PERSON))
    texts = (str(element.value).strip().encode(errors="replace") for element in header)
    return [text for text in texts if len(text) >= TELLING and len(set(text)) > 2]


@contextmanager
def _quietly() -> Iterator[None]:
    """No warning, log or error of pydicom is passed on: they quote what stands in the file.

    Raises
    ------
    OSError
        That the file cannot be read.
    """
    from pydicom import config

    logging.getLogger("pydicom").disabled = True
    config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MemoryError:
        raise
    except Exception as error:
        raise OSError(f"DICOM, {_plainly(error)}") from None


def _plainly(error: Exception) -> str:
    """What went wrong, in words that hold nothing of the file."""
    text = str(error)
    if "Unable to decompress" in text or "plugin" in text or "decoder" in text.lower():
        return "compressed; pip install pylibjpeg pylibjpeg-libjpeg"
    if isinstance(error, AttributeError | KeyError):
        return "without a picture, such as a report or a list of files, or cut off"
    return "damaged or of a rare kind"


def _read(handle: BinaryIO, *, pixels: bool = False) -> Any:
    from pydicom import dcmread

    handle.seek(0)
    if _DEFLATED in handle.read(2048):  # all of it would be unpacked into memory, whatever it comes to
        raise ValueError("deflated")
    handle.seek(0)
    wanted: list[Any] = [*KEPT, *([PIXELS] if pixels else [])]
    return dcmread(handle, stop_before_pixels=not pixels, specific_tags=wanted)


class DicomImageFile(ImageFile.ImageFile):
    """Frames of a DICOM file, numbers as they are after its rescale: Hounsfield units in CT."""

    format = FORMAT
    format_description = "DICOM"

    def _open(self) -> None:
        assert self.fp is not None
        if not is_dicom(self.fp.read(_PREAMBLE + 4)):
            raise SyntaxError("no DICOM file")
        with _quietly():
            header = _read(self.fp)  # type: ignore[arg-type]
            self._header = header
            self._size = int(header.Columns), int(header.Rows)
            self.n_frames = max(1, int(header.get("NumberOfFrames", 1) or 1))
            self.frame = 0
            self.depth = _depth(header)
            colour = int(header.get("SamplesPerPixel", 1)) > 1 or "PALETTE" in header.PhotometricInterpretation
            self._mode = "RGB" if colour else "L" if self.depth is EIGHT else "F"
        if min(self._size) < 1:
            raise OSError("a DICOM file without pixels")

    @property
    def is_animated(self) -> bool:
        return self.n_frames > 1

    def seek(self, frame: int) -> None:
        if not 0 <= frame < self.n_frames:
            raise EOFError
        self.frame = frame

    def tell(self) -> int:
        return self.frame

    def load(self) -> Any:
        if self._im is None:
            with _quietly():
                self.im = Image.fromarray(self._numbers()).im
        return super(ImageFile.ImageFile, self).load()

    def _numbers(self) -> np.ndarray:
        from pydicom.pixels import apply_color_lut, apply_rescale, pixel_array  # type: ignore[attr-defined]

        header, source = self._header, self.fp
        assert source is not None
        source.seek(0)
        values = pixel_array(source, index=self.frame, specific_tags=[*KEPT])  # type: ignore[arg-type]
        if "PALETTE" in header.PhotometricInterpretation:
            values = apply_color_lut(values, header)
        if values.shape[:2] != (self.height, self.width) or (self.mode == "RGB") != (values.ndim == 3):
            raise ValueError("another size than the header says")
        if self.mode == "RGB":
            shift = 8 if values.dtype.itemsize > 1 else 0
            return np.ascontiguousarray((values >> shift).astype(np.uint8))
        padding = header.get("PixelPaddingValue")
        if padding is not None and (values != padding).any():
            values = np.where(values == padding, values[values != padding].min(), values)
        if self.depth is EIGHT:
            values = values.astype(np.uint8)
            return 255 - values if header.PhotometricInterpretation == "MONOCHROME1" else values
        return np.ascontiguousarray(apply_rescale(values, header).astype(np.float32))


def _depth(header: Any) -> Depth:
    """What the header says of the numbers, after rescale."""
    bits = int(header.get("BitsStored", header.BitsAllocated))
    slope, intercept = float(header.get("RescaleSlope", 1) or 1), float(header.get("RescaleIntercept", 0) or 0)
    if bits <= 8 and (slope, intercept) == (1, 0):
        return EIGHT
    signed = int(header.get("PixelRepresentation", 0)) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = sorted((slope * low + intercept, slope * high + intercept))
    window = _window(header)
    if window is None and header.get("Modality") == "CT":
        window = CT_RANGE
    if window is None and bits < int(header.BitsAllocated):
        window = ends[0], ends[1]
    negative = header.PhotometricInterpretation == "MONOCHROME1"
    return Depth(max(bits, 9), "signed" if ends[0] < 0 else "unsigned", negative, window)


def _window(header: Any) -> tuple[float, float] | None:
    """The first window of the file, black and white (PS3.3, C.11.2.1.2)."""
    centre, width = (_first(header.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or not (math.isfinite(centre) and math.isfinite(width)) or width < 1:
        return None
    if header.get("VOILUTFunction", "LINEAR") != "LINEAR":
        return centre - width / 2, centre + width / 2
    if width == 1:
        return None
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value if isinstance(value, str | int | float) else value[0])
    except (TypeError, ValueError, IndexError):
        try:
            return float(value)
        except (TypeError, ValueError):
            return None


Image.register_open(FORMAT, DicomImageFile)
