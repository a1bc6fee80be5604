"""The images in view: which subset, runs, filters and order the URL asks for."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import Dataset, SubsetCard
from mad_core.datasets.naming import NO_LEVEL, level_key
from mad_core.labelled import labelled
from mad_core.runs.browsing import ALL_RANKS, CALLS, GROUPS, ORDERS, STATES, Wanted, in_order, passing, with_scores
from mad_core.runs.comparing import distinct_names
from mad_core.runs.picture_space import ALL, MapPart, read_space
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.store.cuts import SavedCuts
from mad_core.runs.triage import COLUMNS, calls, usual_threshold
from pages.ui import engine, session
from pages.ui.gallery import Maps, TileSize

T = TypeVar("T")

NOTHING_CALLED = {"called": math.nan, "set": "", "unlike": False, "why": ""}
SIZES = (24, 36, 48, 120, 480, 4000)
TILE_SIZES: tuple[TileSize, ...] = ("medium", "small", "large")
MAPS: tuple[Maps, ...] = ("off", "hover", "always")
"""When the gallery lays the run's anomaly maps over the pictures."""
APART = tuple(range(0, 100, 5))
PERCENTILES = [ALL_RANKS, *combinations(range(0, 101, 5), 2)]


@dataclass(frozen=True)
class Browsing:
    """Images of one subset and split, with the scores of the chosen run.

    Parameters
    ----------
    subsets, splits : sequence of str
        What there is to choose from.
    levels : sequence of float
        All levels of the subset, ascending; they give the colours.
    runs : mapping of str to Run
        Runs that score these images, oldest first.
    names : mapping of str to str
        What each of them is called here; no two alike.
    run, against : Run or None
        The one whose scores are shown, and the one its ranks are compared with; both have scores.
    cuts : SavedCuts or None
        Those kept with the run for this subset.
    images : DataFrame
        All images of subset and split, as :func:`mad_core.runs.browsing.with_scores` gives them.
    level_keys, defects, tags : sequence of str
        Levels, defects and tags among them, as filters write them.
    wanted : Wanted
        The filters and the order in view.
    threshold : float or None
        From which score on images are flagged, where the view says one.
    marked : frozenset of str or None
        Ids of the images that are selected on the map, where there is a selection.
    key : tuple
        Changes whenever ``images`` may have changed.
    """

    info: DatasetInfo
    subsets: Sequence[str]
    subset: str
    splits: Sequence[str]
    split: str
    levels: Sequence[float]
    runs: Mapping[str, Run]
    names: Mapping[str, str]
    run: Run | None
    against: Run | None
    cuts: SavedCuts | None
    images: pd.DataFrame
    level_keys: Sequence[str]
    defects: Sequence[str]
    tags: Sequence[str]
    wanted: Wanted
    threshold: float | None
    marked: frozenset[str] | None
    key: tuple[Any, ...]

    @property
    def card(self) -> SubsetCard:
        return self.info.card.subset(self.subset)

    @cached_property
    def shown(self) -> pd.DataFrame:
        """The images that pass the filters, in the wanted order."""
        return _shown(self.images, self.key, self.wanted)

    @cached_property
    def unfiltered(self) -> pd.DataFrame:
        """All images, in the wanted order."""
        return _shown(self.images, self.key, Wanted(order=self.wanted.order, group=self.wanted.group))

    @property
    def tile_size(self) -> TileSize:
        return _chosen("tiles", TILE_SIZES)

    @property
    def overlays(self) -> Maps:
        """When the run's anomaly maps lie over the pictures."""
        return _chosen("overlays", MAPS) if self.run is not None and self.run.map_policy == "all" else "off"

    @property
    def with_map(self) -> bool:
        """Whether the map of pictures stands above the gallery."""
        return session.get("map") == "shown"

    @property
    def scored(self) -> Sequence[Run]:
        """The runs that have scores, oldest first."""
        return [run for run in self.runs.values() if run.done]

    @property
    def size(self) -> int:
        """Images a page."""
        return _chosen("size", SIZES)


def browse(info: DatasetInfo) -> Browsing:
    """Read the view; where it asks for what is not there, the first choice stands."""
    dataset = engine.store().dataset(info.id)
    subset = _chosen("subset", dataset.subsets)
    splits = dataset.splits(subset)[::-1]
    split = _chosen("split", splits)
    runs = {run.id: run for run in session.runs_in_view(info) if split == "test" and subset in run.subsets}
    scored = {run.id: run for run in runs.values() if run.done}
    run = scored.get(session.get("run")) or next(iter(scored.values()), None)
    others = {other.id: other for other in scored.values() if other is not run}
    against = others.get(session.get("against")) or next(iter(others.values()), None)
    cuts = engine.store().cuts.of_run(run.id).get(subset) if run else None
    key = (
        f"{info.id} {info.version}",
        subset,
        split,
        *(one and (one.id, *engine.state(one)) for one in (run, against)),
        cuts,
    )
    images, levels, defects = _joined(dataset, run, against, cuts, key)
    by_image = engine.store().tags.of(info.id)
    key = (*key, hash(tuple(sorted(by_image.items()))))
    images, tags = _with_tags(images, by_image, key)
    marked = _marked(info, subset)
    if marked is not None:
        images = images.assign(marked=np.array([i in marked for i in images["image_id"].tolist()], dtype=bool))
    threshold = _number(session.get("threshold"))
    flags = run is not None and session.get("flagged") == "yes"
    least = _least(images, threshold) if flags else None
    return Browsing(
        info,
        dataset.subsets,
        subset,
        splits,
        split,
        dataset.levels(subset),
        runs,
        distinct_names(list(runs.values())),
        run,
        against,
        cuts,
        images,
        levels,
        defects,
        tags,
        replace(
            _wanted(levels, defects, tags, run, against, cuts),
            least=least,
            region=session.get("region") if marked is not None else "",
        ),
        threshold,
        marked,
        key,
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _joined(
    _dataset: Dataset, _run: Run | None, _against: Run | None, _cuts: SavedCuts | None, key: tuple[Any, ...]
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Images of the subset and split that the key names, with scores, the levels and the defects among them.

    Shared by all sessions, never changed.
    """
    _, subset, split, *_ = key
    images = _of_subset(_dataset, subset, split, _run, _against, _cuts)
    levels = [level_key(level) for level in _dataset.levels(subset, split)]
    levels += [NO_LEVEL] if len(labelled(images)) < len(images) else []
    return images, levels, sorted(images["defect"].dropna().unique())


def _of_subset(
    dataset: Dataset, subset: str, split: str, run: Run | None, against: Run | None, cuts: SavedCuts | None
) -> pd.DataFrame:
    """Images with scores, and what the run calls them."""
    first, second = (engine.table(one) if one else None for one in (run, against))
    images = with_scores(dataset.select(subset=subset, split=split), first, second, cuts)
    called = calls(engine.store(), run, subset, images, cuts) if run and split == "test" else NOTHING_CALLED
    return images.assign(**{name: called[name] for name in COLUMNS})


def everything(view: Browsing) -> pd.DataFrame:
    """Images of all subsets of the split in view, with the scores of the run in view: as those of one subset."""
    cuts = engine.store().cuts.of_run(view.run.id) if view.run else {}
    key = (view.info.id, view.info.version, view.split, view.run and (view.run.id, *engine.state(view.run)), repr(cuts))
    return _everything(view.info.id, view.run, cuts, key)


@st.cache_resource(max_entries=4, show_spinner=False)
def _everything(
    dataset_id: str, _run: Run | None, _cuts: Mapping[str, SavedCuts], key: tuple[Any, ...]
) -> pd.DataFrame:
    dataset, split = engine.store().dataset(dataset_id), key[2]
    scored = set(_run.subsets) if _run else set()
    parts = [
        _of_subset(dataset, subset, split, _run if subset in scored else None, None, _cuts.get(subset))
        for subset in dataset.subsets
        if len(dataset.select(subset=subset, split=split))
    ]
    return pd.concat(parts, ignore_index=True)


def _marked(info: DatasetInfo, subset: str) -> frozenset[str] | None:
    """Ids of the images that the view selects on the map; None where it selects none, or the map is not there."""
    part = MapPart.from_text(session.get("region"))
    return part and part.of(read_space(engine.store().settings, info.id, ALL if part.whole else subset))


@st.cache_resource(max_entries=8, show_spinner=False)
def _with_tags(
    _images: pd.DataFrame, _tags: Mapping[str, tuple[str, ...]], key: tuple[Any, ...]
) -> tuple[pd.DataFrame, list[str]]:
    """The images with their tags, and the tags that any of them has."""
    of_images = [_tags.get(image_id, ()) for image_id in _images["image_id"].tolist()]
    return _images.assign(tags=of_images), sorted({tag for tags in of_images for tag in tags})


@st.cache_resource(max_entries=16, show_spinner=False)
def _shown(_images: pd.DataFrame, key: tuple[Any, ...], wanted: Wanted) -> pd.DataFrame:
    together = Wanted(order=wanted.order, group=wanted.group, region=wanted.region)
    return passing(_in_order(_images, key, together), wanted)


@st.cache_resource(max_entries=8, show_spinner=False)
def _in_order(_images: pd.DataFrame, key: tuple[Any, ...], wanted: Wanted) -> pd.DataFrame:
    """All images as wanted; of a region of the map with the column that says which lie in it."""
    return in_order(_images, wanted)


def _number(text: str) -> float | None:
    """A number that the view writes; None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _least(images: pd.DataFrame, threshold: float | None) -> float:
    if threshold is not None:
        return threshold
    return usual_threshold(*(images[name].to_numpy(dtype="float64") for name in ("level", "score")))


def orders(levels: Sequence[str], run: Run | None, against: Run | None) -> list[str]:
    """The orders that make sense with these levels and runs; where an image has no level, the worst score is first."""
    left_out = set() if run else {"highest score", "lowest score"}
    left_out |= {"severe first", "normal first"} if list(levels) == [NO_LEVEL] else set()
    left_out |= set() if against else {"rank difference"}
    first = ["highest score"] if run and NO_LEVEL in levels else []
    return [*first, *(order for order in ORDERS if order not in {*left_out, *first})]


def _wanted(
    levels: Sequence[str],
    defects: Sequence[str],
    tags: Sequence[str],
    run: Run | None,
    against: Run | None,
    cuts: SavedCuts | None,
) -> Wanted:
    keys, kinds, called = (session.get_list(name) for name in ("level", "defect", "called"))
    return Wanted(
        levels=tuple(level_written(key) for key in levels if key in keys),
        defects=tuple(defect for defect in defects if defect in kinds),
        state=_chosen("state", ["", *STATES]) if run else "",
        name=session.get("find"),
        ranks=_chosen("percentile", PERCENTILES, range_text) if run else ALL_RANKS,
        apart=_chosen("apart", APART) if against else 0,
        called=tuple(level for level in cuts.levels if level_key(level) in called) if cuts else (),
        call=_chosen("call", ["", *CALLS]) if cuts else "",
        order=_chosen("sort", orders(levels, run, against)),
        tag=_chosen("tag", ["", *tags]),
        group=_chosen("group", ["", *GROUPS]),
    )


def level_written(key: str) -> float:
    """The level that a key of a filter writes; NaN for images without one."""
    return math.nan if key == NO_LEVEL else float(key)


def range_text(ends: tuple[float, float]) -> str:
    """``80-100``, as the URL has it."""
    return f"{ends[0]:g}-{ends[1]:g}"


def _chosen(name: str, options: Sequence[T], text: Callable[[T], str] = str) -> T:
    """What the view says where it is among the options, else the first of them."""
    given = session.get(name)
    return next((option for option in options if text(option) == given), options[0])
