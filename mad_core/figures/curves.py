"""Curves of a metric against a number, one a name, with an interval at each point."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure
from mad_core.figures.marks import add_key, key_name
from mad_core.metrics.names import Metric
from mad_core.palette import Theme, scorer_colours, scorer_dashes


def curves_figure(rows: pd.DataFrame, of: str, over: str, metric: Metric, title: str, theme: Theme) -> go.Figure:
    """Curves with intervals.

    Parameters
    ----------
    rows : DataFrame
        A row a point: the columns ``of`` and ``over``, and the metric's id with its ``_low`` and ``_high``.
    of, over : str
        Columns of the curve's name and of the number along x.
    title : str
        Of the x axis.
    """
    names = list(dict.fromkeys(rows[of]))
    figure = empty_figure(theme, height=340, margin=(48, 12, 12, 52))
    for name, colour, dash in zip(names, scorer_colours(len(names), theme), scorer_dashes(len(names)), strict=True):
        own: Any = rows[rows[of] == name]
        at = own[metric.id].astype("float64")
        bars = {"type": "data", "symmetric": False, "width": 0, "thickness": 1}
        bars |= {"array": (own[f"{metric.id}_high"].astype("float64") - at).clip(lower=0).tolist()}
        bars |= {"arrayminus": (at - own[f"{metric.id}_low"].astype("float64")).clip(lower=0).tolist()}
        line = {"color": colour, "dash": dash}
        x = own[over].tolist()
        figure.add_trace(
            go.Scatter(x=x, y=at.tolist(), mode="lines+markers", line=line, error_y=bars, name=key_name(name))
        )
    figure.update_xaxes(axis(theme, title))
    figure.update_yaxes(axis(theme, metric.title))
    add_key(figure, names, theme, width=620)
    return figure
