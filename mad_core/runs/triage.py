"""Triage by one run: what a threshold flags, which level an image is called with which set, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import Dataset, level_key
from mad_core.datasets.own_normals import FACT as LEARNED
from mad_core.errors import InputError
from mad_core.learning.conformal import level_sets, needed
from mad_core.runs.outside import FACT as OUTSIDE
from mad_core.runs.store import Run, Store
from mad_core.runs.store.cuts import SavedCuts

MISS = 0.2
"""Share of the images of a level whose set may lack it."""
ENOUGH = 5
"""Normals from which on the usual threshold is a quantile of theirs."""
UNLIKE = "unlike anything fitted"
COLUMNS = ("called", "set", "unlike", "why")
_NEW = "new"
"""In the place of the id of a picture that is in no dataset; no id of an image is that short."""


@dataclass(frozen=True)
class Flagged:
    """What a threshold does to the images that have a score.

    Parameters
    ----------
    images, flagged : int
        With a score, and of these at or above the threshold.
    abnormal, missed : int
        Labelled above 0, and of these below the threshold.
    normals, false_alarms : int
        Labelled 0, and of these at or above the threshold.
    """

    images: int
    flagged: int
    abnormal: int
    missed: int
    normals: int
    false_alarms: int

    def in_words(self) -> str:
        """``37 of 812 images flagged; of 28 labelled: 2 of 10 abnormal missed, 1 of 18 normal flagged``."""
        words = f"{self.flagged:,} of {self.images:,} images flagged"
        labelled = self.abnormal + self.normals
        if not labelled:
            return f"{words}; none is labelled, so nothing says how many of them are wrong"
        missed = f"{self.missed:,} of {self.abnormal:,} abnormal missed"
        return f"{words}; of {labelled:,} labelled: {missed}, {self.false_alarms:,} of {self.normals:,} normal flagged"


def flagged(levels: np.ndarray, scores: np.ndarray, threshold: float) -> Flagged:
    """Counts at a threshold; images without a score enter none, those without a level only the first two."""
    there = np.isfinite(scores)
    above, abnormal, normal = there & (scores >= threshold), there & (levels > 0), there & (levels == 0)
    groups = (there, above, abnormal, abnormal & ~above, normal, normal & above)
    return Flagged(*(int(group.sum()) for group in groups))


def usual_threshold(levels: np.ndarray, scores: np.ndarray) -> float:
    """Where one in twenty normals is flagged; with fewer than ``ENOUGH`` of them, one in ten of all images."""
    finite = scores[np.isfinite(scores)]
    normal = scores[np.isfinite(scores) & (levels == 0)]
    if not len(finite):
        return 0.0
    return float(np.quantile(normal, 0.95)) if len(normal) >= ENOUGH else float(np.quantile(finite, 0.9))


def calls(store: Store, run: Run, subset: str, images: pd.DataFrame, cuts: SavedCuts | None = None) -> pd.DataFrame:
    """Which level each image is called, the levels that cannot be ruled out, and why.

    A run that learned from grades says so itself. Of a detector's run cut-points call the level where some are kept,
    else the nearest median of the labelled images; the set is label-conditional conformal by its scores.

    Parameters
    ----------
    images : DataFrame
        With ``image_id``, ``level`` and ``score``.

    Returns
    -------
    DataFrame
        In the order of the images: ``called`` (level, NaN where nothing says it), ``levels`` (those of the set, none
        where there is no set), ``set`` (they in words: ``"L2 or L3"``; empty), ``unlike`` (whether it lies outside all
        that was fitted: then it is called nothing), ``why``.
    """
    details = {} if run.imported else store.details(run.id, subset)
    return _called(images, details, cuts, outside_of(store, run, subset))


def call_new(
    store: Store,
    run: Run,
    subset: str,
    images: pd.DataFrame,
    results: Sequence[Mapping[str, Any]],
    cuts: SavedCuts | None = None,
) -> pd.DataFrame:
    """What pictures that are in no dataset are called, beside the images that the run has scored: as :func:`calls`.

    Parameters
    ----------
    results : sequence of mapping
        ``score``, ``detail`` and ``unlike`` of the pictures, as jobs of the kind ``single`` give them.

    Returns
    -------
    DataFrame
        As :func:`calls`; the new pictures are the last rows.
    """
    details = {} if run.imported else store.details(run.id, subset)
    new = {f"{_NEW} {number}": result for number, result in enumerate(results)}
    scores = [np.nan if one.get("score") is None else float(one["score"]) for one in new.values()]
    rows = pd.DataFrame({"image_id": list(new), "level": np.nan, "score": scores})
    scored: Any = images[["image_id", "level", "score"]]
    together = pd.concat([scored, rows], ignore_index=True)
    apart = outside_of(store, run, subset) | {name for name, one in new.items() if one.get("unlike")}
    return _called(together, {**details, **{name: one.get("detail") or {} for name, one in new.items()}}, cuts, apart)


def _called(
    images: pd.DataFrame, details: Mapping[str, Mapping[str, Any]], cuts: SavedCuts | None, apart: Collection[str]
) -> pd.DataFrame:
    learned = [detail.get("level") is not None for detail in details.values()]
    verdicts = _told(images, details) if any(learned) else _by_score(images, cuts)
    unlike = verdicts["unlike"] | images["image_id"].isin(list(apart)).to_numpy()
    inside = [() if out else levels for out, levels in zip(unlike, verdicts["levels"], strict=True)]
    return verdicts.assign(
        unlike=unlike,
        called=verdicts["called"].mask(unlike),
        levels=inside,
        set=[in_words(levels) for levels in inside],
        why=np.where(unlike, UNLIKE, verdicts["why"]),
    )


def verdict(row: Mapping[Any, Any]) -> str:
    """What a row of :func:`calls` says, as a sentence; empty where nothing is called."""
    if row["unlike"]:
        return "Unlike anything fitted: no level is called."
    if not np.isfinite(row["called"]):
        return ""
    ruled = f"; {row['set']} cannot be ruled out" if row["set"] else ""
    return f"Called L{level_key(row['called'])}{ruled}."


def guarantee_of(run: Run, verdicts: pd.DataFrame) -> str:
    """What the sets promise, in words; empty where there are none."""
    if not (verdicts["set"] != "").to_numpy().any():
        return ""
    share = float(run.parameters.get("guarantee", 1 - MISS))
    return (
        f"Of new images of a level at least {share:.0%} have sets that hold it, on average over gradings and where new "
        "images are like the labelled ones."
    )


def outside_of(store: Store, run: Run, subset: str) -> frozenset[str]:
    """Ids of the images that the run has found outside all that it was fitted on."""
    facts = [entry.facts for entry in store.run_subsets(run.id) if entry.subset == subset]
    return frozenset(image_id for one in facts for image_id in one.get(OUTSIDE, {}).get("images", ()))


def taken_as_normal(store: Store, run: Run, subset: str) -> frozenset[str]:
    """Ids of the images that the run's scorer has learned normal from without their being known to be."""
    facts = [entry.facts for entry in store.run_subsets(run.id) if entry.subset == subset]
    return frozenset(image_id for one in facts for image_id in one.get(LEARNED, {}).get("images", ()))


def with_normals(dataset: Dataset, image_ids: Collection[str]) -> Dataset:
    """A version of a dataset in which these test images are training normals: the next fit learns from them.

    Raises
    ------
    InputError
        If one is no test image, is labelled abnormal, or none is left to be tested.
    """
    table: Any = dataset.table
    chosen = table["image_id"].isin(list(image_ids))
    if int((chosen & (table["split"] == "test")).sum()) != len(set(image_ids)):
        raise InputError(f"Only test images of dataset '{dataset.name}' can be marked as normal.")
    if (table.loc[chosen, "level"] > 0).any():
        raise InputError("An image that is labelled abnormal cannot be marked as normal; correct its label first.")
    left = set(table.loc[(table["split"] == "test") & ~chosen, "subset"])
    if set(table.loc[chosen, "subset"]) - left:
        raise InputError("No image would be left to be tested.")
    changed = table.assign(split=table["split"].mask(chosen, "train"), level=table["level"].mask(chosen, 0.0))
    return Dataset(f"{dataset.name}, {len(set(image_ids))} more normals", changed, dataset.card, dataset.source)


def listed(view: pd.DataFrame, threshold: float, tags: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """A list to take away, a row an image in the order given.

    Parameters
    ----------
    view : DataFrame
        Rows of a dataset with ``score`` and the columns of :func:`calls`.

    Returns
    -------
    DataFrame
        ``Path``, ``File``, ``Subset``, ``Severity`` (empty where nobody has graded it), ``Anomaly Score``, ``Flagged``,
        ``Called Level``, ``Level Set``, ``Reason``, ``Tags``.
    """
    scores = view["score"].to_numpy(dtype=np.float64)
    flags = np.select([~np.isfinite(scores), scores >= threshold], ["", "yes"], "no")
    return pd.DataFrame(
        {
            "Path": view["template_path"].tolist(),
            "File": view["path"].tolist(),
            "Subset": view["subset"].tolist(),
            "Severity": view["level"].tolist(),
            "Anomaly Score": scores,
            "Flagged": flags,
            "Called Level": view["called"].tolist(),
            "Level Set": view["set"].tolist(),
            "Reason": view["why"].tolist(),
            "Tags": ["; ".join(tags.get(image_id, ())) for image_id in view["image_id"]],
        }
    )


def _told(images: pd.DataFrame, details: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """What a run that learned from grades says of each image."""
    of_images = [details.get(image_id, {}) for image_id in images["image_id"]]
    nearest = [", ".join(f"L{level_key(one['level'])}" for one in detail.get("nearest", ())) for detail in of_images]
    return pd.DataFrame(
        {
            "called": [float(np.nan if (at := detail.get("level")) is None else at) for detail in of_images],
            "levels": [tuple(detail.get("levels", ())) for detail in of_images],
            "unlike": [bool(detail.get("unlike")) for detail in of_images],
            "why": [f"nearest graded images: {names}" if names else "" for names in nearest],
        },
        index=images.index,
    )


def _by_score(images: pd.DataFrame, cuts: SavedCuts | None) -> pd.DataFrame:
    """What the scores of labelled images say of each score."""
    scores, levels = (images[name].to_numpy(dtype=np.float64) for name in ("score", "level"))
    usable = np.isfinite(scores) & np.isfinite(levels)
    scale = np.unique(levels[usable])
    called, sets = np.full(len(images), np.nan), [()] * len(images)
    why = ""
    if len(scale) > 1:
        strangeness, own = _strangeness(scores, scores[usable], levels[usable], scale)
        at = np.flatnonzero(np.isfinite(scores))
        called[at] = scale[strangeness[at].argmin(axis=1)]
        if all((levels[usable] == level).sum() >= needed(MISS) for level in scale):
            inside = level_sets(strangeness[at], own, levels[usable], scale, MISS)
            for place, row in zip(at, inside, strict=True):
                sets[place] = tuple(scale[row].tolist())
        why = "nearest median of the labelled scores"
    if cuts is not None:
        called, why = np.asarray(cuts.call(scores), dtype=np.float64), "by the cut-points kept with the run"
    reasons = np.where(np.isfinite(called), why, "")
    return pd.DataFrame({"called": called, "levels": sets, "unlike": False, "why": reasons}, index=images.index)


def _strangeness(
    scores: np.ndarray, labelled: np.ndarray, levels: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each score from the median of each level, (m, L); of each known one from that of its own level
    without itself, (n,)."""
    medians = np.array([np.median(labelled[levels == level]) for level in scale])
    own = np.empty(len(labelled))
    for level in scale:
        at = np.flatnonzero(levels == level)
        own[at] = np.abs(labelled[at] - medians_without(labelled[at]))
    return np.abs(scores[:, None] - medians[None, :]), own


def medians_without(values: np.ndarray) -> np.ndarray:
    """The median of all values but one, for each of them; infinite where there is no other."""
    n, half = len(values), len(values) // 2
    if n < 2:
        return np.full(n, np.inf)
    places, ordered = np.empty(n, dtype=np.int64), np.sort(values)
    places[np.argsort(values, kind="stable")] = np.arange(n)
    if n % 2 == 0:
        return np.where(places < half, ordered[half], ordered[half - 1])
    low, high = np.where(places < half, half, half - 1), np.where(places <= half, half + 1, half)
    return (ordered[low] + ordered[high]) / 2


def in_words(levels: Iterable[float]) -> str:
    """``"L2"``, ``"L2 or L3"``, ``"L1, L2 or L3"``; empty where there is none."""
    names = [f"L{level_key(level)}" for level in levels]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else ""


def facts_of(counts: Flagged) -> dict[str, int]:
    """The counts by name."""
    return asdict(counts)
