"""Gallery: a grid of thumbnails that answers with the image that was opened.

The component takes addresses; thumbnails are loaded by the browser as they come into view, nothing
is encoded while the page runs. All texts are shown as text, whatever they contain.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import streamlit as st

from pages.ui.component import load

_COMPONENT = load("mad_gallery", Path(__file__).with_name("js") / "gallery.js")

TileSize = Literal["small", "medium", "large"]
Maps = Literal["off", "hover", "always"]


@dataclass(frozen=True)
class Tile:
    """One image of the gallery.

    Parameters
    ----------
    image_id : str
        What :func:`gallery` returns when the tile is opened.
    url : str
        Address of the thumbnail.
    alt : str
        Text alternative of the image.
    level_label : str
        The severity level in words, such as ``L2 · moderate``.
    level_colour, text_colour : str
        Colour of the level and of text on it, as ``#rrggbb``.
    caption : str
        Name of the file, defect, or whatever tells images apart.
    score_label : str
        The anomaly score, as written; empty if there is none.
    badge : str or None
        A short word over the picture, such as ``failed``.
    href : str or None
        Address of the same image on this site, for opening it in another tab.
    overlay : str or None
        Address of the anomaly map as a picture of the image's own aspect, to lie over the thumbnail.
    title : str
        More words on the badge, shown under the pointer.
    group : str
        What tiles that stand together have in common; a heading before the first of them.
    """

    image_id: str
    url: str
    alt: str
    level_label: str
    level_colour: str
    text_colour: str
    caption: str = ""
    score_label: str = ""
    badge: str | None = None
    href: str | None = None
    overlay: str | None = None
    title: str = ""
    group: str = ""


def gallery(
    tiles: Sequence[Tile],
    *,
    key: str,
    columns: int | None = None,
    selected: str | None = None,
    size: TileSize = "medium",
    maps: Maps = "off",
    on_open: Callable[[str], None] | None = None,
    chosen: Collection[str] = (),
    on_choose: Callable[[list[str]], None] | None = None,
) -> str | None:
    """Draw the tiles and return the ``image_id`` of the one that was just opened, else None.

    Parameters
    ----------
    tiles : sequence of Tile
    key : str
        Key of the component; the same key reuses what the browser has drawn already.
    columns : int or None
        Number of columns at full width; as many as fit if None. Narrow screens get fewer.
    selected : str or None
        The ``image_id`` to mark as the one in view.
    size : {"small", "medium", "large"}
        How wide tiles are where ``columns`` is None.
    maps : {"off", "hover", "always"}
        When overlays are shown: with ``hover`` under the pointer, and where the focus is.
    on_open : callable or None
        Called with the ``image_id`` before the page runs again.
    chosen : collection of str
        Ids of the tiles that are chosen.
    on_choose : callable or None
        With it tiles can be chosen, by their boxes, with Shift and by keys; called with the ids of all chosen tiles.

    Raises
    ------
    ValueError
        If ``columns`` is below 1.
    """
    if columns is not None and columns < 1:
        raise ValueError("a gallery needs at least one column")
    ids = {tile.image_id for tile in tiles}
    result = _COMPONENT(
        key=key,
        data={
            "tiles": [asdict(tile) for tile in tiles],
            "columns": columns,
            "selected": selected,
            "size": size,
            "maps": maps,
            "chosen": None if on_choose is None else [tile.image_id for tile in tiles if tile.image_id in chosen],
        },
        on_open_change=lambda: _report(key, ids, on_open),
        on_chosen_change=lambda: _chosen(key, ids, on_choose),
    )
    opened = result.get("open")
    return opened if opened in ids else None


def _chosen(key: str, ids: set[str], on_choose: Callable[[list[str]], None] | None) -> None:
    sent = st.session_state[key].get("chosen")
    if on_choose and isinstance(sent, Mapping) and isinstance(sent.get("ids"), list):
        on_choose([one for one in sent["ids"] if one in ids])


def _report(key: str, ids: set[str], on_open: Callable[[str], None] | None) -> None:
    opened = st.session_state[key].get("open")
    if on_open and opened in ids:
        on_open(opened)
