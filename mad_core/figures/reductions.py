"""Ways to make a score of a map, a row each; metrics with their intervals beside each other, a panel each."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from mad_core.figures.layout import SMALL, TEXT, axis, empty_figure, ink, sentence_figure
from mad_core.figures.plot import Plot
from mad_core.figures.words import escaped, listed, pixels, short
from mad_core.palette import Theme, chrome

_GAP = 0.03
_ROW = 28
_TITLE = 22  # letters of a line under a panel, so that four panels fit on a narrow page
READ_REDUCTION_PANELS = (
    "Each row is a way to make one score of an anomaly map. Left panel: order of severity among abnormal images; "
    "right is better, 0.5 is chance. Second panel: how far the score follows the area of the defect, from -1 to 1; 0 "
    "is not at all, and right is not better. The pale panels hold the same metrics as the table, normal images "
    "included. A way that follows area is right only where the larger defect is the worse one. Lines are 95 % "
    "intervals."
)


@dataclass(frozen=True)
class Panel:
    """One metric of every row.

    Parameters
    ----------
    title : str
    values : sequence of float or None
    intervals : sequence of (low, high) or None
    reference : (label, value), optional
        Drawn as a line, such as what chance reaches.
    strong : bool
        Whether it is one of those to be compared; the others are drawn paler.
    symbols : sequence of str
        Plotly's marker of each row, where rows are of several kinds; circles where empty.
    """

    title: str
    values: Sequence[float | None]
    intervals: Sequence[Sequence[float] | None]
    reference: tuple[str, float] | None = None
    strong: bool = True
    symbols: Sequence[str] = ()


def reduction_panels(names: Sequence[str], panels: Sequence[Panel], *, theme: Theme) -> go.Figure:
    """Dots with whiskers in panels that share their rows.

    Parameters
    ----------
    names : sequence of str
        What the rows are.
    panels : sequence of Panel
        From left to right, each with a value or None for every row.
    """
    height = 94 + _ROW * max(len(names), 1)
    if not any(value is not None for panel in panels for value in panel.values):
        return sentence_figure(theme, height=120, sentence="There is no reduction to show.")
    labels = [short(name, 30) for name in names]
    figure = empty_figure(
        theme, height=height, margin=(20 + int(max(pixels(name, TEXT) for name in labels)), 12, 26, 64)
    )
    width = (1 - _GAP * (len(panels) - 1)) / len(panels)
    for place, panel in enumerate(panels):
        start = place * (width + _GAP)
        _draw(figure, place, panel, names, (start, start + width), theme)
    ticks = {
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(label) for label in labels],
        "tickfont": ink(theme),
    }
    figure.update_yaxes(axis(theme, **ticks, range=[len(names) - 0.4, -0.6], ticklabelstandoff=4))
    return figure


def _draw(
    figure: go.Figure, place: int, panel: Panel, names: Sequence[str], domain: tuple[float, float], theme: Theme
) -> None:
    tones = chrome(theme)
    suffix = "" if place == 0 else str(place + 1)
    colour = tones.accent if panel.strong else tones.muted
    numbers = [value for value in panel.values if value is not None]
    for row, (name, value, interval) in enumerate(zip(names, panel.values, panel.intervals, strict=True)):
        if value is None:
            continue
        if interval:
            numbers += interval
            line = {"color": colour, "width": 2}
            ends = {"x": list(interval), "y": [row, row], "xaxis": f"x{suffix}", "mode": "lines", "line": line}
            figure.add_trace(go.Scatter(**ends, hoverinfo="skip"))
        symbol = panel.symbols[row] if panel.symbols else "circle"
        marker = {"color": colour, "symbol": symbol, "size": 9, "line": {"color": tones.page, "width": 1.5}}
        hover = f"{escaped(name)}<br>{escaped(panel.title)}: {_text(value, interval)}"
        dot: dict[str, Any] = {"x": [value], "y": [row], "mode": "markers", "marker": marker, "xaxis": f"x{suffix}"}
        figure.add_trace(go.Scatter(**dot, hoverinfo="text", text=hover))
    if panel.reference:
        label, at = panel.reference
        numbers.append(at)
        where = {"xref": f"x{suffix}", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1}
        figure.add_shape(type="line", **where, line={"color": tones.muted, "width": 1, "dash": "dot"})
        font = {"size": SMALL, "color": tones.muted}
        above = {"x": at, "y": 1, "xref": f"x{suffix}", "yref": "paper", "yanchor": "bottom"}
        figure.add_annotation(text=escaped(f"{label} {at:.2f}"), **above, showarrow=False, font=font)
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    pad = 0.08 * (high - low) or 0.05
    facts = axis(theme, panel.title, range=[low - pad, high + pad], domain=list(domain), anchor="y", nticks=5)
    facts["title"]["text"] = "<br>".join(escaped(line) for line in textwrap.wrap(panel.title, _TITLE))
    figure.update_layout({f"xaxis{suffix}": facts})


def panel_plot(title: str, names: Sequence[str], panels: Sequence[Panel], how_to_read: str, theme: Theme) -> Plot:
    """The panels with their words."""
    words = describe_reduction_panels(names, panels)
    return Plot(title, reduction_panels(names, panels, theme=theme), words, how_to_read)


def describe_reduction_panels(names: Sequence[str], panels: Sequence[Panel]) -> str:
    """Every value with its interval, in words."""
    sentences = []
    for panel in panels:
        values = [
            f"{name} {_text(value, interval)}"
            for name, value, interval in zip(names, panel.values, panel.intervals, strict=True)
            if value is not None
        ]
        reference = f" For reference: {panel.reference[0]} {panel.reference[1]:.2f}." if panel.reference else ""
        sentences.append(f"{panel.title}: {listed(values) or 'none'}.{reference}")
    return " ".join(sentences)


def _text(value: float, interval: Sequence[float] | None) -> str:
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
