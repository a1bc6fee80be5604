"""The map of all pictures above the gallery: what lies together looks alike; what is enclosed becomes the list."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.datasets.naming import NO_LEVEL, level_key
from mad_core.palette import Theme, chrome, colour_map, diverging_colour, outline, scorer_colours
from mad_core.runs.picture_space import ALL, GROUP, PCA, TSNE, MapPart, PictureSpace
from pages.images.browsing import Browsing, everything
from pages.images.features import ask_for_features, awaits_map, space_in_view, wait_for_map
from pages.images.map_component import SHAPES, Kind, MapPoints, map_of_pictures
from pages.ui import charts, session, urls
from pages.ui.reading import how_to_read
from pages.ui.text import level_text, plain, score_text

MAPS = {TSNE: "t-SNE", PCA: "PCA"}
COLOURS = {"level": "Level", "score": "Score", "call": "Run against label", "subset": "Subset"}
MOST_DRAWN = 8000
_NEEDED = ("image_id", "subset", "content_hash", "path", "level", "defect", "score")
"""Columns of a picture on the map: to go through all takes three times as long."""
STEPS = 8
"""Colours of a score's ranks."""
UNNAMED = "no level"
READ_MAP = (
    "Pictures that look alike to a network taught on photographs lie together. In t-SNE only neighbourhoods mean "
    "something, not the distance of one cloud from another; PCA shows the two directions in which pictures differ "
    "most. Drag around pictures (with Shift: a box) and the gallery below shows them alone; lists and acts follow it. "
    "By keys: arrows go from picture to picture, S sets the corners of a box."
)


def picture_map(view: Browsing) -> None:
    """Draw the map of the pictures of the subset and split in view, or of all subsets."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="map_choices"):
        whole = _whole(view)
        space = space_in_view(view.info, ALL if whole else view.subset)
        if space is None:
            ask_for_features(view.info, "Nobody has looked at this dataset's pictures as wholes yet.", "map")
            return
        name, colour = _which(space), _colour(view, whole)
        _groups(view, space, whole)
    images = everything(view) if whole else view.images
    on_map = np.array([image_id in space.rows for image_id in images["image_id"].tolist()], dtype=bool)
    _draw(view, space, name, colour, images.loc[on_map], whole)
    missing = int(np.count_nonzero(~on_map))
    if TSNE not in space.places and awaits_map(view.info):
        wait_for_map(view.info)
    elif missing:
        words = "picture is" if missing == 1 else "pictures are"
        ask_for_features(view.info, f"{missing:,} {words} not on the map: new, or unreadable.", "map")
    how_to_read(READ_MAP, "the map")


# -- what is shown ------------------------------------------------------------------------------


def _whole(view: Browsing) -> bool:
    if len(view.subsets) < 2:
        return False
    words = {"subset": "This subset", "all": "All subsets"}
    return _one("Pictures", "of", list(words), words) == "all"


def _which(space: PictureSpace) -> str:
    there = [name for name in MAPS if name in space.places]
    return _one("Map", "layout", there, MAPS) if len(there) > 1 else there[0]


def _colour(view: Browsing, whole: bool) -> str:
    left_out = set() if view.run else {"score", "call"}
    left_out |= set() if whole else {"subset"}
    unlabelled = list(view.level_keys) == [NO_LEVEL]
    left_out |= {"call"} if unlabelled else set()
    names = [name for name in COLOURS if name not in left_out]
    return _one("Coloured by", "colour", sorted(names, key=lambda name: unlabelled and name == "level"), COLOURS)


def _one(label: str, name: str, options: Sequence[str], words: Any) -> str:
    """One of a few, bound to the view."""
    given = session.get(name)
    binding = session.bound(name, options, options[0])
    st.segmented_control(label, options, format_func=words.__getitem__, required=True, **binding)
    return given if given in options else options[0]


def _groups(view: Browsing, space: PictureSpace, whole: bool) -> None:
    """Select the pictures of a group without a pointer."""
    numbers, sizes = np.unique(space.groups, return_counts=True)
    part = MapPart.from_text(session.get("region"))
    key = space.keys[PCA]
    chosen = part.group if part and (part.map, part.whole, part.key) == (GROUP, whole, key) else None
    options = [None, *numbers.tolist()]
    words = {
        None: "no group",
        **{n: f"Group {n + 1} ({size:,})" for n, size in zip(numbers.tolist(), sizes, strict=True)},
    }
    session.show("map_group", chosen if chosen in options else None)

    def change() -> None:
        if session.chosen("map_group"):
            group = st.session_state["map_group"]
            text = None if group is None else MapPart(GROUP, whole, key, group=group).to_text()
            session.put(region=text, page=None)

    st.selectbox(
        "Pictures alike",
        options,
        format_func=words.__getitem__,
        key="map_group",
        on_change=change,
        placeholder="no group",
        width=180,
        help="Pictures that lie together, by k-means: the gallery shows those of a group alone.",
    )


def _draw(view: Browsing, space: PictureSpace, name: str, colour: str, images: pd.DataFrame, whole: bool) -> None:
    """The map of images that all have a place on it."""
    part = MapPart.from_text(session.get("region"))
    here = part is not None and (part.map, part.whole) == (name, whole)
    points, kinds = _points(view, space, name, colour, images, charts.theme())

    def enclose(corners: tuple[tuple[int, int], ...]) -> None:
        text = MapPart(name, whole, space.keys[name], corners).to_text() if corners else None
        session.put(region=text, page=None)

    map_of_pictures(
        points,
        kinds,
        key="picture_map",
        of=f"{space.keys[name]} {colour}",
        alt=_alt(points, kinds, name, colour),
        outline=[list(corner) for corner in part.corners] if part and here and part.corners else None,
        on_open=lambda opened: session.put(image=opened),
        on_region=enclose,
    )
    if len(points.ids) < len(images):
        st.caption(
            f"{len(points.ids):,} of {len(images):,} pictures are drawn, evenly; a selection takes all that lie in it."
        )


def _points(
    view: Browsing, space: PictureSpace, name: str, colour: str, images: pd.DataFrame, theme: Theme
) -> tuple[MapPoints, list[Kind]]:
    there: Any = images
    if len(there) > MOST_DRAWN:
        there = there.iloc[np.linspace(0, len(there) - 1, MOST_DRAWN).round().astype(int)]
    ids: list[str] = there["image_id"].tolist()
    rows = [space.rows[image_id] for image_id in ids]
    places = np.round(10_000 * space.places[name][rows]).astype(int)
    numbers, kinds = _kinds(view, there, colour, theme)
    shown = set(view.shown["image_id"].tolist())
    records: list[Any] = list(there[list(_NEEDED)].itertuples())
    return (
        MapPoints(
            ids=ids,
            x=places[:, 0].tolist(),
            y=places[:, 1].tolist(),
            kind=numbers.tolist(),
            strong=[int(row.image_id in shown or row.subset != view.subset) for row in records],
            urls=[urls.picture(view.info.id, row.image_id, "thumbnail", row.content_hash) for row in records],
            names=[str(row.path).rpartition("/")[2] for row in records],
            texts=[_text(view, row) for row in records],
        ),
        kinds,
    )


def _text(view: Browsing, row: Any) -> str:
    """What is known of a picture, in a line."""
    level = level_text(row.level, view.info.card.subset(row.subset))
    words = [*([row.subset] if row.subset != view.subset else []), level, *([row.defect] if row.defect else [])]
    return ", ".join(words + ([f"score {score_text(row.score)}"] if np.isfinite(row.score) else []))


def _alt(points: MapPoints, kinds: Sequence[Kind], name: str, colour: str) -> str:
    counts = ", ".join(f"{kind.label} {kind.count:,}" for kind in kinds if kind.count)
    by = COLOURS[colour].lower()
    return f"Map of {len(points.ids):,} pictures by {MAPS[name]}, coloured by {by}: {counts}. Arrows move between them."


# -- colours ------------------------------------------------------------------------------------


def _kinds(view: Browsing, images: pd.DataFrame, colour: str, theme: Theme) -> tuple[np.ndarray, list[Kind]]:
    """The kind of each picture, and what the kinds are."""
    if colour == "score":
        return _by_score(images, theme)
    if colour == "call":
        return _by_call(images, theme)
    return _by_subset(images, theme) if colour == "subset" else _by_level(view, images)


def _by_level(view: Browsing, images: pd.DataFrame) -> tuple[np.ndarray, list[Kind]]:
    keys = np.array([level_key(level) for level in images["level"]])
    levels = sorted({float(level) for level in images["level"] if level == level})
    one = len(images["subset"].unique()) == 1
    names = [*(level_key(level) for level in levels), *([NO_LEVEL] if NO_LEVEL in keys else [])]
    kinds = []
    for place, name in enumerate(names):
        level = float("nan") if name == NO_LEVEL else float(name)
        tone, _, edge = charts.level_tones(level, levels)
        words = level_text(level, view.card) if one else (UNNAMED if name == NO_LEVEL else f"L{name}")
        kinds.append(Kind(words, tone, edge, SHAPES[place % len(SHAPES)], int((keys == name).sum())))
    return np.array([names.index(key) for key in keys], dtype=int), kinds


def _by_score(images: pd.DataFrame, theme: Theme) -> tuple[np.ndarray, list[Kind]]:
    ranks = images["rank"].to_numpy(dtype=np.float64)
    there = np.isfinite(ranks)
    numbers = np.where(there, np.clip(np.nan_to_num(ranks) / 100 * STEPS, 0, STEPS - 1).astype(int), STEPS)
    table = colour_map("viridis")
    tones = ["#{:02x}{:02x}{:02x}".format(*table[int(255 * k / (STEPS - 1))]) for k in range(STEPS)]
    words = [f"{100 * k // STEPS}-{100 * (k + 1) // STEPS}" for k in range(STEPS)]
    words[0], words[-1] = f"score percentile {words[0]}", f"{words[-1]}, the highest"
    kinds = [Kind(word, tone, outline(tone, theme)) for word, tone in zip(words, tones, strict=True)]
    return numbers, [*kinds, Kind("no score", chrome(theme).page, chrome(theme).muted, "bar", int((~there).sum()))]


def _by_call(images: pd.DataFrame, theme: Theme) -> tuple[np.ndarray, list[Kind]]:
    """What the run calls a picture against its label."""
    called, level = (images[name].to_numpy(dtype=np.float64) for name in ("called", "level"))
    known = np.isfinite(called) & np.isfinite(level)
    numbers = np.select([known & (called < level), known & (called > level), known], [0, 1, 2], 3)
    tones = (diverging_colour(1, theme), diverging_colour(0, theme), chrome(theme).line, chrome(theme).page)
    words = ("called lower than labelled", "called higher than labelled", "as labelled", "not called, or no label")
    shapes = ("down", "triangle", "circle", "bar")
    counts = np.bincount(numbers, minlength=4).tolist()
    facts = zip(words, tones, shapes, counts, strict=True)
    return numbers, [Kind(word, tone, outline(tone, theme), shape, count) for word, tone, shape, count in facts]


def _by_subset(images: pd.DataFrame, theme: Theme) -> tuple[np.ndarray, list[Kind]]:
    names = sorted(images["subset"].unique())
    tones = scorer_colours(len(names), theme)
    counts = Counter(images["subset"].tolist())
    kinds = [
        Kind(name, tone, outline(tone, theme), SHAPES[(k + k // len(SHAPES)) % len(SHAPES)], counts[name])
        for k, (name, tone) in enumerate(zip(names, tones, strict=True))
    ]
    return np.array([names.index(name) for name in images["subset"]], dtype=int), kinds


def selection_note(view: Browsing) -> None:
    """What is selected on the map, and how to drop it."""
    if not session.get("region"):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Drop the selection", icon=":material/close:", on_click=session.put, kwargs={"region": None, "page": None}
        )
        if view.marked is None:
            st.caption("The map that the selection was made on is no longer there, so all pictures are shown.")
        else:
            others = len(view.marked.difference(view.images["image_id"].tolist()))
            more = f"; {others:,} more are of other subsets or splits" if others else ""
            st.caption(plain(f"{len(view.marked):,} pictures are selected on the map{more}."))
