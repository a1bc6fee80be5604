"""Presses that lead from image to image: each counts, and those that came together while a page was busy, too."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import streamlit as st

Move = Literal["previous", "next"]


def report(key: str, on_move: Callable[[Move], None] | None) -> None:
    """Pass on every press of a component that was not passed on before."""
    sent = st.session_state[key].get("move")
    moves = moves_in(sent)
    if not moves:
        return
    fresh = sent["total"] - taken(key).get(sent["id"], 0)
    st.session_state[f"{key}_presses"] = {sent["id"]: sent["total"]}
    for move in moves[-fresh:] if fresh > 0 else ():
        if on_move:
            on_move(move)


def taken(key: str) -> Mapping[str, int]:
    """How many presses of a component were passed on, by the id that it counts them under."""
    return st.session_state.get(f"{key}_presses", {})


def moves_in(sent: Any) -> list[Move]:
    """The last presses the browser tells of, oldest first; empty if that is not what it sent."""
    if not isinstance(sent, Mapping) or not (isinstance(sent.get("id"), str) and isinstance(sent.get("total"), int)):
        return []
    moves = sent.get("moves")
    return [cast(Move, move) for move in moves if move in ("previous", "next")] if isinstance(moves, list) else []
