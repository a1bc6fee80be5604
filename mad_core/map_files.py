"""Anomaly maps on disk: one memory-mapped file per run and subset.

A file is an array of equal slots of ``side * side`` float16 values, a slot an image of the subset;
it is sparse, so slots without a map cost nothing. A map is divided by its largest magnitude before
it is stored (raw scores overflow float16); that scale stands in the image's row of the store.
"""

import hashlib
import io
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mad_core.errors import WorkError


@dataclass(frozen=True, slots=True)
class MapRef:
    """Where a stored map lies in its file: slot, shape in pixels, and the factor taken out of it."""

    row: int
    height: int
    width: int
    scale: float


class MapStore:
    """Reads and writes the maps of all runs below one folder.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, run_id: str, subset: str) -> Path:
        """The file of one run and subset; the subset's name is digested, so it cannot leave the folder."""
        return self.folder / run_id / f"{hashlib.blake2b(subset.encode(), digest_size=8).hexdigest()}.f16"

    def write(self, run_id: str, subset: str, row: int, anomaly_map: np.ndarray, side: int) -> MapRef:
        """Store one map of shape (H, W) in slot ``row``; the longest side is brought down to ``side``.

        Raises
        ------
        WorkError
            If the disk is full or read-only.
        """
        small = shrink(np.asarray(anomaly_map, dtype=np.float32), side)
        peak = float(np.max(np.abs(small), initial=0.0))
        scale = peak if np.isfinite(peak) and peak > 0 else 1.0
        values = (small / np.float32(scale)).astype("<f2")
        path = self.path(run_id, subset)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                written = os.pwrite(handle, values.tobytes(), row * side * side * 2)
            finally:
                os.close(handle)
        except OSError as error:
            raise WorkError(f"The anomaly map cannot be written to {path}: {error.strerror}.") from error
        if written != values.nbytes:
            raise WorkError(f"The anomaly map cannot be written to {path}: the disk is full.")
        return MapRef(row, small.shape[0], small.shape[1], scale)

    def read(self, run_id: str, subset: str, ref: MapRef, side: int) -> np.ndarray:
        """The stored map in raw units, float32 of shape (H, W).

        Raises
        ------
        WorkError
            If the file is gone or shorter than it should be.
        """
        path = self.path(run_id, subset)
        try:
            stored = np.memmap(
                path, dtype="<f2", mode="r", offset=ref.row * side * side * 2, shape=(ref.height, ref.width)
            )
        except (OSError, ValueError) as error:
            raise WorkError(f"The anomaly map in {path} cannot be read; score the image again.") from error
        return stored.astype(np.float32) * np.float32(ref.scale)

    def stored(
        self, run_id: str, subset: str, refs: Mapping[str, MapRef], side: int
    ) -> Iterator[tuple[str, np.ndarray, float]]:
        """Many maps of one run and subset as they lie on disk, slot by slot.

        Yields
        ------
        (image id, float16 of shape (H, W), scale)
            The map in raw units is the array times the scale. Arrays are views of the mapped file: only what is
            looked at is read.

        Raises
        ------
        WorkError
            If the file is gone or shorter than it should be.
        """
        if not refs:
            return
        path = self.path(run_id, subset)
        try:
            file = np.memmap(path, dtype="<f2", mode="r")
            for image_id, ref in sorted(refs.items(), key=lambda entry: entry[1].row):
                start = ref.row * side * side
                shape = (ref.height, ref.width)
                yield image_id, file[start : start + ref.height * ref.width].reshape(shape), ref.scale
        except (OSError, ValueError) as error:
            raise WorkError(f"The anomaly maps in {path} cannot be read; score the images again.") from error

    def delete(self, run_id: str) -> None:
        shutil.rmtree(self.folder / run_id, ignore_errors=True)

    def disk_use(self, run_id: str) -> int:
        """Bytes on disk (holes of sparse files not counted)."""
        return sum(p.stat().st_blocks * 512 for p in (self.folder / run_id).glob("*.f16"))


def shrink(anomaly_map: np.ndarray, side: int) -> np.ndarray:
    """Bring the longest side down to ``side`` by area averaging; smaller maps stay as they are."""
    height, width = anomaly_map.shape
    factor = side / max(height, width)
    if factor >= 1:
        return anomaly_map
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(anomaly_map).resize(size, Image.Resampling.BOX))


def pack(anomaly_map: np.ndarray) -> bytes:
    """The form in which a map travels to the browser: uint32 height, uint32 width, float32 row by row."""
    return struct.pack("<II", *anomaly_map.shape) + anomaly_map.astype("<f4").tobytes()


def unpack(data: bytes) -> np.ndarray:
    """The inverse of :func:`pack`: float32 of shape (H, W)."""
    height, width = struct.unpack_from("<II", data)
    return np.frombuffer(data, dtype="<f4", offset=8).reshape(height, width)


def grey_png(anomaly_map: np.ndarray) -> bytes:
    """A map as a 16-bit grey PNG, from its lowest score (0) to its highest (65535); 0 where it has no number.

    The text chunks ``low`` and ``high`` say these two scores: score = low + grey / 65535 * (high - low).
    """
    numbers = np.isfinite(anomaly_map)
    ends = (float(anomaly_map[numbers].min()), float(anomaly_map[numbers].max())) if numbers.any() else (0.0, 0.0)
    part = (np.where(numbers, anomaly_map, ends[0]).astype(np.float64) - ends[0]) / ((ends[1] - ends[0]) or 1.0)
    said, out = PngInfo(), io.BytesIO()
    for name, value in zip(("low", "high"), ends, strict=True):
        said.add_text(name, repr(value))
    Image.fromarray(np.rint(65535 * part).astype(np.uint16)).save(out, "PNG", pnginfo=said)
    return out.getvalue()


def shared_range(normal_maps: list[np.ndarray], all_maps: list[np.ndarray]) -> tuple[float, float, float] | None:
    """One display range for many maps, and a threshold, in raw units.

    Returns
    -------
    (low, high, threshold) or None
        The normals' 1st percentile, the 99.5th of all pixels, the normals' 99.5th; without normals
        all maps stand in for them. None where there is no map or all pixels are equal.
    """
    if not all_maps:
        return None
    everything = np.concatenate([m.ravel() for m in all_maps])
    normal = np.concatenate([m.ravel() for m in normal_maps]) if normal_maps else everything
    low, threshold = (float(v) for v in np.percentile(normal, (1, 99.5)))
    high = float(np.percentile(everything, 99.5))
    return (low, max(high, threshold), threshold) if max(high, threshold) > low else None
