"""The stage: one picture for a room of people, with its map, level, reason and place among the levels.

A dialog of the browser over the whole window, so that nothing else stands in sight or takes keys. It takes addresses,
as :mod:`pages.ui.viewer` does, and draws in the browser.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from mad_core.palette import COLOUR_MAPS, colour_map_base64
from pages.ui import session
from pages.ui.component import load
from pages.ui.presses import Move, report, taken
from pages.ui.viewer import MapLayer

_JS = Path(__file__).with_name("js")
_COMPONENT = load("mad_stage", _JS / "stage.js", _JS / "stage.css")


@dataclass(frozen=True)
class Chip:
    """A level in words and in its colour, ``#rrggbb``."""

    text: str
    colour: str
    ink: str
    edge: str


@dataclass(frozen=True)
class Place:
    """The score of a run, and where it stands among the levels.

    Parameters
    ----------
    title, words : str
        Of the run; and the score with its rank, or why there is none.
    sentence : str
        The place in words.
    boxes : dict or None
        As :func:`mad_core.figures.boxes_of_levels` gives them.
    """

    title: str
    words: str
    sentence: str = ""
    boxes: dict[str, Any] | None = None


@dataclass(frozen=True)
class Picture:
    """What stands on the stage.

    Parameters
    ----------
    original, fallback : str
        Addresses of the file, and of what is shown where a browser cannot read it.
    map : MapLayer or None
    level : Chip or None
        The label; None where nobody has graded the picture.
    called : str
        What the run calls it, as a sentence.
    reason, by : str
        Why, and who says so.
    count : str
        ``12 of 130``.
    before, after : bool
        Whether a picture stands before and after this one.
    """

    name: str
    alt: str
    original: str
    fallback: str
    map: MapLayer | None = None
    level: Chip | None = None
    called: str = ""
    reason: str = ""
    by: str = ""
    places: Sequence[Place] = ()
    count: str = ""
    before: bool = False
    after: bool = False


@dataclass(frozen=True)
class Words:
    """What a step of the guided tour says, and whether another stands before and after it."""

    title: str
    text: str
    before: bool
    after: bool


def stage(
    picture: Picture | None,
    *,
    on_leave: Callable[[], None],
    on_move: Callable[[Move], None] | None = None,
    words: Words | None = None,
    prefetch: Sequence[str] = (),
) -> None:
    """Draw a picture, what the tour says, or both, over the whole window.

    Parameters
    ----------
    on_leave, on_move : callable
        Called before the page runs again; the latter with ``"previous"`` or ``"next"``.
    prefetch : sequence of str
        Addresses to load quietly (the next picture and its map).
    """
    _COMPONENT(
        key="stage",
        data={
            "picture": None if picture is None else _plain(picture),
            "words": None if words is None else asdict(words),
            "tables": {name: colour_map_base64(name) for name in COLOUR_MAPS},
            "prefetch": list(prefetch),
            "key": "stage",
            "taken": taken("stage"),
        },
        on_move_change=lambda: report("stage", on_move),
        on_leave_change=on_leave,
    )


def leave() -> None:
    """Put the page in view again."""
    session.put(stage=None)


def stage_button(key: str) -> None:
    """A button that brings what is in view to the stage."""
    pressed = st.button(
        "Stage",
        icon=":material/slideshow:",
        help="For talks: this picture alone over the whole window, in large type. Arrows lead on, Escape leaves.",
        on_click=session.put,
        kwargs={"stage": "yes"},
        key=key,
    )
    if pressed:  # where a part of the page alone was drawn again
        st.rerun()


def _plain(picture: Picture) -> dict[str, Any]:
    """As JSON can carry it; a range of colours needs both ends, finite and in order."""
    facts = asdict(picture)
    layer = facts["map"]
    if layer is not None and not all(math.isfinite(layer[end] or 0.0) for end in ("low", "high")):
        layer["low"] = layer["high"] = None
    return facts
