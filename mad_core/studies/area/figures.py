"""Severity against area: what each scorer follows, and levels by area beside levels by risk."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure, sentence_figure
from mad_core.figures.plot import Plot
from mad_core.figures.reductions import Panel, panel_plot
from mad_core.figures.words import listed
from mad_core.palette import Theme, level_colour, outline

_PANELS: tuple[tuple[str, str, tuple[tuple[str, str, tuple[str, float]], ...]], ...] = (
    (
        "What each scorer follows",
        "Each row is a scorer. Left panel: how well it follows levels by risk; right: levels with as many images each "
        "that follow the area alone. Further to the right is closer, 0.5 is chance. Further right in the right panel "
        "than in the left one, it measures size. Risk and area may go together, then both are high.",
        (
            ("c_risk", "C-index, levels by risk", ("chance", 0.5)),
            ("c_area", "C-index, levels by area", ("chance", 0.5)),
        ),
    ),
    (
        "What is left at fixed area, and at a fixed level",
        "Each row is a scorer. Left panel: the order of severity that is left when area is held fixed; right: whether "
        "larger defects of one level score higher. 0 is none in both. A scorer of severity lies far right in the left "
        "panel, and near 0 in the right one.",
        (
            ("partial", "severity at fixed area (rank correlation)", ("none", 0.0)),
            ("within", "area within a level (tau-b)", ("none", 0.0)),
        ),
    ),
    (
        "How much of the order of severity area explains",
        "Each row is a scorer: the share of its order of severity that goes when area is held fixed. 1: area explains "
        "all of it; 0: none; below 0: area hides some of it. A scorer whose order is not clear has no value, for "
        "there is nothing to explain.",
        (("explained", "share of tau-b", ("none", 0.0)),),
    ),
)
_READ_AREA_OF_LEVELS = (
    "Each point is an abnormal image: to the right a larger defect, rows are levels by risk. Where rows lie under "
    "each other, area cannot tell their levels apart; where they move to the right with the level, area alone orders "
    "severity. The height within a row means nothing."
)


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``area``."""
    scorers: Any = tables["scorers"]
    names = scorers["scorer"].tolist()
    drawn = []
    for title, how_to_read, chosen in _PANELS:
        panels = [Panel(label, *column(scorers, name), reference) for name, label, reference in chosen]
        if any(value is not None for panel in panels for value in panel.values):
            drawn.append(panel_plot(title, names, panels, how_to_read, theme))
    points = tables["points"]
    words = describe_area_of_levels(points)
    return [*drawn, Plot("Area of each level", area_of_levels(points, theme=theme), words, _READ_AREA_OF_LEVELS)]


def column(table: Any, name: str) -> tuple[list[float | None], list[list[float] | None]]:
    """A column of a table and its intervals, from ``…_low`` and ``…_high``."""
    values = [None if pd.isna(value) else float(value) for value in table[name]]
    ends = zip(table[f"{name}_low"], table[f"{name}_high"], strict=True)
    return values, [None if pd.isna(low) or pd.isna(high) else [float(low), float(high)] for low, high in ends]


def area_of_levels(points: pd.DataFrame, *, theme: Theme) -> go.Figure:
    """The area of every abnormal image, a row of points for each level; overlap is what area cannot tell.

    Parameters
    ----------
    points : DataFrame
        ``image_id``, ``subset``, ``level`` and ``area`` (share of the image).
    """
    measured: Any = points[points["area"] > 0]
    if measured.empty:
        return sentence_figure(theme, height=160, sentence="No image has an area.")
    levels = sorted(measured["level"].unique())
    figure = empty_figure(theme, height=90 + 60 * len(levels), margin=(40, 12, 12, 48))
    rng = np.random.default_rng(0)
    for place, level in enumerate(levels):
        rows = measured[measured["level"] == level]
        colour = level_colour(level, levels, theme)
        figure.add_trace(
            go.Scatter(
                x=(100 * rows["area"]).tolist(),
                y=(place + rng.uniform(-0.3, 0.3, len(rows))).tolist(),
                mode="markers",
                marker={"color": colour, "size": 6, "line": {"color": outline(colour, theme), "width": 0.75}},
                customdata=[[image_id] for image_id in rows["image_id"]],
                hovertemplate=f"L{level:g}, %{{x:.3g}} % of the image<extra></extra>",
            )
        )
    figure.update_xaxes(axis(theme, "area of the defect, % of the image (log scale)", type="log"))
    labels = {"tickvals": list(range(len(levels))), "ticktext": [f"L{level:g}" for level in levels]}
    figure.update_yaxes(axis(theme, "level by risk", **labels))
    return figure


def describe_area_of_levels(points: pd.DataFrame) -> str:
    """The median area of each level in words."""
    groups: Any = points.groupby("level")["area"]
    medians = [f"L{level:g} {100 * rows.median():.2g} % (n = {len(rows):,})" for level, rows in groups]
    return f"Median area of the defect: {listed(medians) or 'none'}."
