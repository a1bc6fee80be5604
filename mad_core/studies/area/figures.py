"""Severity against area: what each scorer follows, and levels by area beside levels by risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure, sentence_figure
from mad_core.figures.reductions import Panel, describe_reduction_panels, reduction_panels
from mad_core.figures.words import listed
from mad_core.palette import Theme, level_colour, outline

Drawn = tuple[str, go.Figure, str]
_PANELS = {
    "What each scorer follows": (
        ("c_risk", "C-index, levels by risk", ("chance", 0.5)),
        ("c_area", "C-index, levels by area", ("chance", 0.5)),
    ),
    "What is left at fixed area, and at a fixed level": (
        ("partial", "severity at fixed area (partial tau)", ("none", 0.0)),
        ("within", "area within a level (tau-b)", ("none", 0.0)),
    ),
    "How much of the order of severity area explains": (("explained", "share of tau-b", ("none", 0.0)),),
}


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Drawn]:
    """The figures of the study ``area``, each with its title and its text alternative."""
    scorers: Any = tables["scorers"]
    names = scorers["scorer"].tolist()
    drawn = []
    for title, chosen in _PANELS.items():
        panels = [Panel(label, *column(scorers, name), reference) for name, label, reference in chosen]
        words = describe_reduction_panels(names, panels)
        if any(value is not None for panel in panels for value in panel.values):
            drawn.append((title, reduction_panels(names, panels, theme=theme), words))
    points = tables["points"]
    return [*drawn, ("Area of each level", area_of_levels(points, theme=theme), describe_area_of_levels(points))]


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
    known: Any = points[points["area"] > 0]
    if known.empty:
        return sentence_figure(theme, height=160, sentence="No image has an area.")
    levels = sorted(known["level"].unique())
    figure = empty_figure(theme, height=90 + 60 * len(levels), margin=(40, 12, 12, 48))
    rng = np.random.default_rng(0)
    for place, level in enumerate(levels):
        rows = known[known["level"] == level]
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
    said = [f"L{level:g} {100 * rows.median():.2g} % (n = {len(rows):,})" for level, rows in groups]
    return f"Median area of the defect: {listed(said) or 'none'}."
