"""The numbers of pictures deeper than 8 bits, and the window through which they are seen."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure
from mad_core.palette import Theme, chrome, translucent

READ_PIXEL_HISTOGRAM = (
    "Each bar counts sampled pixels of the subset whose numbers lie there, on a logarithmic axis, so that a few bright "
    "pixels show. Everything left of the shaded window is black, everything right of it white; between its ends grey "
    "rises evenly. A window much wider than the bars wastes contrast, one that cuts bars off makes different pixels "
    "look the same."
)


def pixel_histogram(
    counts: Sequence[int], edges: tuple[float, float], window: tuple[float, float], *, theme: Theme
) -> go.Figure:
    """Pixels by number, with the window shaded.

    Parameters
    ----------
    counts : sequence of int
        In equal steps between the edges.
    edges, window : tuple of float
        In the units of the files.
    """
    tones = chrome(theme)
    ends = np.linspace(*edges, len(counts) + 1)
    figure = empty_figure(theme, height=180, margin=(56, 16, 8, 44))
    figure.add_trace(
        go.Bar(
            x=(ends[:-1] + ends[1:]) / 2,
            y=[n or None for n in counts],
            width=np.diff(ends),
            marker={"color": tones.muted, "line": {"width": 0}},
            customdata=np.column_stack([ends[:-1], ends[1:]]),
            hovertemplate="%{customdata[0]:.5g} to %{customdata[1]:.5g}: %{y:,} pixels<extra></extra>",
        )
    )
    figure.add_vrect(
        x0=window[0],
        x1=window[1],
        layer="below",
        fillcolor=translucent(tones.accent, 0.16),
        line={"color": tones.accent, "width": 1},
    )
    margin = 0.02 * (max(edges[1], window[1]) - min(edges[0], window[0]))
    shown = [min(edges[0], window[0]) - margin, max(edges[1], window[1]) + margin]
    figure.update_xaxes(axis(theme, "number in the file", range=shown))
    figure.update_yaxes(axis(theme, "pixels"), type="log", dtick=1, exponentformat="power")
    figure.update_layout(bargap=0)
    return figure


def describe_pixel_histogram(
    counts: Sequence[int], used: tuple[float, float], window: tuple[float, float], edges: tuple[float, float]
) -> str:
    """The same in words."""
    return (
        f"n = {sum(counts):,} sampled pixels from {edges[0]:g} to {edges[1]:g}, nearly all between {used[0]:g} and "
        f"{used[1]:g}; the window goes from {window[0]:g} to {window[1]:g}."
    )
