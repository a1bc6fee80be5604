"""Scores anew from the stored anomaly maps of a run: every reduction of every map, without scoring again.

A stored map is float16, so it has few distinct values; how often each occurs gives every reduction but the number of
regions, exactly and without sorting: about a millisecond a map. Nothing here imports torch.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError, MadError, NotFoundError
from mad_core.ignored import IgnoredRegion
from mad_core.images import CHANGED, ImageError, read_mask
from mad_core.labelled import labelled, unlabelled_notes
from mad_core.metrics.association import in_words, severity_and_area
from mad_core.metrics.summary import ordered
from mad_core.metrics.units import groups_of
from mad_core.runs.map_thresholds import FACT, NormalMaps
from mad_core.runs.results import run_table
from mad_core.runs.store import Run, Store
from mad_core.scorers import catalog
from mad_core.scorers.reductions import ALL, THRESHOLDED, TITLES, count_regions

OWN = "score"
"""The run's own score, beside the reductions."""
NAMES = {OWN: "the run's own score", **TITLES}
MASK_AREA, AREA_ABOVE = "the area of the mask", "the area above the threshold"
READERS = 4
SHARES = {"top1": 0.01, "top5": 0.05, "top10": 0.10, "top25": 0.25}
_KEYS = 65_536
_SIGN = np.uint16(0x8000)


# -- one map ------------------------------------------------------------------------------------


def reduce_stored(
    stored: np.ndarray, scale: float, threshold: float | None, ignored: IgnoredRegion | None = None
) -> dict[str, float]:
    """Every reduction of one stored map.

    Parameters
    ----------
    stored : ndarray of shape (H, W), float16
    scale : float
        Positive; the map in raw units is ``stored * scale``.
    threshold : float or None
        In raw units.
    ignored : IgnoredRegion, optional
        Whose pixels do not count.

    Returns
    -------
    dict
        A value for each name in :data:`mad_core.scorers.reductions.ALL`, as ``reduce_map`` gives it of the same
        map; NaN for those that need a threshold where there is none, and for all where the map is not finite.
    """
    keys = _keys(stored)
    counting = np.ones(keys.shape, bool) if ignored is None else ~ignored.on(keys.shape)
    counting = counting if counting.any() else ~counting
    counts = np.bincount(keys[counting], minlength=_KEYS)
    there = np.flatnonzero(counts)[::-1]  # highest value first
    n, values = counts[there], _values()[there] * scale
    if not np.isfinite(values).all():
        return dict.fromkeys(ALL, np.nan)
    size = int(counting.sum())
    reached, sums = np.cumsum(n), np.cumsum(n * values)
    reduced = {
        "max": float(values[0]),
        **{
            name: _mean_of_highest(max(1, round(size * share)), values, reached, sums) for name, share in SHARES.items()
        },
        "mean": float(sums[-1] / size),
        "rms": float(np.sqrt((n * values**2).sum() / size)),
    }
    if threshold is None:
        return reduced | dict.fromkeys(THRESHOLDED, np.nan)
    above = int(np.searchsorted(-values, -threshold))  # distinct values above it
    return reduced | {
        "area": float(n[:above].sum() / size),
        "mass": float((n[:above] * (values[:above] - threshold)).sum() / size),
        "regions": float(count_regions((keys >= there[above - 1]) & counting)) if above else 0.0,
    }


def _mean_of_highest(count: int, values: np.ndarray, reached: np.ndarray, sums: np.ndarray) -> float:
    """Mean of the ``count`` highest pixels, from distinct values (highest first) and what they sum up to."""
    last = int(np.searchsorted(reached, count))
    return float((sums[last] - (reached[last] - count) * values[last]) / count)


def _keys(stored: np.ndarray) -> np.ndarray:
    """Whole numbers, uint16, in the order of the float16 values."""
    bits = np.ascontiguousarray(stored, dtype="<f2").view("<u2")
    return bits ^ np.where(bits & _SIGN, np.uint16(0xFFFF), _SIGN)


@lru_cache(maxsize=1)
def _values() -> np.ndarray:
    """The value of each key, float64 of shape (65536,)."""
    keys = np.arange(_KEYS, dtype=np.uint16)
    bits = keys ^ np.where(keys & _SIGN, _SIGN, np.uint16(0xFFFF))
    return bits.view(np.float16).astype(np.float64)


# -- the threshold ------------------------------------------------------------------------------


def threshold_of(store: Store, run: Run, subset: str) -> NormalMaps | None:
    """The normal-calibrated threshold of a run's maps on one subset; None where there is none.

    The maps of a hybrid are those of its detector, so that run's threshold is theirs.
    """
    run = maker_of_maps(store, run)
    for entry in store.run_subsets(run.id):
        facts = entry.facts.get(FACT, {})
        if entry.subset == subset and "threshold" in facts:
            return NormalMaps.from_json(facts)
    return None


def can_find_threshold(store: Store, run: Run) -> bool:
    """Whether resuming a finished run would find a threshold that it lacks; nothing is scored again by that."""
    if run.status != "done" or run.map_policy != "all" or _learns_normals(run) is not True:
        return False
    entries = store.run_subsets(run.id)
    return any(FACT not in e.facts and store.map_refs(run.id, e.subset) for e in entries)


def why_no_threshold(store: Store, run: Run) -> str:
    """Why a run's maps have no threshold, and what to do, in a sentence or two."""
    maker = maker_of_maps(store, run)
    failures = [
        str(e.facts[FACT]["why_not"]) for e in store.run_subsets(maker.id) if "why_not" in e.facts.get(FACT, {})
    ]
    if failures:
        return f"The maps of normals could not be looked at: {failures[0]}"
    if _learns_normals(maker) is not True:
        return "This scorer does not learn what normal looks like, so no threshold can be taken from normals' maps."
    if run.active:
        return "The threshold is found from normals' maps when all images are scored."
    return (
        f"Run '{maker.title}' has no threshold from normals' maps yet; `python -m mad_core resume {maker.id}` finds it "
        "without scoring again."
    )


def maker_of_maps(store: Store, run: Run) -> Run:
    """The run whose maps a run shows: itself, or the detector that it is made of."""
    detector = run.parameters.get("detector")
    try:
        return store.run(str(detector)) if run.scorer == "hybrid" and detector else run
    except NotFoundError:  # the detector's run was deleted
        return run


def _learns_normals(run: Run) -> bool | None:
    try:
        info = catalog.scorer(run.scorer)
    except NotFoundError:
        return None
    return info.needs_fit and not info.parts


# -- a run --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reduced:
    """All reductions of a run's stored maps.

    Parameters
    ----------
    table : DataFrame
        As :func:`mad_core.runs.results.run_table`, with a column (float64, NaN where absent) for each name in
        :data:`mad_core.scorers.reductions.ALL`.
    thresholds : mapping of subset to NormalMaps
        Subsets without one are missing.
    notes : tuple of str
        What could not be computed, and why.
    """

    table: pd.DataFrame
    thresholds: Mapping[str, NormalMaps]
    notes: tuple[str, ...]


def reduce_run(store: Store, run_id: str, subsets: Sequence[str] = ()) -> Reduced:
    """Reduce every stored map of a run.

    Parameters
    ----------
    subsets : sequence of str
        All of the run's if empty.

    Raises
    ------
    NotFoundError
        If there is no such run.
    InputError
        If it has no stored maps.
    WorkError
        If the file of the maps is gone.
    """
    run, table = store.run(run_id), run_table(store, run_id)
    chosen = [name for name in run.subsets if not subsets or name in subsets]
    thresholds = {name: own for name in chosen if (own := threshold_of(store, run, name))}
    reduced: dict[str, dict[str, float]] = {}
    ignored = store.dataset(run.dataset_id).ignored
    for name in chosen:
        threshold = thresholds[name].threshold if name in thresholds else None
        refs = store.map_refs(run_id, name)
        region = ignored.get(name)
        for image_id, stored, scale in store.maps.stored(run_id, name, refs, run.map_side):
            reduced[image_id] = reduce_stored(stored, scale, threshold, region)
    if not reduced:
        raise InputError(
            f"Run '{run.title}' has no stored anomaly maps to reduce; score again with maps kept (--maps all --force)."
        )
    table = table[table["subset"].isin(chosen)].reset_index(drop=True)
    columns = pd.DataFrame.from_dict(reduced, orient="index", columns=list(ALL)).reindex(table["image_id"])
    return Reduced(
        pd.concat([table, columns.reset_index(drop=True)], axis=1),
        thresholds,
        tuple(_notes(store, run, [name for name in chosen if name not in thresholds], len(chosen))),
    )


def _notes(store: Store, run: Run, lacking: Sequence[str], of: int) -> list[str]:
    if not lacking:
        return []
    where = "" if len(lacking) == of else f" on {', '.join(lacking)}"
    return [f"No area, mass and number of regions{where}: {why_no_threshold(store, run)}"]


def reduced_table(store: Store, run_id: str, reduction: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table of :func:`mad_core.runs.results.run_table` with a reduction of the stored maps in place of the scores.

    Parameters
    ----------
    reduction : str
        A name in :data:`mad_core.scorers.reductions.ALL`.

    Returns
    -------
    table : DataFrame
        ``score`` is NaN where no map is stored, or no threshold known. Maps are stored in float16 at the run's map
        size, so the scorer's own reduction comes back to about three digits only.
    notes : tuple of str
        Where a threshold is missing, and why.

    Raises
    ------
    InputError
        If the run has no stored maps, the reduction is unknown, or it needs a threshold that no subset has.
    NotFoundError
        If there is no such run.
    """
    if reduction not in ALL:
        raise InputError(f"No reduction is called '{reduction}'; known are {', '.join(ALL)}.")
    reduced = reduce_run(store, run_id)
    if reduction in THRESHOLDED and not reduced.thresholds:
        raise InputError(" ".join(reduced.notes))
    table = reduced.table.assign(score=reduced.table[reduction]).drop(columns=list(ALL))
    return table, reduced.notes if reduction in THRESHOLDED else ()


# -- severity and area --------------------------------------------------------------------------


@dataclass(frozen=True)
class MaskAreas:
    """Areas by masks, of the abnormal test images that were asked for.

    Parameters
    ----------
    of : mapping of image id to share of the image
    asked : int
        Abnormal test images.
    left_out : mapping of str to int
        Why the others have none, in words, and how many they are.
    """

    of: Mapping[str, float]
    asked: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    def in_words(self) -> str:
        """How many could be used, and why not the others; empty where no image has a mask."""
        if not self.of and set(self.left_out) <= {NO_MASK}:
            return ""
        why = "; ".join(f"{n:,} {words}" for words, n in self.left_out.items())
        return (
            f"Masks of {len(self.of):,} of {self.asked:,} abnormal test images were used{f' ({why})' if why else ''}."
        )


NO_MASK = "without a mask"
_SAME_ASPECT = 0.02


def mask_areas(store: Store, run: Run, subsets: Sequence[str]) -> MaskAreas:
    """Share of the image that the mask marks, for abnormal test images whose mask can be used.

    A mask of another shape than its image, and one that marks nothing, say nothing about the defect.
    """
    dataset = store.dataset(run.dataset_id)
    rows, ignored = dataset.table, dataset.ignored
    chosen: Any = rows[(rows["split"] == "test") & rows["subset"].isin(subsets) & (rows["level"] > 0)]
    with_mask = chosen[chosen["mask_path"].notna()]
    regions = [ignored.get(subset) for subset in with_mask["subset"]]
    facts = with_mask[["mask_path", "mask_hash", "width", "height"]].assign(ignored=regions).itertuples(index=False)
    with ThreadPoolExecutor(READERS) as pool:
        shares = dict(zip(with_mask["image_id"], pool.map(lambda one: _share(*one), facts), strict=True))
    why = Counter([NO_MASK] * (len(chosen) - len(with_mask)) + [v for v in shares.values() if isinstance(v, str)])
    return MaskAreas({k: v for k, v in shares.items() if isinstance(v, float)}, len(chosen), dict(why))


def _share(path: str, digest: str | None, width: int, height: int, ignored: IgnoredRegion | None) -> float | str:
    """The share of what counts of the image, or why there is none."""
    try:
        mask = read_mask(Path(path), content_hash=digest or "")
    except ImageError as error:
        changed = error.kind == CHANGED
        return "with a mask that changed since it was imported" if changed else "with a mask that cannot be read"
    except (MadError, OSError):
        return "with a mask that cannot be read"
    if width and height and abs(mask.shape[1] / mask.shape[0] * height / width - 1) >= _SAME_ASPECT:
        return "with a mask of another shape"
    counting = mask[~ignored.on(mask.shape)] if ignored is not None and mask.any() else mask
    if mask.any() and not counting.any():
        return "with a mask that marks only what is left out"
    return float(counting.mean()) if mask.any() else "with a mask that marks nothing"


@dataclass(frozen=True)
class Compared:
    """Every reduction's metrics beside its rank correlation with the area of the defects.

    Parameters
    ----------
    metrics : mapping of name to metrics
        As :func:`mad_core.metrics.association.severity_and_area` gives them; the run's own score under ``OWN``.
    area : str
        What stands for the area, in words.
    sentences : tuple of str
        Which reduction follows severity and which the area.
    thresholds : mapping of subset to NormalMaps
    notes : tuple of str
    """

    metrics: Mapping[str, Mapping[str, Any]]
    area: str
    sentences: tuple[str, ...]
    thresholds: Mapping[str, NormalMaps]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "reductions": dict(self.metrics),
            "area": self.area,
            "in_words": list(self.sentences),
            "thresholds": {name: threshold.to_json() for name, threshold in self.thresholds.items()},
            "notes": list(self.notes),
        }


def compare_reductions(
    store: Store,
    run_id: str,
    subsets: Sequence[str] = (),
    *,
    draws: int = 1000,
    seed: int = 0,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Compared:
    """Measure every reduction of a run's maps. Subsets are measured one by one and averaged, never pooled.

    Parameters
    ----------
    step : callable(done, total)
        Called after each reduction.

    Raises
    ------
    NotFoundError, InputError, WorkError
        As :func:`reduce_run`.
    """
    reduced = reduce_run(store, run_id, subsets)
    table: Any = labelled(reduced.table)
    masks = mask_areas(store, store.run(run_id), table["subset"].unique().tolist())
    by_mask = masks.of
    areas, without = _areas(table, by_mask)
    metrics: dict[str, Mapping[str, Any]] = {}
    for done, name in enumerate(NAMES):
        scores = table[name]
        if name == OWN or bool(scores.notna().any()):
            # The area above the threshold says nothing about itself.
            other = areas.mask(table["subset"].isin(without)) if name == "area" else areas
            columns = ordered(table)[0], scores, other, table["subset"]
            metrics[name] = severity_and_area(*columns, draws=draws, seed=seed, groups=groups_of(table))
        step(done + 1, len(NAMES))
    area = MASK_AREA if by_mask else AREA_ABOVE
    notes = [*reduced.notes, *unlabelled_notes(reduced.table)]
    if without:
        where = f"On {', '.join(without)} there" if by_mask else "There"
        notes.append(f"{where} are no masks, so the area above the threshold stands for the area of the defects.")
    notes += filter(None, [masks.in_words()])
    reductions = {name: values for name, values in metrics.items() if name != OWN}
    return Compared(metrics, area, tuple(in_words(reductions, NAMES, area)), reduced.thresholds, tuple(notes))


def _areas(table: Any, by_mask: Mapping[str, float]) -> tuple[Any, list[str]]:
    """An area for each abnormal image, and the subsets where the area above the threshold stands for masks."""
    areas = table["image_id"].map(dict(by_mask)).astype(np.float64)
    measured = set(table.loc[areas.notna(), "subset"])
    without = [name for name in table["subset"].unique() if name not in measured]
    return areas.where(~table["subset"].isin(without), table["area"]), without
