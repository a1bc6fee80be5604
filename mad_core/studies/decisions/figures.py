"""Decisions: what images of each level are called, how cuts placed in different ways compare, and what is missed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure, ink
from mad_core.figures.plot import Plot
from mad_core.figures.reductions import Panel, panel_plot
from mad_core.figures.words import listed
from mad_core.metrics.decisions import Conformal
from mad_core.palette import Theme, chrome, diverging_colour, level_colour, outline, text_on, translucent
from mad_core.studies.area.figures import column

_READ_WAYS = (
    "Each row is a scorer with cuts placed in one way. Kappa: agreement of called and true levels, right is better, 1 "
    "is full and 0 chance. Cost: left is better. Called so: the share of images called their level, right is better. "
    "The three need not agree: cuts of the lowest cost may call many images too severe, because that is cheaper than "
    "a miss."
)
_READ_MISSED = (
    "The share of images of a level that pass as normal, at a cut that stops no more of the normals set aside than "
    "was allowed. Left is better, 0 is none. Lines are 95 % intervals: with few images even 0 missed leaves room for "
    "misses."
)
_READ_INTERVALS = (
    "Left panel: how many images have their level within the interval that was given; at the dotted line or right of "
    "it the promise is kept. Right panel: how many levels such an interval leaves open on average; left is better, 1 "
    "settles the level. An interval that leaves all levels open keeps any promise."
)
_READ_CALLED = (
    "Rows are the true level, columns what images are called; numbers are images, and the stronger the colour, the "
    "larger the share of the row. On the diagonal the call is right, left of it too mild, right of it too severe. "
    "Compare shares of a row, since levels have different numbers of images."
)
MOST = 6
"""Confusion matrices that are drawn; all are in the table."""


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``decisions``."""
    ways: Any = tables["ways"]
    names = [f"{row['scorer']}, {row['subset']}, {row['way']}" for row in ways.to_dict("records")]
    titles = (
        ("kappa", "Weighted kappa"),
        ("cost", "Cost an image"),
        ("exact", "Called so"),
    )
    panels = [Panel(title, *column(ways, name)) for name, title in titles]
    drawn = [panel_plot("Ways to place cuts", names, panels, _READ_WAYS, theme)]
    misses: Any = tables["misses"]
    if not misses.empty:
        renamed = misses.rename(columns={"low": "miss_rate_low", "high": "miss_rate_high"})
        rows = [f"{row['scorer']}, {row['subset']}, L{row['level']:g}" for row in misses.to_dict("records")]
        missed = [Panel("Miss rate at the set overkill", *column(renamed, "miss_rate"))]
        drawn.append(panel_plot("Missed of each level", rows, missed, _READ_MISSED, theme))
    held: Any = tables["intervals"]
    if not held.empty and "covered_low" in held:
        rows = [f"{row['scorer']}, {row['subset']}" for row in held.to_dict("records")]
        wanted = ("wanted", float(held["confidence"].iloc[0]))
        panels = [
            Panel("Share that holds the level", *column(held, "covered"), wanted),
            Panel("Levels left open", held["levels_within"].astype(float).tolist(), [None] * len(rows)),
        ]
        drawn.append(panel_plot("Intervals of the level", rows, panels, _READ_INTERVALS, theme))
    cells: Any = tables["confusion"]
    for (scorer, subset, way), rows in list(cells.groupby(["scorer", "subset", "way"], sort=False))[:MOST]:
        counts: Any = rows.pivot_table(index="level", columns="called", values="images", aggfunc="sum")
        matrix, levels = counts.to_numpy(dtype=float), counts.index.tolist()
        title = f"Called levels: {scorer}, {subset}, cuts by {way}"
        words = describe_confusion(matrix, levels)
        drawn.append(Plot(title, confusion(matrix, levels, theme=theme), words, _READ_CALLED))
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
    texts = [f"L{level:g} {matrix[i, i]:.0f} of {matrix[i].sum():.0f}" for i, level in enumerate(levels)]
    return f"Called their own level: {listed(texts)}."


def level_band(
    held: tuple[np.ndarray, np.ndarray],
    fitted: tuple[np.ndarray, np.ndarray],
    reach: Conformal,
    scale: Sequence[float],
    *,
    theme: Theme,
) -> go.Figure:
    """The fitted level of each score, the interval around it, and the images that it was measured on.

    Parameters
    ----------
    held : (levels, scores)
        Images outside of their interval are drawn as crosses.
    fitted : (scores, levels)
        The fit, scores ascending.
    reach : Conformal
        Which levels may be.
    scale : sequence of float
        All levels.
    """
    figure = empty_figure(theme, height=110 + 44 * len(scale), margin=(44, 12, 12, 48))
    x = np.unique(np.concatenate([fitted[0], held[1]]))
    middle = np.interp(x, *fitted)
    low, high = reach.ends(middle)
    tones = chrome(theme)
    line = {"color": tones.accent, "width": 0}
    fill = {"mode": "lines", "line": line, "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(x=x.tolist(), y=low.tolist(), **fill))
    shade = translucent(tones.accent, 0.18)
    figure.add_trace(go.Scatter(x=x.tolist(), y=high.tolist(), fill="tonexty", fillcolor=shade, **fill))
    curve = {"mode": "lines", "line": {"color": tones.accent, "width": 2}, "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(x=x.tolist(), y=middle.tolist(), **curve))
    rng, room = np.random.default_rng(0), 0.12 * float(np.min(np.diff(scale)))
    for level in scale:
        scores = held[1][held[0] == level]
        outside = ~reach.sets(np.interp(scores, *fitted), [level])[:, 0]
        colour = level_colour(level, scale, theme)
        marker = {"color": colour, "size": 7, "line": {"color": outline(colour, theme), "width": 1}}
        figure.add_trace(
            go.Scatter(
                x=scores.tolist(),
                y=(level + rng.uniform(-room, room, len(scores))).tolist(),
                mode="markers",
                marker=marker | {"symbol": np.where(outside, "x", "circle").tolist()},
                hovertemplate=f"L{level:g}, score %{{x:.4g}}<extra></extra>",
            )
        )
    figure.update_xaxes(axis(theme, "score"))
    ticks = {"tickvals": list(scale), "ticktext": [f"L{level:g}" for level in scale]}
    figure.update_yaxes(axis(theme, "level", **ticks))
    return figure
