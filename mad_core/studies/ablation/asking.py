"""The question of a multimodal model with one part left out or changed, put again to score the same images.

Only the parameters that every asking scorer declares are changed, and which normals it is shown; so a model on this
machine and one on a server are treated alike. Only scores are asked for: these are read before any reason is written.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image

from mad_core.datasets.dataset import Dataset, SubsetCard
from mad_core.errors import NotFoundError
from mad_core.pixels import EIGHT_BIT
from mad_core.runs.store import Run
from mad_core.scorers import catalog
from mad_core.scorers.multimodal.rubrics import Rubric, find_rubric
from mad_core.studies.sampling import Sample
from mad_core.studies.study import Work

if TYPE_CHECKING:
    from mad_core.scorers.contract import Item, Resources

GREY, SIDE = 128, 512
"""Of the field that stands in place of an image; its longest side, pixels."""
NEUTRAL = Rubric("No rubric", text="Scale: 0 is normal, 100 is the most severe.").to_yaml()
"""Names the ends of the scale, as every question does anyway, and no sign of severity."""
CHOSEN, REVERSED, STRANGE, BLANK = "chosen", "reversed", "strange", "image"


@dataclass(frozen=True)
class Way:
    """A way to put the question.

    Parameters
    ----------
    title : str
    part : str
        What is left out or changed.
    removed : bool
        Whether that part is left out, so that the difference says what it brings.
    metric : str
        What the sentence judges it by.
    """

    title: str
    part: str
    removed: bool = True
    metric: str = "c_index"


WAYS: Mapping[str, Way] = {
    CHOSEN: Way("as chosen", "", removed=False),
    "references": Way("without references", "the references"),
    "view": Way("without difference view", "the difference view"),
    "detector_first": Way("without the detector's first look", "the detector's first look"),
    "anchors": Way("without anchors", "the anchors"),
    "crop": Way("without crop", "the crop"),
    "places": Way("without the anchors' places", "the anchors' places on the scale"),
    "policy": Way("without severity policy", "the severity policy"),
    "repeat": Way("question put once", "the question behind the image"),
    "wordings": Way("in one wording", "further wordings"),
    "second_look": Way("without second look", "the second look"),
    "looks_first": Way("without looking first", "looking first"),
    "level_words": Way("without words of levels", "the words of levels"),
    "pairs": Way("without pairs", "the pairs"),
    "habits": Way("with habits for numbers", "taking out habits"),
    "rubric": Way("without rubric", "the rubric"),
    REVERSED: Way("rubric reversed", "the rubric", removed=False, metric="abnormal_c_index"),
    STRANGE: Way("references of another subset", "the references", removed=False),
    BLANK: Way("without image", "the image", removed=False),
}
"""By id, in the order in which they are shown. ``BLANK`` gives all images of a subset one score: the model's prior."""
OFF: Mapping[str, Any] = {
    "places": False,
    "policy": "",
    "repeat": False,
    "wordings": 1,
    "second_look": False,
    "looks_first": 0,
    "level_words": False,
    "pairs": False,
    "habits": 0,
}
"""What a parameter of that name is where its part of the question is left out."""

_RECORDED = ("references", "view", "detector_first", "anchors")


def asks(run: Run) -> bool:
    """Whether a run puts a question that can be taken apart."""
    try:
        declared = {parameter.name for parameter in catalog.scorer(run.scorer).parameters}
    except NotFoundError:  # imported, or of a scorer that this version no longer has
        return False
    return bool(run.subsets) and {"rubric", "protocol", "references", "view"} <= declared


def shown(work: Work, run: Run) -> frozenset[str]:
    """Which parts the run showed, by what it recorded: those of ``_RECORDED``, and ``crop``."""
    facts = [entry.facts for entry in work.store.run_subsets(run.id)]
    parts = {name for name in _RECORDED if any(each.get(name) for each in facts)}
    if any(each.get("references_nearest") for each in facts):
        parts.add("references")
    if catalog.scorer(run.scorer).builds_on(run.parameters):
        parts.add("crop")
    return frozenset(parts)


def changes(way: str, parameters: Mapping[str, Any], card: SubsetCard, parts: frozenset[str]) -> dict[str, Any] | None:
    """The parameters that differ from those chosen; None where this way cannot be gone on a subset.

    Parameters
    ----------
    way : str
        Of ``WAYS``.
    parameters : mapping
        Of the run, checked.
    parts : set of str
        From :func:`shown`.

    Raises
    ------
    InputError
        If the run's rubric can no longer be read.
    """
    fixed = parameters["protocol"] != "inspector"
    if way in ("references", STRANGE) and "references" not in parts:
        return None
    if way in ("view", "detector_first", "anchors", "crop") and way not in parts:
        return None
    if way in OFF:
        chosen = not fixed and parameters.get(way, OFF[way]) != OFF[way]
        return {way: OFF[way]} if chosen and (way != "places" or "anchors" in parts) else None
    match way:
        case "references":
            return {"protocol": "madbench-zero-shot"} if fixed else {"references": 0, "choose": "first", "view": "no"}
        case "view":
            return {"view": "no"}
        case "detector_first":
            return {"detector_first": "no"}
        case "anchors":
            return {"anchors": False}
        case "crop":
            return {"crop_run": ""}
        case "rubric":
            return {"rubric": NEUTRAL}
        case "reversed":
            turned = turned_round(find_rubric(parameters["rubric"], card))
            return {"rubric": turned.to_yaml()} if turned else None
        case "strange":
            return _unnamed(parameters)
        case "image":
            return {**_unnamed(parameters), "view": "no", "crop_run": ""}
    return {}


def turned_round(rubric: Rubric) -> Rubric | None:
    """A rubric whose worst meaning stands at the mildest scores; None where it has fewer than two abnormal bands.

    What is normal stays. The criterion is left out, since it may say in words what is worse.
    """
    normal, *abnormal = rubric.bands or (None,)
    if normal is None or len(abnormal) < 2:
        return None
    meanings = reversed(abnormal)
    bands = [replace(band, name=m.name, meaning=m.meaning) for band, m in zip(abnormal, meanings, strict=True)]
    return replace(rubric, title=f"{rubric.title}, reversed", bands=(normal, *bands), criterion="")


def _unnamed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """As many references as chosen, the first by name: named ones lie elsewhere, the nearest tell of the image."""
    if parameters["choose"] != "named" or parameters["references"] is not None:
        return {"choose": "first"}
    names = [name for name in parameters["named"].split(",") if name.strip()]
    return {"choose": "first", "references": len(names)}


def stranger(dataset: Dataset, subset: str) -> str | None:
    """The next other subset that has training normals, or None."""
    names = list(dataset.subsets)
    place = names.index(subset)
    others = [*names[place + 1 :], *names[:place]]
    return next((name for name in others if len(dataset.select(split="train", subset=name))), None)


# -- scoring ----------------------------------------------------------------------------------------


class Asking:
    """Scores of every way; what is kept is not asked again.

    Parameters
    ----------
    work : Work
    sample : Sample
        Of the runs to be asked.
    """

    def __init__(self, work: Work, sample: Sample) -> None:
        self.work, self.sample = work, sample
        self._done = 0
        self._total = 0

    def cells(self, runs: Sequence[Run]) -> pd.DataFrame:
        """A row for each run's name, way, subset and image, as :func:`.run.ablation` takes them.

        Raises
        ------
        UnavailableError
            If a model or a server cannot be had.
        InputError
            If nobody agreed to send images to a server, or a rubric can no longer be read.
        CancelledError
        """
        plans = [(one, subset, rows, self._ways(one, subset)) for one in runs for subset, rows in self._rows(one)]
        self._total = sum(len(ways) * len(rows) for _, _, rows, ways in plans)
        tables = []
        for one in runs:
            with _resources() as resources:
                for _, subset, rows, ways in (plan for plan in plans if plan[0] is one):
                    for way, parameters in ways.items():
                        scores = self._scores(one, subset, rows, way, parameters, resources)
                        values = [scores.get(image_id) for image_id in rows["image_id"]]
                        cell = rows[["subset", "image_id", "level"]].assign(score=pd.Series(values, rows.index, float))
                        tables.append(cell.assign(run=self.sample.names[one.id], way=way))
        return pd.concat(tables, ignore_index=True)

    def _rows(self, one: Run) -> list[tuple[str, Any]]:
        files: Any = self.work.dataset.table[["image_id", "path", "content_hash", "width", "height"]]
        table: Any = self.sample.tables[one.id]
        merged = table[["image_id", "subset", "level", "score"]].merge(files, on="image_id", how="left")
        return [(str(subset), rows) for subset, rows in merged.groupby("subset", sort=False)]

    def _ways(self, one: Run, subset: str) -> dict[str, dict[str, Any]]:
        """Every way that can be gone on a subset, with all its parameters."""
        base = self._base(one)
        card, parts = self.work.dataset.card.subset(subset), shown(self.work, one)
        variants = {way: changes(way, base, card, parts) for way in WAYS}
        if stranger(self.work.dataset, subset) is None:
            variants[STRANGE] = None
        return {way: base | changed for way, changed in variants.items() if changed is not None}

    def _base(self, one: Run) -> dict[str, Any]:
        """The run's parameters, without the writing, and with this study's own word on sending images."""
        parameters = catalog.scorer(one.scorer).check(one.parameters)
        agreed = {"consent": bool(self.work.parameters.get("consent"))} if "consent" in parameters else {}
        return parameters | {"reasons": "none"} | agreed

    def _scores(
        self, one: Run, subset: str, rows: Any, way: str, parameters: Mapping[str, Any], resources: Resources
    ) -> dict[str, float]:
        """By image id; images that failed have none."""
        from mad_core.runs.execute import items as image_items
        from mad_core.scorers.contract import Item

        if way == CHOSEN and self._still_holds(one):
            self._step(len(rows))
            return dict(zip(rows["image_id"], rows["score"].astype(float), strict=True))
        donor = stranger(self.work.dataset, subset) if way == STRANGE else None
        key = self._key(one, subset, way, parameters, donor)
        if way != BLANK:
            items = image_items(rows, self.work.dataset)
            return self._asked(one, subset, items, parameters, donor, key, resources)
        with tempfile.TemporaryDirectory(prefix="mad-ablation-") as folder:
            path = str(_grey_field(rows.iloc[0], Path(folder)))
            field = Item(f"{subset}-{BLANK}", path, window=EIGHT_BIT if subset in self.work.dataset.windows else None)
            prior = self._asked(one, subset, [field], parameters, None, key, resources)
        self._step(len(rows) - 1)
        return dict.fromkeys(rows["image_id"], prior[field.image_id]) if prior else {}

    def _asked(
        self,
        one: Run,
        subset: str,
        items: Sequence[Item],
        parameters: Mapping[str, Any],
        donor: str | None,
        key: Sequence[Any],
        resources: Resources,
    ) -> dict[str, float]:
        """What is kept and what is asked now; it is kept even where the asking ends early. Failures are asked again."""
        from mad_core.studies.scoring import result_cache, scorer_with

        box = result_cache(self.work, "ablation", one.id)
        cached = box.read(key)
        todo = [item for item in items if item.image_id not in cached]
        self._step(len(items) - len(todo))
        if todo:
            catalog.scorer(one.scorer).check_available(parameters)
            try:
                with scorer_with(self.work, one, subset, parameters, resources, normals_of=donor or subset) as scorer:
                    for scored in scorer.score(todo):
                        if scored.score is not None:
                            cached[scored.image_id] = scored.score
                        self._step(1)
            finally:
                box.write(key, cached)
        return {item.image_id: float(cached[item.image_id]) for item in items if item.image_id in cached}

    def _step(self, images: int) -> None:
        self._done += images
        self.work.check_cancel()
        self.work.progress(self._done, self._total)

    def _still_holds(self, one: Run) -> bool:
        """Whether the run's scores are what this code and device would give again."""
        then = one.record.get("device", {}).get("id", "")
        same_device = then.partition(":")[0] == self.work.device.partition(":")[0]
        return same_device and one.record.get("code") == catalog.scorer(one.scorer).code

    def _key(self, one: Run, subset: str, way: str, parameters: Mapping[str, Any], donor: str | None) -> list[Any]:
        shown = {name: value for name, value in parameters.items() if name != "consent"}
        normals = self.work.dataset.select(split="train", subset=donor or subset)["content_hash"]
        digest = hashlib.blake2b("\n".join(normals).encode(), digest_size=8).hexdigest()
        device = self.work.device.partition(":")[0]
        code = catalog.scorer(one.scorer).code
        return [one.request, one.started, code, device, subset, way == BLANK, shown, digest]


@contextmanager
def _resources() -> Iterator[Resources]:
    """A model is loaded once for all ways and subsets of a run."""
    from mad_core.scorers.contract import Resources

    resources = Resources()
    try:
        yield resources
    finally:
        resources.close()


def _grey_field(row: Any, folder: Path) -> Path:
    """A picture without content, of the aspect of the subset's first image."""
    width, height = float(row["width"] or SIDE), float(row["height"] or SIDE)
    scale = min(1.0, SIDE / max(width, height))
    path = folder / "grey.png"
    Image.new("RGB", (max(1, round(scale * width)), max(1, round(scale * height))), (GREY,) * 3).save(path)
    return path
