"""Scores of each level with the cuts between levels, which move by pointer and by keys.

The component gives the cuts back when a handle is let go, or a moment after the last key.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from mad_core.errors import InputError
from mad_core.metrics.decisions import checked_cuts
from pages.ui.component import load

MOST = 400
"""Points of a level that are drawn; of more, so many evenly over their order."""
_COMPONENT = load("mad_cutting", Path(__file__).with_name("cutting.js"))


@dataclass(frozen=True)
class CutRow:
    """The images of one level.

    Parameters
    ----------
    label, short : str
        The level in words, such as ``L2 · moderate``, and as ``L2``.
    colour, edge, ink : str
        Of its points and its share of the axis, of their outline, and of text on it; ``#rrggbb``.
    scores : tuple of float
        Of the images that decisions are measured on.
    placed : tuple of float
        Of the images that cuts are placed on.
    """

    label: str
    short: str
    colour: str
    edge: str
    ink: str
    scores: tuple[float, ...]
    placed: tuple[float, ...] = ()


def cut_plot(
    rows: Sequence[CutRow], cuts: Sequence[float], *, key: str, on_move: Callable[[list[float]], None]
) -> None:
    """Draw the rows, least severe first, and a handle for each cut.

    Parameters
    ----------
    cuts : sequence of float
        Ascending, one less than rows; those beyond all scores are drawn at the edge, with their value.
    on_move : callable
        Called with the new cuts before the page runs again.
    """
    every = np.concatenate([np.array([*row.scores, *row.placed]) for row in rows])
    pad = 0.06 * float(np.ptp(every)) or 0.5
    _COMPONENT(
        key=key,
        data={
            "rows": [
                {**asdict(row), "scores": _some(row.scores), "placed": _some(row.placed), "images": len(row.scores)}
                for row in rows
            ],
            "cuts": [float(cut) for cut in cuts],
            "low": float(every.min()) - pad,
            "high": float(every.max()) + pad,
        },
        on_cuts_change=lambda: _report(key, len(rows), on_move),
    )


def _some(scores: Sequence[float]) -> list[float]:
    """Scores in order, at most ``MOST``, the outermost among them."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    if len(ordered) > MOST:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MOST).round().astype(int)]
    return ordered.tolist()


def _report(key: str, levels: int, on_move: Callable[[list[float]], None]) -> None:
    given = st.session_state[key].get("cuts")
    try:
        on_move(checked_cuts(given, np.arange(levels)).tolist())
    except (InputError, TypeError, ValueError):  # nothing from a browser is trusted
        return
