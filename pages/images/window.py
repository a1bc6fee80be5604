"""Window and level of the image in view, of pictures deeper than 8 bits: for the eye alone, nothing is stored."""

import contextlib
from typing import Any

import streamlit as st

from mad_core.datasets.dataset import SubsetCard
from mad_core.errors import InputError
from mad_core.pixels import Window, chosen
from pages.ui import session

STEPS = 500
HELP = (
    "Numbers up to the low end are black, from the high end on white. For your eyes alone: scores and maps are of the "
    "dataset's window, which the Data page changes."
)


def window_in_view(card: SubsetCard) -> str:
    """The window that the view asks for, as an address writes it; empty where it is the dataset's."""
    window = _asked(card)
    return f"{window.low:g}:{window.high:g}" if window is not None else ""


def window_and_level(card: SubsetCard) -> None:
    """A slider of both ends; nothing is drawn for pictures of 8 bits."""
    if card.window is None:
        return
    low, high = _ends(card)
    now = _asked(card) or card.window
    session.show("window_and_level", (max(low, now.low), min(high, now.high)))
    step = max((high - low) / STEPS, 1e-9)
    st.slider(
        "Window",
        low,
        high,
        step=step,
        format="%.4g",
        key="window_and_level",
        on_change=_change,
        args=(card,),
        help=HELP,
    )
    if window_in_view(card):
        st.button("The dataset's window", on_click=session.put, kwargs={"window": None}, icon=":material/contrast:")


def _ends(card: SubsetCard) -> tuple[float, float]:
    assert card.window is not None
    ends = card.pixels.edges if card.pixels is not None else ()
    return float(min(card.window.low, *ends, card.window.low)), float(max(card.window.high, *ends, card.window.high))


def _asked(card: SubsetCard) -> Window | None:
    words = session.get("window")
    if card.window is None or not words:
        return None
    with contextlib.suppress(InputError):
        return chosen(words, card.window)
    return None


def _change(card: SubsetCard) -> None:
    if not session.chosen("window_and_level"):
        return
    low, high = st.session_state["window_and_level"]
    same: Any = card.window is not None and (low, high) == (card.window.low, card.window.high)
    session.put(window=None if same or low >= high else f"{low:g}:{high:g}")
