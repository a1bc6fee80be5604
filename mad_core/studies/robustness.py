"""What is left of detection and severity order when test images are spoilt, and which levels suffer first.

Scorers stay as they were fitted on clean normals. Every scorer sees the same spoilt images, so all losses are paired
with the clean images. Losses are averaged over the subsets, never computed on pooled scores.
"""

from __future__ import annotations

import base64
import io
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from mad_core.errors import InputError, MadError
from mad_core.figures.words import listed
from mad_core.images import read_image
from mad_core.runs.comparing import distinct_names
from mad_core.runs.maps import shrink
from mad_core.runs.results import run_table
from mad_core.runs.store import Run
from mad_core.studies.corruptions import CORRUPTIONS, STRENGTHS, corrupted, corruption_of
from mad_core.studies.estimates import Estimate, mean, of_subset, order_of, over_subsets
from mad_core.studies.finding import Finding
from mad_core.studies.study import Work

if TYPE_CHECKING:
    from mad_core.scorers.scorer import Item
    from mad_core.studies.scoring import Kept

QUICK_CORRUPTIONS, QUICK_STRENGTHS = ("noise", "blur", "brightness"), (1, 3, 5)
QUICK_IMAGES = 20
"""Images a subset in quick mode, even over the levels."""
QUICK_DRAWS, DRAWS = 200, 1000
METRICS = ("c_index", "kendall_tau_b", "auroc_whole", "abnormal_c_index")
PICTURE_SIDE, MAP_SIDE = 224, 64
"""Longest sides of the example's pictures and maps, pixels."""
CAVEAT = (
    "The corruptions are computed, not taken by a worse camera, and an occlusion is an anomaly of its own; with other "
    "amounts or kinds of corruption the order of scorers and levels may change."
)
Condition = tuple[str, int]
"""Corruption and strength; ``("", 0)`` for the clean image."""
CLEAN: Condition = ("", 0)


def run(work: Work) -> Finding:
    """Score the sample under every corruption and strength, and compare."""
    runs = [one for one in work.runs if not one.imported and one.subsets]
    if not runs:
        raise InputError("Imported scores cannot be made again on spoilt images; choose a run that was made here.")
    conditions = _conditions(work)
    sample = _sample(work, runs)
    images = sample.drop_duplicates("image_id")
    example = _example(images)
    scored = _Scoring(work, conditions, example).all_of(runs, sample)
    names = distinct_names(runs)
    of = len(work.dataset.select(split="test"))
    found = robustness(scored.cells, names, draws=QUICK_DRAWS if work.quick else DRAWS, seed=work.seed)
    start = f"On a sample of {len(images):,} of {of:,} test images: " if work.quick else ""
    amounts = {name: list(CORRUPTIONS[name].amounts) for name in dict.fromkeys(c for c, _ in conditions)}
    facts = {
        **found.facts,
        "images": len(images),
        "test_images": of,
        "seed": work.seed,
        "amounts": amounts,
        "example": scored.pictures(names, example),
    }
    strip = {"The example": [example.image_id]}
    return Finding(found.study, found.title, start + found.sentence, found.caveat, found.tables, facts, strip)


def _conditions(work: Work) -> list[Condition]:
    wanted = [part.strip() for part in str(work.parameters.get("corruptions") or "").split(",") if part.strip()]
    chosen = [corruption_of(name).id for name in wanted]
    names = chosen or (QUICK_CORRUPTIONS if work.quick else tuple(CORRUPTIONS))
    return [(name, strength) for name in names for strength in (QUICK_STRENGTHS if work.quick else STRENGTHS)]


# -- the finding ------------------------------------------------------------------------------------


def robustness(cells: pd.DataFrame, names: Mapping[str, str], *, draws: int, seed: int = 0) -> Finding:
    """The finding, from scores.

    Parameters
    ----------
    cells : DataFrame
        A row for each score: ``run``, ``subset``, ``image_id``, ``level``, ``corruption``, ``strength`` (0 = clean)
        and ``score`` (NaN where there is none). Images that lack a score in any condition are left out of that run.
    names : mapping of run id to str
    draws, seed : int
        Of the bootstrap over images, stratified by level, paired between conditions.
    """
    found = {run_id: _estimates(rows, draws=draws, seed=seed) for run_id, rows in _by(cells, "run")}
    curves, by_level, losses = [], [], {}
    for run_id, conditions in found.items():
        clean = conditions.get(CLEAN, {})
        for condition, values in conditions.items():
            place = {"scorer": names[run_id], "corruption": condition[0], "strength": condition[1]}
            known = {m: values[m] for m in METRICS if m in values}
            curves.append(place | {k: v for m, e in known.items() for k, v in e.columns(m).items()})
            for metric, value in values.items():
                if not metric.startswith("auroc_") or metric == "auroc_whole":
                    continue
                level, loss = int(metric.removeprefix("auroc_")), clean[metric] - value
                by_level.append(place | {"level": level} | value.columns("auroc") | loss.columns("loss"))
                if condition != CLEAN:
                    losses.setdefault(level, []).append(loss)
    level_losses = {level: _mean(parts) for level, parts in sorted(losses.items())}
    level_table = pd.DataFrame([{"level": level} | loss.columns("loss") for level, loss in level_losses.items()])
    level_rows = pd.DataFrame(by_level)
    said = [_levels_in_words(level_losses), *_scorers_in_words(found, names)]
    used = {names[run_id]: _images_used(rows) for run_id, rows in _by(cells, "run")}
    return Finding(
        "robustness",
        "Robustness against corruption",
        " ".join(said),
        CAVEAT,
        {
            "curves": pd.DataFrame(curves),
            "levels": level_rows,
            "losses": level_table,
            "breaks": _breaks(level_rows),
        },
        {"images_used": used, "bootstrap_draws": draws, "seed": seed},
    )


def _by(table: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in table.groupby(column, sort=False)]


def _mean(parts: Sequence[Estimate]) -> Estimate:
    found = mean(parts)
    assert found is not None
    return found


def _complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of one run and subset, a column for each condition, of the images that have all of them."""
    index = ["image_id", "level", "corruption", "strength"]
    scores: Any = rows.set_index(index)["score"]
    wide = scores.unstack(["corruption", "strength"]).sort_index(axis=1)  # noqa: PD010 - pivoting drops what is NaN
    return wide[np.isfinite(wide.to_numpy(dtype=np.float64)).all(axis=1)]


def _images_used(rows: pd.DataFrame) -> int:
    return sum(len(_complete(part)) for _, part in _by(rows, "subset"))


def _estimates(rows: pd.DataFrame, *, draws: int, seed: int) -> dict[Condition, dict[str, Estimate]]:
    """Metrics of one run in each condition, averaged over its subsets."""
    parts: dict[Condition, list[dict[str, Estimate]]] = {}
    for subset, own in _by(rows, "subset"):
        wide = _complete(own)
        levels = wide.index.get_level_values("level").to_numpy(dtype=np.float64)
        for column in wide.columns:
            condition = str(column[0]), int(column[1])
            scores = wide[column].to_numpy(dtype=np.float64)
            found = of_subset(levels, scores, subset, draws=draws, seed=seed, by_level=True) if len(wide) else {}
            parts.setdefault(condition, []).append(found)
    return {condition: over_subsets(parts[condition]) for condition in sorted(parts)}


def _breaks(levels: pd.DataFrame) -> pd.DataFrame:
    """For each scorer, corruption and level the lowest strength at which its detection is clearly below the clean one.

    ``breaks_at`` is None where no strength is.
    """
    if levels.empty:
        return pd.DataFrame(columns=["scorer", "corruption", "level", "breaks_at"])
    rows = []
    spoilt: Any = levels[levels["strength"] > 0]
    for (scorer, corruption, level), part in spoilt.groupby(["scorer", "corruption", "level"], sort=False):
        lost: Any = part.loc[part["loss_low"].astype("float64") > 0, "strength"]
        at = int(lost.min()) if len(lost) else None
        rows.append({"scorer": scorer, "corruption": corruption, "level": level, "breaks_at": at})
    return pd.DataFrame(rows, columns=["scorer", "corruption", "level", "breaks_at"])


# -- in words ---------------------------------------------------------------------------------------


def _levels_in_words(losses: Mapping[int, Estimate]) -> str:
    """Which level loses detection first; intervals are widened for the number of pairs."""
    named = {f"L{level}": loss for level, loss in losses.items()}
    order = order_of(named)
    if order is None:
        return "Levels cannot be compared: fewer than two abnormal levels have a normal image beside them."
    numbers = listed([f"{name} {loss.in_words()}" for name, loss in named.items()])
    average = f"AUROC lost on average over corruptions, strengths and scorers: {numbers}"
    if order.alone and named[order.leader].sign() > 0:
        return f"{order.leader} breaks first ({average})."
    if order.widest is not None and named[order.widest[0]].sign() > 0:
        most, least, _ = order.widest
        return f"{most} breaks before {least}; between the other levels the order is not clear ({average})."
    return f"No clear difference between the levels in how much detection they lose ({average})."


def _scorers_in_words(found: Mapping[str, Mapping[Condition, Mapping[str, Estimate]]], names: Mapping[str, str]) -> Any:
    """For each scorer the corruption that costs it most of its C-index at full strength."""
    said = []
    for run_id, conditions in found.items():
        clean = conditions.get(CLEAN, {}).get("c_index")
        if clean is None:
            continue
        top = {corruption: max(s for c, s in conditions if c == corruption) for corruption, s in conditions if s}
        lost = {c: clean - conditions[c, s]["c_index"] for c, s in top.items() if "c_index" in conditions[c, s]}
        confidence = 1 - 0.05 / max(len(lost), 1)
        clear = [corruption for corruption, loss in lost.items() if loss.sign(confidence) > 0]
        if not clear:
            said.append(f"{names[run_id]} shows no clear loss of C-index ({clean.value:.2f} on clean images).")
            continue
        worst = max(clear, key=lambda corruption: lost[corruption].value)
        title = CORRUPTIONS[worst].title if worst in CORRUPTIONS else worst
        said.append(
            f"{names[run_id]} loses most to {_small(title)} at strength {top[worst]}: C-index {clean.value:.2f} to "
            f"{conditions[worst, top[worst]]['c_index'].value:.2f}, a loss of {lost[worst].in_words()}."
        )
    return said


def _small(title: str) -> str:
    return title if title.isupper() or title.startswith("Gaussian") else title[0].lower() + title[1:]


# -- scoring ----------------------------------------------------------------------------------------


def _sample(work: Work, runs: Sequence[Run]) -> pd.DataFrame:
    """Images with their clean score, a row for each run: those that all runs of a subset have scored."""
    tables = []
    for one in runs:
        table = run_table(work.store, one.id)
        tables.append(table[np.isfinite(table["score"])].assign(run=one.id))
    scored: Any = pd.concat(tables, ignore_index=True)
    wanted = {name: sum(name in one.subsets for one in runs) for name in work.dataset.subsets}
    counts = scored.groupby("image_id")["run"].transform("count")
    common: Any = scored[counts == scored["subset"].map(wanted)]
    if common.empty:
        raise InputError("The chosen runs have no image that all of them scored; choose other runs or finish them.")
    if work.quick:
        common = common[common["image_id"].isin(_stratified(common, QUICK_IMAGES, work.seed))]
    files: Any = work.dataset.table[["image_id", "path"]]
    return common.drop(columns="path").merge(files, on="image_id", how="left")


def _stratified(table: pd.DataFrame, images: int, seed: int) -> list[str]:
    """Image ids, so many a subset, even over its levels."""
    chosen: list[str] = []
    once = table.drop_duplicates("image_id")
    for _, rows in once.groupby("subset"):
        share = max(2, images // len(set(rows["level"])))
        for _, own in rows.groupby("level"):
            chosen += own.sample(min(share, len(own)), random_state=seed)["image_id"].tolist()
    return chosen


@dataclass(frozen=True)
class _Chosen:
    """The image of the slider."""

    image_id: str
    subset: str
    level: float
    path: str


def _example(images: pd.DataFrame) -> _Chosen:
    """The first image of a middle abnormal level: there is something to see, and something to lose."""
    abnormal: Any = images[images["level"] > 0]
    rows = abnormal if len(abnormal) else images
    levels = sorted(rows["level"].unique())
    row = rows[rows["level"] == levels[len(levels) // 2]].iloc[0]
    return _Chosen(str(row["image_id"]), str(row["subset"]), float(row["level"]), str(row["path"]))


class _Scoring:
    """Scores under every condition; a condition of a run and subset that is kept is not scored again."""

    def __init__(self, work: Work, conditions: Sequence[Condition], example: _Chosen) -> None:
        self.work, self.conditions, self.example = work, conditions, example
        self.maps: dict[tuple[str, Condition], np.ndarray] = {}
        self.rows: list[pd.DataFrame] = []

    @property
    def cells(self) -> pd.DataFrame:
        return pd.concat(self.rows, ignore_index=True)

    def all_of(self, runs: Sequence[Run], sample: pd.DataFrame) -> _Scoring:
        """Score everything; the spoilt images of one subset and condition exist only while they are scored."""
        parts = [
            (one, s, sample[(sample["run"] == one.id) & (sample["subset"] == s)]) for one in runs for s in one.subsets
        ]
        steps = len(parts) * len(self.conditions)
        rows: Any
        for place, (one, subset, rows) in enumerate(parts):
            if rows.empty:
                continue
            self.rows.append(_cell(rows, CLEAN, dict(zip(rows["image_id"], rows["score"], strict=True))))
            self._subset(one, subset, rows, place * len(self.conditions), steps)
        return self

    def _subset(self, run: Run, subset: str, rows: pd.DataFrame, done: int, steps: int) -> None:
        from mad_core.studies.scoring import fitted

        todo: list[Condition] = []
        ids = set(rows["image_id"])
        for condition in self.conditions:
            there = self._kept(run).read(self._key(run, subset, condition))
            if ids <= set(there.get("scores", {})) and self._has_example(run, subset, there):
                self._take(run, rows, condition, there)
            else:
                todo.append(condition)
        if not todo:
            self.work.progress(done + len(self.conditions), steps)
            return
        with fitted(self.work, run, subset) as scorer:
            if subset == self.example.subset:
                self._clean_map(run, scorer)
            for number, condition in enumerate(todo):
                self.work.check_cancel()
                found = self._scored(scorer, subset, rows, condition)
                self._kept(run).write(self._key(run, subset, condition), found)
                self._take(run, rows, condition, found)
                self.work.progress(done + len(self.conditions) - len(todo) + number + 1, steps)

    def _has_example(self, run: Run, subset: str, there: Mapping[str, Any]) -> bool:
        if subset != self.example.subset:
            return True
        return there.get("example") == self.example.image_id and self._clean_kept(run)

    def _clean_kept(self, run: Run) -> bool:
        there = self._kept(run).read(self._key(run, self.example.subset, CLEAN))
        if there.get("example") != self.example.image_id:
            return False
        if there.get("map"):
            self.maps[run.id, CLEAN] = unpacked(there["map"])
        return True

    def _clean_map(self, run: Run, scorer: Any) -> None:
        from mad_core.scorers.scorer import Item

        scored = next(iter(scorer.score([Item(self.example.image_id, self.example.path)])))
        found = {"example": self.example.image_id, "map": None if scored.map is None else packed(scored.map)}
        self._kept(run).write(self._key(run, self.example.subset, CLEAN), found)
        if scored.map is not None:
            self.maps[run.id, CLEAN] = unpacked(packed(scored.map))

    def _kept(self, run: Run) -> Kept:
        from mad_core.studies.scoring import kept

        return kept(self.work, "robustness", run.id)

    def _key(self, run: Run, subset: str, condition: Condition) -> list[Any]:
        from mad_core.runs.fitted import code_digest
        from mad_core.scorers import catalog

        info = catalog.scorer(run.scorer)
        amount = CORRUPTIONS[condition[0]].amounts[condition[1] - 1] if condition != CLEAN else 0
        return [run.id, run.request, run.started, code_digest(info), subset, *condition, amount, self.work.seed]

    def _scored(self, scorer: Any, subset: str, rows: pd.DataFrame, condition: Condition) -> dict[str, Any]:
        scores: dict[str, float | None] = {}
        packed_map = None
        with tempfile.TemporaryDirectory(prefix="mad-robustness-") as folder:
            items, ids = self._spoilt(rows, condition, Path(folder))
            for scored in scorer.score(items):
                image_id = ids[scored.image_id]
                scores[image_id] = scored.score
                if image_id == self.example.image_id and scored.map is not None:
                    packed_map = packed(scored.map)
        missing = {image_id: None for image_id in rows["image_id"] if image_id not in scores}
        return {"scores": scores | missing, "example": self.example.image_id, "map": packed_map}

    def _spoilt(self, rows: pd.DataFrame, condition: Condition, folder: Path) -> tuple[list[Item], dict[str, str]]:
        """Spoilt images as files, under ids of their own: no scorer may take them for the clean ones."""
        from mad_core.scorers.scorer import Item

        items, ids = [], {}
        for number, (image_id, path) in enumerate(zip(rows["image_id"], rows["path"], strict=True)):
            self.work.check_cancel()
            try:
                pixels = corrupted(read_image(Path(path)), *condition, image_id=image_id, seed=self.work.seed)
            except MadError:  # gone or broken since it was scored
                continue
            target = folder / f"{number:05d}.png"
            Image.fromarray(pixels).save(target, compress_level=1)
            own = f"{image_id}-{condition[0]}-{condition[1]}"
            items.append(Item(own, str(target)))
            ids[own] = image_id
        return items, ids

    def _take(self, run: Run, rows: pd.DataFrame, condition: Condition, found: Mapping[str, Any]) -> None:
        self.rows.append(_cell(rows, condition, found["scores"]))
        if found.get("map") and found.get("example") == self.example.image_id:
            self.maps[run.id, condition] = unpacked(found["map"])

    def pictures(self, names: Mapping[str, str], example: _Chosen) -> dict[str, Any]:
        """What the slider shows: the image and its maps under every condition, small, in one text each.

        A scorer's maps share one range, so that they compare.
        """
        image = read_image(Path(example.path))
        steps = []
        for condition in (CLEAN, *self.conditions):
            spoilt = corrupted(image, *condition, image_id=example.image_id, seed=self.work.seed)
            maps = {names[r]: packed(m, *self._range(r)) for (r, c), m in self.maps.items() if c == condition}
            steps.append({"corruption": condition[0], "strength": condition[1], "image": picture(spoilt), "maps": maps})
        facts = {"image_id": example.image_id, "subset": example.subset, "level": example.level, "steps": steps}
        ranges = {names[r]: list(self._range(r)) for r in dict.fromkeys(r for r, _ in self.maps)}
        return facts | {"ranges": ranges, "width": image.shape[1], "height": image.shape[0]}

    def _range(self, run_id: str) -> tuple[float, float]:
        values = [m for (r, _), m in self.maps.items() if r == run_id]
        return float(min(m.min() for m in values)), float(max(m.max() for m in values))


def _cell(rows: pd.DataFrame, condition: Condition, scores: Mapping[str, float | None]) -> pd.DataFrame:
    values = [scores.get(image_id) for image_id in rows["image_id"]]
    known = [math.nan if value is None else float(value) for value in values]
    cell: Any = rows[["run", "subset", "image_id", "level"]]
    return cell.assign(corruption=condition[0], strength=condition[1], score=known)


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


def unpacked(found: Mapping[str, Any]) -> np.ndarray:
    """The inverse of :func:`packed`, float32, to a 255th of its range."""
    values = np.frombuffer(base64.b64decode(found["data"]), dtype=np.uint8).reshape(found["shape"])
    return (found["low"] + values.astype(np.float32) / 255 * (found["high"] - found["low"])).astype(np.float32)
