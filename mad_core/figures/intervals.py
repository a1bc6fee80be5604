"""Estimates of a metric with their intervals, a row each, and reference points as lines."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from mad_core.figures.layout import (
    TEXT,
    WIDTH,
    add_vertical_lines,
    axis,
    empty_figure,
    ink,
    row_text,
    sentence_figure,
)
from mad_core.figures.words import escaped, listed, pixels, short, with_interval
from mad_core.palette import Theme, chrome

_RIGHT = 150  # pixels for the column of numbers
READ_METRIC_INTERVALS = (
    "Each row is a run: the dot is its value, the line its 95 % interval, which says how far the value would move "
    "with other images of the same kind. To the right is better. Two intervals that overlap do not show that two runs "
    "are equal: the difference on the same images says more. A dotted line is what perfect detection with severity at "
    "random reaches."
)
READ_METRIC_DIFFERENCES = (
    "Each row is a metric: the first scorer minus the second, on the same images. Right of 0 the first is better, "
    "left of 0 the second. The line is a 95 % interval; one that holds 0 does not tell the two apart. A difference "
    "can be certain and still too small to matter."
)


def interval_row(name: str, estimate: float | None, interval: Sequence[float] | None, **more: Any) -> dict[str, Any]:
    """A row of :func:`metric_intervals`."""
    low, high = interval or (None, None)
    return {"name": name, "estimate": estimate, "low": low, "high": high, **more}


def metric_intervals(
    rows: Sequence[Mapping[str, Any]],
    *,
    reference: Sequence[tuple[str, float]] = (),
    x_title: str,
    theme: Theme,
    width: int = WIDTH,
) -> go.Figure:
    """Dots with whiskers, the numbers beside them.

    Parameters
    ----------
    rows : sequence of mappings
        ``name``, ``estimate``, ``low``, ``high`` (None where unknown) and, if wanted, ``colour``.
    reference : sequence of (label, value)
        For example what random severity, a perfect binary score and no ties reach.
    width : int
        Expected width in pixels; it only places the labels.
    """
    height = 60 + 30 * max(len(rows), 1)
    numbers = [v for row in rows for v in (row["estimate"], row["low"], row["high"]) if v is not None]
    if not numbers:
        return sentence_figure(theme, height=height, sentence="There is no estimate to show.")
    tones = chrome(theme)
    names = [short(str(row["name"]), 34) for row in rows]
    left = 20 + int(max(pixels(name, TEXT) for name in names))
    figure = empty_figure(theme, height=height, margin=(left, _RIGHT, 8, 50))
    texts = []
    for place, row in enumerate(rows):
        has_value = row["estimate"] is not None
        font = {"size": TEXT, "color": tones.ink if has_value else tones.muted}
        texts.append(row_text(place, _estimate_text(row), shift=12, font=font))
        if has_value:
            figure.add_traces(_dot_and_whisker(place, row, theme))
    figure.update_layout(annotations=texts)
    numbers += [value for _, value in reference]
    pad = 0.06 * (max(numbers) - min(numbers)) or 0.05
    span = (min(numbers) - pad, max(numbers) + pad)
    lines = [(f"{label} {value:.2f}", value, tones.muted) for label, value in reference]
    add_vertical_lines(figure, lines, span=span, width=width - left - _RIGHT, right=_RIGHT)
    figure.update_xaxes(axis(theme, x_title, range=list(span)))
    ticks = {"tickvals": list(range(len(rows))), "ticktext": [escaped(name) for name in names], "tickfont": ink(theme)}
    figure.update_yaxes(axis(theme, **ticks, range=[len(rows) - 0.4, -0.6], showgrid=False, ticklabelstandoff=4))
    return figure


def describe_metric_intervals(
    rows: Sequence[Mapping[str, Any]], *, reference: Sequence[tuple[str, float]] = (), x_title: str
) -> str:
    """Each estimate with its interval, and the reference points, in words."""
    estimates = listed([f"{row['name']} {_estimate_text(row)}" for row in rows]) or "none"
    text = f"{x_title} (n = {len(rows)} estimates): {estimates}."
    points = listed([f"{label} {value:.2f}" for label, value in reference])
    return f"{text} For reference: {points}." if points else text


def _dot_and_whisker(place: int, row: Mapping[str, Any], theme: Theme) -> list[go.Scatter]:
    colour = row.get("colour") or chrome(theme).accent
    hover = f"{escaped(str(row['name']))}: {_estimate_text(row)}"
    marker = {"color": colour, "size": 9, "line": {"color": chrome(theme).page, "width": 1.5}}
    dot = go.Scatter(x=[row["estimate"]], y=[place], mode="markers", marker=marker, hoverinfo="text", text=hover)
    if row["low"] is None or row["high"] is None:
        return [dot]
    ends, line = [row["low"], row["high"]], {"color": colour, "width": 2}
    return [go.Scatter(x=ends, y=[place, place], mode="lines", line=line, hoverinfo="skip"), dot]


def _estimate_text(row: Mapping[str, Any]) -> str:
    if row["estimate"] is None:
        return "not available"
    return with_interval(row["estimate"], row["low"], row["high"])
