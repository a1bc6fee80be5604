"""Pictures larger than what a detector sees at once: overlapping tiles at their own scale, one map without seams.

A tile is an item like any other, so every detector with a map fits and scores tiles as it does pictures. Only a few
tiles are in memory at a time, and the map of a whole picture has a bounded number of cells.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mad_core.errors import InputError, MadError
from mad_core.images import probe
from mad_core.scorers.contract import OK, Context, Item, Scored, Scorer
from mad_core.scorers.image_loading import failure_of
from mad_core.scorers.image_scorer import map_shape
from mad_core.scorers.parameters import AUTO, OFF, TILES
from mad_core.scorers.reductions import REDUCTIONS, SHARES, left_out, mean_of_highest, reduce_map

if TYPE_CHECKING:
    import torch

    from mad_core.scorers.graph import Graph

MANY_VIEWS = 8
"""``auto`` takes tiles where a typical normal has more than so many times the side that the detector sees."""
OVERLAP = 0.25
"""Of neighbouring tiles, in sides."""
MOST_PICTURES, MOST_TILES = 64, 512
"""Of the normals, what a fit sees at most: so many pictures, and so many tiles of all of them together."""
MOST_CELLS = 1 << 24
"""Of the map that a score is taken from; a larger picture's tiles are brought to fewer cells each."""
OPEN_PICTURES = 2
_PROBED = 32
_NO_DETAIL = Image.Resampling.BOX


@dataclass(frozen=True, slots=True)
class PictureTile:
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PictureCrop:
    """A tile as a scorer's item carries it, with the place where its picture is kept decoded for a while."""

    tile: PictureTile
    pictures: OpenPictures

    def of(self, item: Item, decode: Callable[[], np.ndarray]) -> np.ndarray:
        tile, pixels = self.tile, self.pictures.pixels(item, decode)
        return np.ascontiguousarray(pixels[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width])


class OpenPictures:
    """The pictures of which tiles were read last, decoded; no more than ``OPEN_PICTURES``. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pictures: OrderedDict[str, np.ndarray] = OrderedDict()

    def pixels(self, item: Item, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The picture of an item, (H, W, 3)."""
        with self._lock:
            if item.image_id not in self._pictures:
                while len(self._pictures) >= OPEN_PICTURES:
                    self._pictures.popitem(last=False)
                self._pictures[item.image_id] = decode()
            self._pictures.move_to_end(item.image_id)
            return self._pictures[item.image_id]

    def close(self) -> None:
        """Forget every picture."""
        with self._lock:
            self._pictures.clear()


def tiles_of(height: int, width: int, side: int) -> list[PictureTile]:
    """Tiles of at most ``side`` pixels a side that cover a picture, neighbours overlapping by ``OVERLAP`` or more."""
    rows, columns = _starts(height, side), _starts(width, side)
    return [PictureTile(left, top, min(side, width), min(side, height)) for top in rows for left in columns]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    step = side - round(side * OVERLAP)
    count = -(-(length - side) // step) + 1
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


class TiledScorer(Scorer):
    """A detector that sees pictures whole, or in tiles where they are large.

    Parameters
    ----------
    inner : Scorer
        Its ``view(context)`` is the side in pixels of what it sees at once, its ``positionless`` the parameters with
        which it knows no positions: those of a tile say nothing.
    parameters : mapping
        ``tiles`` (:func:`mad_core.scorers.parameters.tiles`) and the detector's, of which ``reduction`` is read here.
    """

    def __init__(self, inner: Any, parameters: Mapping[str, Any]) -> None:
        super().__init__(**parameters)
        self.inner = inner
        self.side = 0
        """Of a tile in pixels; 0 where pictures are seen whole."""

    def __getattr__(self, name: str) -> Any:
        """What the detector has beside the contract."""
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        self._take(self._side_for(normals, context))
        if not self.side:
            self.inner.fit(normals, context)
            return
        pictures = OpenPictures()
        try:
            self.inner.fit(sampled_tiles(normals, self.side, pictures, context), context)
        finally:
            pictures.close()

    def _side_for(self, normals: Sequence[Item], context: Context) -> int:
        wanted = self.parameters[TILES]
        if wanted == OFF:
            return 0
        if wanted != AUTO:
            return int(wanted)
        view, sizes = self.inner.view(context), [_size_of(item) for item in normals[:_PROBED]]
        sides = [(height * width) ** 0.5 for height, width in filter(None, sizes)]
        return view if sides and float(np.median(sides)) > MANY_VIEWS * view else 0

    def _take(self, side: int) -> None:
        self.side = side
        if side:
            self.inner.parameters = {**self.inner.parameters, **self.inner.positionless}

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        if not self.side:
            for item, scored in zip(images, self.inner.score(images, context), strict=True):
                yield self._without_ignored(item, scored)
            return
        for item in images:
            context.check_cancel()
            yield self._scored(item, context)

    def _without_ignored(self, item: Item, scored: Scored) -> Scored:
        """A result without what is ignored, the score too where it is a reduction of the map."""
        if item.ignored is None or scored.map is None:
            return scored
        there, reduction = item.ignored.on(scored.map.shape), str(self.parameters.get("reduction"))
        score = scored.score
        if reduction in REDUCTIONS and not there.all():
            score = reduce_map(scored.map[~there][None], reduction)
        return replace(scored, score=score, map=left_out(scored.map, there))

    def _scored(self, item: Item, context: Context) -> Scored:
        started, pictures = time.perf_counter(), OpenPictures()
        try:
            info = probe(Path(item.path))
        except (MadError, OSError) as error:
            return Scored.failed(item.image_id, failure_of(error), str(error), time.perf_counter() - started)
        tiles = _counting(tiles_of(info.height, info.width, self.side), item, info.height, info.width)
        merged, highest = None, -np.inf
        parts = self.inner.score([replace(item, crop=PictureCrop(tile, pictures)) for tile in tiles], context)
        for tile, part in zip(tiles, parts, strict=True):
            if part.status != OK:
                return replace(part, seconds=time.perf_counter() - started)
            highest = max(highest, part.score)
            if part.map is not None:
                merged = merged or MergedMap((info.height, info.width), tile, part.map.shape)
                merged.add(tile, part.map)
        pictures.close()
        if merged is None:
            return Scored.of(item.image_id, highest, None, time.perf_counter() - started)
        whole = merged.whole()
        there = np.zeros(whole.shape, bool) if item.ignored is None else item.ignored.on(whole.shape)
        score = self._reduced(whole[~there] if not there.all() else whole, merged.cells_of_tile, highest)
        shown = small(left_out(whole, there))
        if item.ignored is not None:
            shown = left_out(shown, item.ignored.on(shown.shape))
        return Scored.of(item.image_id, score, shown, time.perf_counter() - started)

    def _reduced(self, whole: np.ndarray, cells_of_tile: int, highest: float) -> float:
        """The score of a picture: the detector's own of its worst tile, or the reduction of the whole map.

        A share of the map is a share of one tile, so that a small defect counts in a large picture as in a small one.
        """
        reduction = str(self.parameters.get("reduction"))
        if reduction in SHARES:
            return mean_of_highest(whole.ravel(), round(SHARES[reduction] * cells_of_tile))
        return reduce_map(whole.reshape(1, -1), reduction) if reduction in REDUCTIONS else highest

    def add_normals(self, normals: Sequence[Item], context: Context) -> None:
        if not self.side:
            self.inner.add_normals(normals, context)
            return
        pictures = OpenPictures()
        try:
            self.inner.add_normals(sampled_tiles(normals, self.side, pictures, context), context)
        finally:
            pictures.close()

    def graph(self, height: int, width: int, context: Context) -> Graph:
        if self.side:
            raise InputError(
                f"It looked at pictures in tiles of {self.side} pixels, and a file looks at a picture as a whole: "
                "export a run with --param tiles=off."
            )
        return self.inner.graph(height, width, context)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, facts = self.inner.state()
        return tensors, {"tile": self.side, "whole": facts}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self._take(int(facts["tile"]))
        self.inner.restore(tensors, facts["whole"], context)

    def facts(self) -> dict[str, Any]:
        return self.inner.facts() | ({"tile_side": self.side, "tile_overlap": OVERLAP} if self.side else {})

    def close(self) -> None:
        self.inner.close()


def sampled_tiles(normals: Sequence[Item], side: int, pictures: OpenPictures, context: Context) -> list[Item]:
    """Tiles of normals, drawn by the run's seed, those of a picture one after the other."""
    rng = context.rng()
    chosen = np.sort(rng.choice(len(normals), min(len(normals), MOST_PICTURES), replace=False))
    each = max(1, MOST_TILES // max(1, len(chosen)))
    drawn: list[Item] = []
    for number in chosen:
        item, size = normals[number], _size_of(normals[number])
        if size is None:  # the fit says what is wrong with it
            drawn.append(item)
            continue
        tiles = _counting(tiles_of(*size, side), item, *size)
        keep = np.sort(rng.choice(len(tiles), min(len(tiles), each), replace=False))
        drawn += [replace(item, crop=PictureCrop(tiles[k], pictures)) for k in keep]
    return drawn


def _counting(tiles: list[PictureTile], item: Item, height: int, width: int) -> list[PictureTile]:
    """The tiles of which not all is ignored."""
    if item.ignored is None:
        return tiles
    there = item.ignored.on((height, width))
    kept = [t for t in tiles if not there[t.top : t.top + t.height, t.left : t.left + t.width].all()]
    return kept or tiles


def _size_of(item: Item) -> tuple[int, int] | None:
    """Height and width by the file's header; None where it cannot be read."""
    try:
        info = probe(Path(item.path))
    except (MadError, OSError):
        return None
    return info.height, info.width


class MergedMap:
    """The maps of overlapping tiles in one: where tiles overlap the nearer one's middle counts more, so no seam shows.

    Parameters
    ----------
    size : tuple of int
        Height and width of the picture.
    tile : PictureTile
    shape : tuple of int
        Of that tile's map.
    """

    def __init__(self, size: tuple[int, int], tile: PictureTile, shape: tuple[int, ...]) -> None:
        height, width = size
        self.scale = min(shape[0] / tile.height, shape[1] / tile.width, (MOST_CELLS / (height * width)) ** 0.5)
        self.cells_of_tile = max(1, round(tile.height * self.scale) * round(tile.width * self.scale))
        cells = max(1, round(height * self.scale)), max(1, round(width * self.scale))
        self._sum, self._weight = np.zeros(cells, np.float32), np.zeros(cells, np.float32)

    def add(self, tile: PictureTile, anomaly_map: np.ndarray) -> None:
        """Take a tile's map in."""
        rows = self._span(tile.top, tile.height, self._sum.shape[0])
        columns = self._span(tile.left, tile.width, self._sum.shape[1])
        shape = rows.stop - rows.start, columns.stop - columns.start
        weight = _ramp(shape[0])[:, None] * _ramp(shape[1])
        self._sum[rows, columns] += weight * _resized(anomaly_map, shape)
        self._weight[rows, columns] += weight

    def _span(self, start: int, length: int, cells: int) -> slice:
        first = min(round(start * self.scale), cells - 1)
        return slice(first, max(first + 1, min(cells, round((start + length) * self.scale))))

    def whole(self) -> np.ndarray:
        """The map of the picture, float32; where no tile was looked at, the least of all."""
        seen = self._weight > 0
        if seen.all():
            return self._sum / self._weight
        values = self._sum[seen] / self._weight[seen]
        whole = np.full(seen.shape, values.min(), np.float32)
        whole[seen] = values
        return whole


def _ramp(length: int) -> np.ndarray:
    """Weights of a tile's cells along one side: falling over the overlap, never nothing."""
    place = np.arange(length, dtype=np.float32) + 0.5
    return np.minimum(np.minimum(place, length - place) / max(1.0, OVERLAP * length), 1.0)


def _resized(anomaly_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if anomaly_map.shape == shape:
        return anomaly_map
    smaller = anomaly_map.size > shape[0] * shape[1]
    method = _NO_DETAIL if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(anomaly_map).resize((shape[1], shape[0]), method))


def small(whole: np.ndarray) -> np.ndarray:
    """A map as it is shown and kept: each cell holds the highest of what it covers, so that a small defect stays."""
    rows, columns = (
        np.arange(cells) * length // cells for cells, length in zip(map_shape(whole), whole.shape, strict=True)
    )
    if len(rows) > whole.shape[0] or len(columns) > whole.shape[1]:
        return whole
    return np.maximum.reduceat(np.maximum.reduceat(whole, rows, 0), columns, 1)
