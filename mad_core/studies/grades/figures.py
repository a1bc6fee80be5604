"""The C-index against the number of grades."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.curves import curves_figure
from mad_core.figures.plot import Plot
from mad_core.figures.words import listed
from mad_core.metrics.names import C_INDEX
from mad_core.palette import Theme

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
    figure = curves_figure(rows, "order", "grades", C_INDEX, "Graded images a level", theme)
    return figure.update_xaxes(tickvals=sorted(set(rows["grades"])))


def _in_words(rows: pd.DataFrame) -> str:
    texts = [f"{r['order']} with {r['grades']}: {r['c_index']:.2f}" for r in rows.to_dict("records")]
    return f"{C_INDEX.title} (n = {len(texts)} values): {listed(texts)}."
