"""Intervals that take seconds: no part of a page waits for them, a fragment computes them once the page stands."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import streamlit as st

from mad_core.runs.store import Run

MANY = 20_000
"""Scores in view from which on intervals take seconds."""
_DRAWING = "later_drawing"


def many(runs: Sequence[Run]) -> bool:
    return sum(run.done for run in runs) > MANY


@contextlib.contextmanager
def drawing(runs: Sequence[Run]) -> Iterator[None]:
    """Around all of a page: what it computes of these runs can wait, if they have many scores."""
    st.session_state[_DRAWING] = many(runs)
    try:
        yield
    finally:
        st.session_state[_DRAWING] = False


def lacks(name: str, wanted: Any) -> bool:
    """Whether this session has not computed these numbers yet."""
    return st.session_state.get(f"later_{name}") != wanted


def waits(name: str, wanted: Any) -> bool:
    """Whether a fragment is to leave its numbers for later: the page is being drawn, and this session lacks them."""
    return st.session_state.get(_DRAWING, False) and lacks(name, wanted)


def computed(name: str, wanted: Any, runs: Sequence[Run]) -> None:
    """Remember that this session has these numbers.

    If they are new and of many scores, the page is drawn once more, after which their fragment renews itself no longer.
    """
    new = lacks(name, wanted)
    st.session_state[f"later_{name}"] = wanted
    if new and many(runs):
        st.rerun()
