"""Scorers as points: a colour and a shape each, so that none is told by colour alone, and their key."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from mad_core.figures.layout import TEXT
from mad_core.figures.words import escaped, pixels, short
from mad_core.palette import Theme, chrome, scorer_colours

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "pentagon", "triangle-down", "hexagram", "x")
_LETTERS, _ROW, _MARK = 40, 22, 34


def marker(names: Sequence[str], name: str, theme: Theme, size: int = 10) -> dict[str, Any]:
    """The marker of one scorer among those of the figure."""
    place = list(names).index(name)
    colour = scorer_colours(len(names), theme)[place]
    edge = {"color": chrome(theme).page, "width": 1}
    return {"color": colour, "symbol": SYMBOLS[place % len(SYMBOLS)], "size": size, "line": edge}


def add_key(figure: go.Figure, names: Sequence[str], theme: Theme, *, width: int) -> None:
    """A key of the scorers below the plot, in as many lines as it needs; the figure grows by them.

    Parameters
    ----------
    width : int
        Expected width of the plot in pixels.
    """
    lines, x = 1, 0.0
    for name in names:
        size = _MARK + pixels(short(name, _LETTERS), TEXT)
        if x and x + size > width:
            lines, x = lines + 1, 0.0
        x += size
    layout: Any = figure.layout
    room = 8 + _ROW * lines
    plot = layout.height - layout.margin.t - layout.margin.b
    figure.update_layout(height=layout.height + room, margin_b=layout.margin.b + room)
    place = {"x": 0, "xanchor": "left", "y": -(layout.margin.b - room) / plot, "yanchor": "top"}
    font = {"size": TEXT, "color": chrome(theme).ink}
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "bgcolor": "rgba(0,0,0,0)", "font": font, "itemsizing": "constant", **place},
    )


def key_name(name: str) -> str:
    """A scorer's name as the key shows it."""
    return escaped(short(name, _LETTERS))
