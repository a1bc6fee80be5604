"""Scores of spoilt images by the fits that runs kept, and the small pictures that show one of them.

What was scored is kept image by image: a full study goes on from a quick one, and one that was stopped goes on
where it was.
"""

from __future__ import annotations

import base64
import io
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from mad_core.errors import MadError
from mad_core.images import read_image
from mad_core.map_files import shrink
from mad_core.pixels import EIGHT_BIT
from mad_core.runs.store import Run
from mad_core.source_digest import source_digest
from mad_core.studies.robustness.corruptions import corrupted
from mad_core.studies.sampling import Sample, sample_of
from mad_core.studies.study import Work

if TYPE_CHECKING:
    from mad_core.scorers.contract import Item, Scored
    from mad_core.studies.scoring import FittedScorer, ResultCache

CHUNK = 64
"""Spoilt images that are on disk at a time, and that are scored again at most when the study was stopped."""
PICTURE_SIDE, MAP_SIDE = 224, 64
"""Longest sides of the example's pictures and maps, pixels."""
Condition = tuple[str, int]
"""Corruption and strength; ``("", 0)`` for the clean image."""
CLEAN: Condition = ("", 0)


@dataclass(frozen=True)
class Example:
    """The image of the slider."""

    image_id: str
    subset: str
    level: float
    path: str


def example_of(work: Work) -> Example:
    """The first image of a middle abnormal level: there is something to see, and something to lose.

    It is taken of all images, so that a quick and a full study show the same one.
    """
    everything = sample_of(replace(work, quick=False))
    ids = [i for table in everything.tables.values() for i in table["image_id"]]
    images: Any = work.dataset.table
    images = images[images["image_id"].isin(ids)]
    abnormal = images[images["level"] > 0]
    rows = abnormal if len(abnormal) else images
    levels = sorted(rows["level"].unique())
    row = rows[rows["level"] == levels[len(levels) // 2]].iloc[0]
    return Example(str(row["image_id"]), str(row["subset"]), float(row["level"]), str(row["path"]))


class SpoiltScores:
    """Scores under every condition, and the maps of the example.

    Parameters
    ----------
    work : Work
    conditions : sequence of Condition
        Without the clean one, whose scores are those of the runs.
    example : Example
    """

    def __init__(self, work: Work, conditions: Sequence[Condition], example: Example) -> None:
        self.work, self.conditions, self.example = work, conditions, example
        self.maps: dict[tuple[str, Condition], np.ndarray] = {}
        self.rows: list[pd.DataFrame] = []
        self.done = 0
        table = work.dataset.table
        self._digests = dict(zip(table["image_id"], table["content_hash"], strict=True))
        self._subsets = dict(zip(table["image_id"], table["subset"], strict=True))
        self._windows, self._ignored = work.dataset.windows, work.dataset.ignored

    @property
    def cells(self) -> pd.DataFrame:
        """A row for each score: ``run``, ``subset``, ``image_id``, ``level``, ``corruption``, ``strength``, ``score``.

        A score that is missing is NaN.
        """
        return pd.concat(self.rows, ignore_index=True)

    def all_of(self, runs: Sequence[Run], sample: Sample) -> SpoiltScores:
        """Score what is not kept yet.

        Raises
        ------
        CancelledError
            What was scored until then is kept.
        """
        parts = [
            (one, subset, rows)
            for one in runs
            for subset in one.subsets
            if len(rows := self._rows(one, subset, sample.tables[one.id]))
        ]
        self.total = sum(len(rows) for *_, rows in parts) * len(self.conditions)
        for one, subset, rows in parts:
            self.rows.append(_cell(rows, CLEAN, dict(zip(rows["image_id"], rows["score"], strict=True))))
            self._subset(one, subset, rows)
        return self

    def _rows(self, run: Run, subset: str, table: pd.DataFrame) -> pd.DataFrame:
        files: Any = self.work.dataset.table[["image_id", "path"]]
        own: Any = table[table["subset"] == subset]
        return own.drop(columns="path").merge(files, on="image_id", how="left").assign(run=run.id)

    def _subset(self, run: Run, subset: str, rows: pd.DataFrame) -> None:
        """The scorer is loaded only where something is missing."""
        from mad_core.studies.scoring import fitted_scorer

        wanted = {condition: self._items(subset, rows) for condition in self.conditions}
        if subset == self.example.subset:
            wanted = {CLEAN: [(self.example.image_id, self.example.path)]} | wanted
        cached = {condition: self._kept(run).read(self._key(run, subset, condition)) for condition in wanted}
        missing = {condition: self._missing(items, cached[condition]) for condition, items in wanted.items()}
        if any(missing.values()):
            with fitted_scorer(self.work, run, subset) as scorer:
                for condition, items in missing.items():
                    key = self._key(run, subset, condition)
                    for start in range(0, len(items), CHUNK):
                        self._score(scorer, condition, items[start : start + CHUNK], cached[condition])
                        self._kept(run).write(key, cached[condition])
        for condition, values in cached.items():
            if condition != CLEAN:
                self.rows.append(_cell(rows, condition, values["scores"]))
            if values.get("map") and values["example"] == self.example.image_id:
                self.maps[run.id, condition] = unpacked(values["map"])

    def _items(self, subset: str, rows: pd.DataFrame) -> list[tuple[str, str]]:
        """Ids and files of the images to score, the example among them where it is of this subset."""
        first = {self.example.image_id: self.example.path} if subset == self.example.subset else {}
        return list((first | dict(zip(rows["image_id"], rows["path"], strict=True))).items())

    def _missing(self, items: Sequence[tuple[str, str]], cached: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Those that are not kept; the example also where its map is not."""
        scored = set(cached.get("scores", {}))
        if cached.get("example") != self.example.image_id:
            scored.discard(self.example.image_id)
        missing = [item for item in items if item[0] not in scored]
        self._step(len(items) - len(missing))
        return missing

    def _score(
        self, scorer: FittedScorer, condition: Condition, items: Sequence[tuple[str, str]], cached: dict[str, Any]
    ) -> None:
        """Put the scores of some images, and the example's map, into what is there."""
        spoilt = self._spoilt_scores(scorer, items, condition)
        scores = cached.setdefault("scores", {})
        for image_id, _ in items:
            scored = spoilt.get(image_id)
            scores[image_id] = scored.score if scored else None
            if image_id == self.example.image_id:
                cached["example"] = image_id
                cached["map"] = packed(scored.map) if scored is not None and scored.map is not None else None
        self._step(len(items))

    def _spoilt_scores(
        self, scorer: FittedScorer, items: Sequence[tuple[str, str]], condition: Condition
    ) -> dict[str, Scored]:
        """Results by image; an image that is gone or broken since it was scored has none."""
        with tempfile.TemporaryDirectory(prefix="mad-robustness-") as folder:
            spoilt, ids = self._spoilt(items, condition, Path(folder))
            return {ids[scored.image_id]: scored for scored in scorer.score(spoilt)} if spoilt else {}

    def _spoilt(
        self, items: Sequence[tuple[str, str]], condition: Condition, folder: Path
    ) -> tuple[list[Item], dict[str, str]]:
        """Spoilt images as files, under ids of their own: no scorer may take them for the clean ones."""
        from mad_core.scorers.contract import Item

        made, ids = [], {}
        for number, (image_id, path) in enumerate(items):
            self.work.check_cancel()
            try:
                window = self._windows.get(self._subsets[image_id])
                clean = read_image(Path(path), content_hash=self._digests[image_id], window=window)
                pixels = corrupted(clean, *condition, image_id=image_id, seed=self.work.seed)
            except MadError:
                continue
            target = folder / f"{number:05d}.png"
            Image.fromarray(pixels).save(target, compress_level=1)
            own = f"{image_id}-{condition[0]}-{condition[1]}"
            region = self._ignored.get(self._subsets[image_id])
            made.append(Item(own, str(target), window=EIGHT_BIT if window is not None else None, ignored=region))
            ids[own] = image_id
        return made, ids

    def _step(self, images: int) -> None:
        self.done += images
        self.work.progress(min(self.done, self.total), self.total)

    def _kept(self, run: Run) -> ResultCache:
        from mad_core.studies.scoring import result_cache

        return result_cache(self.work, "robustness", run.id)

    def _key(self, run: Run, subset: str, condition: Condition) -> list[Any]:
        from mad_core.scorers import catalog

        code = [catalog.scorer(run.scorer).code, source_digest("mad_core.studies.robustness.corruptions")]
        return [run.id, run.request, run.started, *code, subset, *condition, self.work.seed]

    # -- the example ----------------------------------------------------------------------------------

    def pictures(self, names: Mapping[str, str]) -> dict[str, Any]:
        """What the slider shows: the image and its maps under every condition, small, in one text each.

        A scorer's maps share one range, so that they compare.

        Parameters
        ----------
        names : mapping of run id to str
        """
        example, steps = self.example, []
        image = read_image(Path(example.path), window=self._windows.get(example.subset))
        for condition in (CLEAN, *self.conditions):
            spoilt = corrupted(image, *condition, image_id=example.image_id, seed=self.work.seed)
            maps = {names[r]: packed(m, *self._range(r)) for (r, c), m in self.maps.items() if c == condition}
            steps.append({"corruption": condition[0], "strength": condition[1], "image": picture(spoilt), "maps": maps})
        facts = {"image_id": example.image_id, "subset": example.subset, "level": example.level, "steps": steps}
        return facts | {"width": image.shape[1], "height": image.shape[0]}

    def _range(self, run_id: str) -> tuple[float, float]:
        values = [m for (r, _), m in self.maps.items() if r == run_id]
        return float(min(m.min() for m in values)), float(max(m.max() for m in values))


def _cell(rows: pd.DataFrame, condition: Condition, scores: Mapping[str, float | None]) -> pd.DataFrame:
    values = [scores.get(image_id) for image_id in rows["image_id"]]
    numbers = [math.nan if value is None else float(value) for value in values]
    cell: Any = rows[["run", "subset", "image_id", "level"]]
    return cell.assign(corruption=condition[0], strength=condition[1], score=numbers)


# -- small pictures -----------------------------------------------------------------------------------


def picture(pixels: np.ndarray) -> str:
    """An image as a data address of a small WebP."""
    small, buffer = Image.fromarray(pixels), io.BytesIO()
    small.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    small.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def packed(anomaly_map: np.ndarray, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A map as 8-bit text: ``shape``, ``low`` and ``high`` in raw units, ``data`` (base64, row by row)."""
    small = shrink(np.asarray(anomaly_map, dtype=np.float32), MAP_SIDE)
    low = float(small.min()) if low is None else low
    high = float(small.max()) if high is None else high
    scaled = np.clip((small - low) / (high - low or 1.0), 0, 1)
    data = base64.b64encode(np.round(255 * scaled).astype(np.uint8).tobytes()).decode()
    return {"shape": list(small.shape), "low": low, "high": high, "data": data}


def unpacked(packed_map: Mapping[str, Any]) -> np.ndarray:
    """The inverse of :func:`packed`, float32, to a 255th of its range."""
    values = np.frombuffer(base64.b64decode(packed_map["data"]), dtype=np.uint8).reshape(packed_map["shape"])
    return (packed_map["low"] + values.astype(np.float32) / 255 * (packed_map["high"] - packed_map["low"])).astype(
        np.float32
    )
