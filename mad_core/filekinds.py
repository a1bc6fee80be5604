"""What a file is that is not read here, told by its first bytes and its name, and what to do with it."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

_HEAD = 512
_MOST_ENTRIES = 1_000_000
_LIST_BYTES, _SHORTEST_ENTRY = 5, 46
"""Where zipfile's record of a zip's end has the size of its list, and the bytes of an entry without a name."""
_SLICES = "export its slices as PNG or 16-bit TIFF images"
_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself: run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer, not the file itself: run git annex get"),
    (b"../.git/annex/objects/", "a git-annex pointer, not the file itself: run git annex get"),
    (b".git/annex/objects/", "a git-annex pointer, not the file itself: run git annex get"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file: save its arrays as PNG or TIFF images (imwrite)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (MATLAB 7.3 writes such ones, too): save its arrays as PNG or TIFF images"),
    (b"\x93NUMPY", "a NumPy array: save it as PNG or TIFF images"),
    (b"%PDF-", "a PDF document: export its pictures as PNG"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it and import the folder"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and import the folder"),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard: unpack it (zstd -d) and import what comes of it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file (.xls): save it as .xlsx or CSV"),
    (b"SQLite format 3\0", "an SQLite database: export the table as CSV"),
    (b"ARROW1\0", "an Arrow file: save it as Parquet"),
    (b"\x80\x02", "a pickle of Python, which is never read, since it may run anything: save it as images or a table"),
    (b"\x80\x03", "a pickle of Python, which is never read, since it may run anything: save it as images or a table"),
    (b"\x80\x04", "a pickle of Python, which is never read, since it may run anything: save it as images or a table"),
    (b"\x80\x05", "a pickle of Python, which is never read, since it may run anything: save it as images or a table"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image: save it as TIFF of floats"),
    (b"8BPS", "a Photoshop file: export it as PNG or TIFF"),
    (b"NRRD000", f"an NRRD volume: {_SLICES}"),
    (b"\x1aE\xdf\xa3", "a video: export its frames as PNG"),
    (b"PAR1", "a Parquet table"),
    (b"BZh", "packed by bzip2: unpack it and import what comes of it"),
    (b"\xfd7zXZ\0", "packed by xz: unpack it and import what comes of it"),
    (b"\x1f\x8b", "packed by gzip: unpack it and import what comes of it"),
)
"""How files begin, and what they are: the rest of a sentence that starts with 'this is'."""
_ENDINGS: Mapping[str, str] = {
    ".nii.gz": f"a NIfTI volume: {_SLICES}",
    ".nii": f"a NIfTI volume: {_SLICES}",
    ".mha": f"a MetaImage volume: {_SLICES}",
    ".mhd": f"a MetaImage volume: {_SLICES}",
    ".npz": "a file of NumPy arrays: save them as PNG or TIFF images",
    ".mat": "a MATLAB file: save its arrays as PNG or TIFF images (imwrite)",
    ".npy": "a NumPy array: save it as PNG or TIFF images",
    ".pkl": "a pickle of Python, which is never read, since it may run anything: save it as images or a table",
    ".pickle": "a pickle of Python, which is never read, since it may run anything: save it as images or a table",
    ".pt": "a file of PyTorch, which may hold a pickle and is not read: save its tensors as PNG or TIFF images",
    ".pth": "a file of PyTorch, which may hold a pickle and is not read: save its tensors as PNG or TIFF images",
    ".tfrecord": "a TFRecord file: write its images as PNG in folders, or as a webdataset tar",
    ".mdb": "a database (LMDB or Access): export its images as files and its table as CSV",
    ".svs": "a whole-slide image: cut it into tiles as PNG or TIFF",
    ".czi": "a microscope's file (CZI): export its images as TIFF",
    ".nd2": "a microscope's file (ND2): export its images as TIFF",
    ".lif": "a microscope's file (LIF): export its images as TIFF",
    ".ods": "an OpenDocument spreadsheet: save it as .xlsx or CSV",
    ".xls": "an old Excel file: save it as .xlsx or CSV",
    ".svg": "a vector drawing: export it as PNG",
    ".cr2": "a camera's raw file: develop it to 16-bit TIFF",
    ".nef": "a camera's raw file: develop it to 16-bit TIFF",
    ".arw": "a camera's raw file: develop it to 16-bit TIFF",
    ".dng": "a camera's raw file: develop it to 16-bit TIFF",
    ".mp4": "a video: export its frames as PNG",
    ".avi": "a video: export its frames as PNG",
    ".mov": "a video: export its frames as PNG",
    ".ply": "a point cloud: only images are read",
    ".pcd": "a point cloud: only images are read",
    ".stl": "a mesh: only images are read",
}
"""What files are by how their names end, where their bytes do not say it."""


def kind_of(path: Path) -> str | None:
    """What a file is that is no picture and no table here, and what to do: ``a Git LFS pointer …: run git lfs pull``.

    None where nothing of it is known, or it cannot be opened. At most ``512`` bytes are read (of a zip also its list).
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return None
    return kind_of_bytes(head, path.name) or (_kind_of_zip(path) if head.startswith(b"PK") else None)


def kind_of_bytes(head: bytes, name: str = "") -> str | None:
    """As :func:`kind_of`, of a file's first bytes and its name; zip archives are not told here."""
    if len(head) < _HEAD and re.fullmatch(rb"(\.\./)+[\x20-\x7e]+\s*", head):
        return (
            "the text of a link, not the file it leads to: copy the folder with its links followed (cp -rL), or name "
            "the folder above that holds both"
        )
    if not head:
        return "empty (0 bytes): copy or download it again"
    if head[344:348] in (b"n+1\0", b"ni1\0"):
        return _ENDINGS[".nii"]
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")) or (text[:1] == b"<" and b"<html" in text):
        return "a web page saved under this name, often of a login or an error: download the file itself"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return _ENDINGS[".svg"]
    if head[:2] in (b"\x1f\x8b", b"PK") or not any(head.startswith(mark) for mark, _ in _MARKS):
        ending = next((words for end, words in _ENDINGS.items() if name.lower().endswith(end)), None)
        if (ending is not None and head[:2] != b"PK") or name.lower().endswith((".npz", ".pt", ".pth", ".ods")):
            return ending
    return next((words for mark, words in _MARKS if head.startswith(mark)), None)


def most_entries(path: Path) -> int:
    """How many entries the list at a zip's end may name, by its size: zipfile takes in all of it at once."""
    with path.open("rb") as file:
        end = getattr(zipfile, "_EndRecData")(file)  # noqa: B009 - what zipfile goes by, and keeps to itself
    return end[_LIST_BYTES] // _SHORTEST_ENTRY if end else 0


def _kind_of_zip(path: Path) -> str | None:
    """What a file is that begins as a zip does."""
    if not zipfile.is_zipfile(path):
        return "a zip archive that is cut off or damaged: download or copy it again"
    try:
        if most_entries(path) > _MOST_ENTRIES:
            return "a zip archive"
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:20]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a zip archive that is cut off or damaged: download or copy it again"
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook"
    if any(name == "[Content_Types].xml" for name in names):
        return "an Office document: export its table as CSV, its pictures as PNG"
    return "a zip archive"
