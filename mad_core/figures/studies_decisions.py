"""Decisions: what images of each level are called, how cuts placed in different ways compare, and what is missed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure, ink
from mad_core.figures.reductions import Panel, describe_reduction_panels, reduction_panels
from mad_core.figures.studies_area import column
from mad_core.figures.words import listed
from mad_core.palette import Theme, diverging_colour, text_on

Drawn = tuple[str, go.Figure, str]
MOST = 6
"""Confusion matrices that are drawn; all are in the table."""


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Drawn]:
    """The figures of the study ``decisions``, each with its title and its text alternative."""
    ways: Any = tables["ways"]
    names = [f"{row['scorer']}, {row['subset']}, {row['way']}" for row in ways.to_dict("records")]
    titles = (
        ("kappa", "Quadratic-weighted kappa"),
        ("cost", "Expected cost an image"),
        ("exact", "Called their level"),
    )
    panels = [Panel(title, *column(ways, name)) for name, title in titles]
    drawn = [
        ("Ways to place cuts", reduction_panels(names, panels, theme=theme), describe_reduction_panels(names, panels))
    ]
    misses: Any = tables["misses"]
    if not misses.empty:
        renamed = misses.rename(columns={"low": "miss_rate_low", "high": "miss_rate_high"})
        rows = [f"{row['scorer']}, {row['subset']}, L{row['level']:g}" for row in misses.to_dict("records")]
        missed = [Panel("Miss rate at the set overkill", *column(renamed, "miss_rate"))]
        words = describe_reduction_panels(rows, missed)
        drawn.append(("Missed of each level", reduction_panels(rows, missed, theme=theme), words))
    cells: Any = tables["confusion"]
    for (scorer, subset, way), rows in list(cells.groupby(["scorer", "subset", "way"], sort=False))[:MOST]:
        counts: Any = rows.pivot_table(index="level", columns="called", values="images", aggfunc="sum")
        matrix, levels = counts.to_numpy(dtype=float), counts.index.tolist()
        title = f"Called levels: {scorer}, {subset}, cuts by {way}"
        drawn.append((title, confusion(matrix, levels, theme=theme), describe_confusion(matrix, levels)))
    return drawn


def confusion(matrix: np.ndarray, levels: list[float], *, theme: Theme) -> go.Figure:
    """How often images of one level (row) are called another (column): counts, coloured by share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = empty_figure(theme, height=90 + 46 * len(levels), margin=(8, 8, 8, 8))
    places = list(range(len(levels)))
    scale = [[step, diverging_colour(0.5 + step / 2, theme)] for step in (0.0, 0.25, 0.5, 0.75, 1.0)]
    figure.add_trace(
        go.Heatmap(
            z=shares.tolist(),
            x=places,
            y=places,
            zmin=0,
            zmax=1,
            colorscale=scale,
            xgap=3,
            ygap=3,
            showscale=False,
            hovertemplate="%{z:.1%} of the row<extra></extra>",
        )
    )
    texts = [
        {"x": j, "y": i, "text": f"{matrix[i, j]:.0f}", "showarrow": False}
        | {"font": {"size": 13, "color": text_on(_opaque(shares[i, j], theme))}}
        for i in places
        for j in places
    ]
    figure.update_layout(annotations=texts)
    ticks = {"tickvals": places, "ticktext": [f"L{level:g}" for level in levels], "showgrid": False}
    figure.update_xaxes(axis(theme, "called", **ticks, tickfont=ink(theme)))
    figure.update_yaxes(axis(theme, "level", **ticks, tickfont=ink(theme), autorange="reversed"))
    return figure


def _opaque(share: float, theme: Theme) -> str:
    return diverging_colour(0.5 + float(share) / 2, theme)


def describe_confusion(matrix: np.ndarray, levels: list[float]) -> str:
    """Of each level how many images are called it, in words."""
    said = [f"L{level:g} {matrix[i, i]:.0f} of {matrix[i].sum():.0f}" for i, level in enumerate(levels)]
    return f"Called their own level: {listed(said)}."
