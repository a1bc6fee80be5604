"""The browser's side of the map of pictures: points on a canvas, a thumbnail under the pointer, a lasso."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui.component import load

_HELP = Path(__file__).parent.parent / "ui" / "js" / "help.css"
_COMPONENT = load(
    "mad_picture_map",
    Path(__file__).with_name("picture_map.js"),
    Path(__file__).with_name("picture_map.css"),
    _HELP,
)
SHAPES = ("circle", "square", "triangle", "diamond", "down", "bar")


@dataclass(frozen=True)
class Kind:
    """What a colour stands for: its words, colour and edge (``#rrggbb``), the mark, and how many pictures it has."""

    label: str
    colour: str
    edge: str
    shape: str = "circle"
    count: int | None = None


@dataclass(frozen=True)
class MapPoints:
    """Pictures on a map, a list entry each: ``x`` and ``y`` from 0 to 10,000, ``kind`` the number of a kind."""

    ids: Sequence[str]
    x: Sequence[int]
    y: Sequence[int]
    kind: Sequence[int]
    strong: Sequence[int]
    """1 of pictures that are in the list, 0 of those that filters leave out."""
    urls: Sequence[str]
    names: Sequence[str]
    texts: Sequence[str]


def map_of_pictures(
    points: MapPoints,
    kinds: Sequence[Kind],
    *,
    key: str,
    of: str,
    alt: str,
    outline: Sequence[Sequence[int]] | None,
    on_open: Callable[[str], None],
    on_region: Callable[[tuple[tuple[int, int], ...]], None],
    height: int = 460,
) -> None:
    """Draw the map.

    Parameters
    ----------
    of : str
        Changes with the map that is drawn.
    outline : sequence of (x, y), or None
        What is selected, from 0 to 1000.
    on_open : callable(image_id)
    on_region : callable(corners)
        Corners of what was enclosed; none where the selection was dropped.
    """
    ids = set(points.ids)
    _COMPONENT(
        key=key,
        data={
            "ids": list(points.ids),
            "x": list(points.x),
            "y": list(points.y),
            "c": list(points.kind),
            "on": list(points.strong),
            "urls": list(points.urls),
            "names": list(points.names),
            "texts": list(points.texts),
            "legend": [asdict(kind) for kind in kinds],
            "key": of,
            "alt": alt,
            "outline": outline,
            "height": height,
        },
        on_open_change=lambda: _opened(key, ids, on_open),
        on_region_change=lambda: _enclosed(key, on_region),
    )


def _opened(key: str, ids: set[str], on_open: Callable[[str], None]) -> None:
    opened = st.session_state[key].get("open")
    if isinstance(opened, str) and opened in ids:
        on_open(opened)


def _enclosed(key: str, on_region: Callable[[tuple[tuple[int, int], ...]], None]) -> None:
    sent: Any = st.session_state[key].get("region")
    corners = sent.get("corners") if isinstance(sent, Mapping) else None
    if isinstance(corners, list) and len(corners) <= 100 and all(_is_corner(corner) for corner in corners):
        on_region(tuple((int(x), int(y)) for x, y in corners))


def _is_corner(corner: Any) -> bool:
    return isinstance(corner, list) and len(corner) == 2 and all(isinstance(v, int) and 0 <= v <= 1000 for v in corner)
