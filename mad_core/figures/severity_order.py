"""Images in their order of severity, as comparisons give it, each with its interval."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure, sentence_figure
from mad_core.palette import Theme, chrome

_HEIGHT = 300
READ_SEVERITY_ORDER = (
    "Each point is an image, the least severe at the left; upwards reviewers found it worse. The line is a 95 % "
    "interval: the order of two images whose lines overlap widely is open. Heights are on the scale of logits: two "
    "images 1 apart are told apart rightly in 73 of 100 comparisons. Only more comparisons narrow the lines."
)


def severity_order(
    image_ids: Sequence[str], strengths: Sequence[float], low: Sequence[float], high: Sequence[float], *, theme: Theme
) -> go.Figure:
    """Points with whiskers, the least severe image left.

    Parameters
    ----------
    image_ids : sequence of str
        Of the points, as ``customdata``; any order.
    strengths, low, high : sequence of float
        Severity on the logit scale, and its 95 % interval.
    """
    if not len(image_ids):
        return sentence_figure(theme, height=_HEIGHT, sentence="There are no comparisons yet.")
    tones = chrome(theme)
    order = np.argsort(strengths, kind="stable")
    at, lower, upper = (np.asarray(values, dtype=np.float64)[order] for values in (strengths, low, high))
    figure = empty_figure(theme, height=_HEIGHT, margin=(56, 12, 10, 48))
    figure.add_scatter(
        x=np.arange(1, len(at) + 1),
        y=at,
        mode="markers",
        marker={"size": 8, "color": tones.accent},
        error_y={"array": upper - at, "arrayminus": at - lower, "color": tones.muted, "thickness": 1.25, "width": 3},
        customdata=[[image_ids[i]] for i in order],
        hovertemplate="%{x}. of the order, severity %{y:.2f}<extra></extra>",
    )
    figure.update_xaxes(axis(theme, "place in the order, least severe first", showgrid=False))
    figure.update_yaxes(axis(theme, "severity (logits)"))
    return figure


def describe_severity_order(strengths: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """How many images there are, how far they spread, and how wide the intervals are, in words."""
    if not len(strengths):
        return "Order of severity: there are no comparisons yet."
    widths = np.asarray(high, dtype=np.float64) - np.asarray(low, dtype=np.float64)
    return (
        f"Order of severity of {len(strengths)} images with 95 % intervals: from {min(strengths):.2f} to "
        f"{max(strengths):.2f} logits; the median interval is {np.median(widths):.2f} wide."
    )
