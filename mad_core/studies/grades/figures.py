"""The C-index against the number of grades."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure
from mad_core.figures.marks import add_key, key_name
from mad_core.figures.plot import Plot
from mad_core.figures.words import listed
from mad_core.metrics.names import C_INDEX
from mad_core.palette import Theme, scorer_colours, scorer_dashes

_READ = (
    "To the right more images of each level are graded. Upwards is better. Each point is the mean over gradings of "
    "other images, judged by those that were not graded; lines are 95 % intervals for one grading. All orders of one "
    "point are judged by the same images."
)


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``grades``, one a learned run."""
    curves: Any = tables["curves"]
    return [
        Plot(f"{C_INDEX.title} by grades: {name}", _figure(rows, theme), _in_words(rows), _READ)
        for name, rows in curves.groupby("learned", sort=False)
    ]


def _figure(rows: pd.DataFrame, theme: Theme) -> go.Figure:
    names = list(dict.fromkeys(rows["order"]))
    figure = empty_figure(theme, height=340, margin=(48, 12, 12, 52))
    for name, colour, dash in zip(names, scorer_colours(len(names), theme), scorer_dashes(len(names)), strict=True):
        own: Any = rows[rows["order"] == name]
        at = own["c_index"].astype("float64")
        bars = {"type": "data", "symmetric": False, "width": 0, "thickness": 1}
        bars |= {"array": (own["c_index_high"].astype("float64") - at).clip(lower=0).tolist()}
        bars |= {"arrayminus": (at - own["c_index_low"].astype("float64")).clip(lower=0).tolist()}
        line = {"color": colour, "dash": dash}
        x = own["grades"].tolist()
        figure.add_trace(
            go.Scatter(x=x, y=at.tolist(), mode="lines+markers", line=line, error_y=bars, name=key_name(name))
        )
    figure.update_xaxes(axis(theme, "Graded images a level"), tickvals=sorted(set(rows["grades"])))
    figure.update_yaxes(axis(theme, C_INDEX.title))
    add_key(figure, names, theme, width=620)
    return figure


def _in_words(rows: pd.DataFrame) -> str:
    texts = [f"{r['order']} with {r['grades']}: {r['c_index']:.2f}" for r in rows.to_dict("records")]
    return f"{C_INDEX.title} (n = {len(texts)} values): {listed(texts)}."
