"""Draw the training pictures: ``python -m tools.mllm.pictures --out FOLDER --shards 120``.

A shard holds some products, each with one reference and a dozen photographs with their difference views
and what is wrong where. Shards that are there are kept, so the work can be stopped and taken up again;
shard ``n`` depends on nothing but ``n``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mad_core.scorers.multimodal.difference import DifferenceView
from tools.mllm.faults import FAMILIES, make_faulty, possible
from tools.mllm.products import Product, make_piece, photograph

PRODUCTS, PHOTOGRAPHS = 16, 12
CELLS = 8
"""Cells a side of the grid in which faults are located."""
_SEED = 90210


@dataclass(frozen=True)
class Shard:
    """What a shard's file holds; images are encoded as JPEG.

    Parameters
    ----------
    references : list of bytes, one a product
    images, views : list of bytes, one a photograph, product by product
    families : ndarray of shape (n,), int8
        Index into ``FAMILIES``, or -1 for a sound piece.
    extents : ndarray of shape (n,), float32, 0-1
    cells : ndarray of shape (n, CELLS, CELLS), float32
        Share of each cell that the fault covers.
    """

    references: list[bytes]
    images: list[bytes]
    views: list[bytes]
    families: np.ndarray
    extents: np.ndarray
    cells: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Shard:
        with np.load(path) as data:
            parts = {name: _unjoined(data[name], data[f"{name}_ends"]) for name in ("references", "images", "views")}
            return cls(**parts, families=data["families"], extents=data["extents"], cells=data["cells"])

    def write(self, path: Path) -> None:
        arrays = {}
        for name in ("references", "images", "views"):
            blobs = getattr(self, name)
            arrays[name] = np.frombuffer(b"".join(blobs), np.uint8)
            arrays[f"{name}_ends"] = np.cumsum([len(blob) for blob in blobs])
        building = path.with_suffix(".part.npz")
        np.savez(building, **arrays, families=self.families, extents=self.extents, cells=self.cells)
        building.replace(path)


def _unjoined(data: np.ndarray, ends: np.ndarray) -> list[bytes]:
    starts = np.concatenate([[0], ends[:-1]])
    return [data[a:b].tobytes() for a, b in zip(starts, ends, strict=True)]


def draw_shard(number: int, products: int = PRODUCTS, photographs: int = PHOTOGRAPHS) -> Shard:
    """Draw shard ``number``; the same pictures every time."""
    rng = np.random.default_rng([_SEED, number])
    references, images, views, families, extents, cells = [], [], [], [], [], []
    for _ in range(products):
        product = Product.random(rng)
        shots = [photograph(make_piece(product, rng), rng)[0] for _ in range(int(rng.integers(2, 7)))]
        against = DifferenceView(shots)
        references.append(_encode(shots[0]))
        for _ in range(photographs):
            family = str(rng.choice(possible(product))) if rng.random() < 0.82 else None
            piece, extent = make_faulty(product, family, rng) if family else (make_piece(product, rng), 0.0)
            image, changed = photograph(piece, rng)
            images.append(_encode(image))
            views.append(_encode(against.render(image)))
            families.append(FAMILIES.index(family) if family else -1)
            extents.append(extent)
            cells.append(cv2.resize(changed, (CELLS, CELLS), interpolation=cv2.INTER_AREA))
    return Shard(
        references,
        images,
        views,
        np.array(families, np.int8),
        np.array(extents, np.float32),
        np.array(cells, np.float32),
    )


def _encode(image: np.ndarray) -> bytes:
    how = [cv2.IMWRITE_JPEG_QUALITY, 93, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), how)[1].tobytes()


def decode(data: bytes) -> np.ndarray:
    """A picture of a shard, uint8 of shape (SIDE, SIDE, 3), RGB."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError("a picture of the shard cannot be decoded")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=120)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for number in range(chosen.first, chosen.first + chosen.shards):
        path = chosen.out / f"{number:05d}.npz"
        if not path.exists():
            draw_shard(number).write(path)
            print(path, flush=True)


if __name__ == "__main__":
    main()
