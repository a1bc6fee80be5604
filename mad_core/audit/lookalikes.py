"""Images that look almost the same: copies of a file, and near-duplicates by a perceptual hash.

The dataset's table knows copies by the digest of their bytes. A copy that was scaled, re-encoded or made a
little brighter has another digest; it is found by the signs of its lowest spatial frequencies (Zauner 2010,
Implementation and Benchmarking of Perceptual Image Hash Functions), here 255 of them, so that pictures of the
same product under the same camera are still told apart.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.fft import dctn

from mad_core.errors import InputError
from mad_core.images import read_image, thumbnail
from mad_core.pixels import Window

SIDE, KEPT = 64, 16
BITS = 256
NEAR = 12
"""Bits by which near-duplicates differ at most, of ``BITS``: scaling to three quarters, JPEG at quality 70 and other
brightness change up to 8 on the demo, where different pictures of one product differ in 18 or more."""
MOST = 5
"""Look-alikes that are kept for an image, the nearest first."""
_ROWS = 256
_NAME = "perceptual.json"


def perceptual_hash(pixels: np.ndarray) -> str:
    """The signs of an image's lowest frequencies about their median, 64 hexadecimal characters.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, 3) or (H, W)
        At least one pixel; only relative brightness matters.
    """
    grey = pixels.astype(np.float64)
    if grey.ndim == 3:
        grey = grey @ np.array([0.299, 0.587, 0.114])
    small = _averaged(_averaged(grey, SIDE).T, SIDE).T
    low = np.asarray(dctn(small, norm="ortho"))[:KEPT, :KEPT].ravel()
    # Rounded, so that frequencies that are absent fall on one side whatever the noise of the arithmetic.
    low = np.round(low[1:], 6)
    return np.packbits(np.concatenate(([False], low > np.median(low)))).tobytes().hex()


def _averaged(values: np.ndarray, rows: int) -> np.ndarray:
    """Mean over ``rows`` equal stretches of the first axis; a pixel on a border counts in part on both sides."""
    total = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))
    ends = np.linspace(0, len(values), rows + 1)
    whole = np.minimum(ends.astype(np.int64), len(values) - 1)
    at = total[whole] + (ends - whole)[:, None] * values[whole]
    return np.diff(at, axis=0) * rows / len(values)


def read_hashes(
    table: pd.DataFrame,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    windows: Mapping[str, Window] = MappingProxyType({}),
) -> dict[str, str]:
    """Perceptual hash of each image by its id; what was made once is kept in ``folder`` beside the thumbnails.

    Parameters
    ----------
    table : DataFrame
        Columns ``image_id``, ``content_hash``, ``path`` and, where there are windows, ``subset``.
    folder : Path
        Where thumbnails and hashes are kept, by content.
    progress : callable
        Called as ``progress(done, total)``; what it raises ends the reading, and what is done is kept.
    windows : mapping of str to Window
        Those of the dataset's subsets.

    Returns
    -------
    dict
        Images that cannot be read are absent. About 5 ms for each that was not seen before.
    """
    kept = folder / _NAME
    try:
        hashes: dict[str, str] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        hashes = {}
    subsets = table["subset"] if "subset" in table else table["path"]
    files = dict(zip(table["content_hash"], zip(table["path"], subsets, strict=True), strict=True))
    todo = [content for content in files if content not in hashes]
    try:
        for done, content in enumerate(todo):
            progress(done, len(todo))
            try:
                path, subset = files[content]
                window = windows.get(subset)
                small = thumbnail(Path(path), folder, 4 * SIDE, content, content_hash=content, window=window)
                hashes[content] = perceptual_hash(read_image(small))
            except InputError:
                continue
    finally:
        if todo:
            _keep(kept, hashes)
    pairs = zip(table["image_id"], table["content_hash"], strict=True)
    return {image: hashes[content] for image, content in pairs if content in hashes}


def _keep(path: Path, hashes: Mapping[str, str]) -> None:
    building = path.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        building.write_text(json.dumps(hashes), encoding="utf-8")
        building.replace(path)
    except OSError:
        building.unlink(missing_ok=True)  # they are made again next time


@dataclass(frozen=True)
class Lookalikes:
    """The nearest look-alikes of each image of one subset.

    Parameters
    ----------
    which : ndarray of shape (n, MOST), int
        Rows of the look-alikes, nearest first; -1 where there is none.
    bits : ndarray of shape (n, MOST), int
        By how many bits they differ; 0 also of copies.
    """

    which: np.ndarray
    bits: np.ndarray


def lookalikes(contents: Sequence[str], hashes: Sequence[str | None], near: int = NEAR) -> Lookalikes:
    """Find copies and near-duplicates.

    Parameters
    ----------
    contents : sequence of n str
        Digest of each file's bytes.
    hashes : sequence of n str or None
        From :func:`perceptual_hash`; None where it is not known.
    near : int
        Bits by which a near-duplicate differs at most.

    Returns
    -------
    Lookalikes
        Compares all pairs: about 0.3 s for 4,000 images.
    """
    n = len(contents)
    pairs = np.concatenate((_copies(contents), _near(hashes, near)))
    # Each pair stands twice, once from either side; a copy comes before the same pair found by its hash.
    first, second, apart = np.concatenate((pairs, pairs[:, [1, 0, 2]])).T
    order = np.lexsort((second, apart, first))
    first, second, apart = first[order], second[order], apart[order]
    again = np.zeros(len(first), dtype=bool)
    again[1:] = (first[1:] == first[:-1]) & (second[1:] == second[:-1]) & (apart[1:] == apart[:-1])
    first, second, apart = first[~again], second[~again], apart[~again]
    place = np.arange(len(first)) - np.searchsorted(first, first)
    kept = place < MOST
    which, bits = np.full((n, MOST), -1), np.full((n, MOST), BITS)
    which[first[kept], place[kept]], bits[first[kept], place[kept]] = second[kept], apart[kept]
    return Lookalikes(which, bits)


def _copies(contents: Sequence[str]) -> np.ndarray:
    """Pairs of rows with the same content, shape (pairs, 3): row, later row, 0."""
    rows_of: dict[str, list[int]] = {}
    for row, content in enumerate(contents):
        rows_of.setdefault(content, []).append(row)
    pairs = [(a, b, 0) for rows in rows_of.values() for i, a in enumerate(rows) for b in rows[i + 1 : i + 1 + MOST]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 3)


def _near(hashes: Sequence[str | None], near: int) -> np.ndarray:
    """Pairs of rows whose hashes differ in at most ``near`` bits, shape (pairs, 3): row, later row, bits."""
    rows = np.flatnonzero([value is not None for value in hashes])
    joined = bytes.fromhex("".join(value for value in hashes if value is not None))
    bits = np.unpackbits(np.frombuffer(joined, dtype=np.uint8).reshape(-1, BITS // 8), axis=1)
    signs = 2 * bits.astype(np.float32) - 1
    pairs = [np.empty((0, 3), dtype=np.int64)]
    for start in range(0, len(rows), _ROWS):
        # Small whole numbers, so exact; one product of matrices is several times as fast as counting bits.
        alike = signs[start : start + _ROWS] @ signs[start:].T
        first, second = np.nonzero(alike >= BITS - 2 * near)
        ordered = second > first
        first, second = first[ordered], second[ordered]
        apart = ((BITS - alike[first, second]) / 2).astype(np.int64)
        pairs.append(np.stack((rows[start + first], rows[start + second], apart), axis=1))
    return np.concatenate(pairs)
