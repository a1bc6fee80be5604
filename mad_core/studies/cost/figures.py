"""Quality against speed with the front of each device, and what each scorer costs besides."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import WIDTH, axis, empty_figure, score_axis, sentence_figure
from mad_core.figures.marks import add_key, key_name, marker
from mad_core.figures.plot import Plot
from mad_core.figures.reductions import Panel, panel_plot
from mad_core.figures.words import escaped, listed, short, with_interval
from mad_core.metrics.names import metric_of
from mad_core.palette import Theme, chrome, translucent

HEIGHT = 360
_READ_SPEED = (
    "Each point is a scorer. To the right it is faster, each step of the scale a multiple; upwards it is better. Full "
    "points are on the front: no other is as good in both and better in one. Lines are 95 % intervals: where they "
    "overlap widely, the faster one may serve as well. Speeds hold for this device only."
)
_READ_COSTS = (
    "Each row is a scorer, each panel a cost; left is cheaper. Memory is the highest use of the whole process, "
    "libraries included, so even the smallest scorer needs some."
)
COSTS = {
    "seconds_to_fit": ("Seconds to fit", 1.0),
    "memory_bytes": ("Peak memory, GB", 1e9),
    "gpu_memory_bytes": ("Peak GPU memory, GB", 1e9),
    "model_bytes": ("Size on disk, MB", 1e6),
    "joules_per_image": ("Energy an image, J", 1.0),
}
"""Columns beside the speed, their titles and units; a column without a value is not drawn."""


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``cost``."""
    costs, metric = tables["costs"], str(facts.get("metric", "c_index"))
    title = metric_of(metric).title
    drawn = []
    for device, rows in costs.groupby("device", sort=False):
        figure = quality_and_speed(rows, metric, theme=theme)
        words = describe_quality_and_speed(rows, metric, str(device))
        drawn.append(Plot(f"{title} and speed on {device}", figure, words, _READ_SPEED))
    names, panels = cost_panels(costs)
    if panels:
        drawn.append(panel_plot("Cost besides", names, panels, _READ_COSTS, theme))
    return drawn


def quality_and_speed(rows: pd.DataFrame, metric: str, *, theme: Theme, width: int = WIDTH) -> go.Figure:
    """The metric with its 95 % interval against images a second (log), and a line along the front.

    Parameters
    ----------
    rows : DataFrame
        Runs on one device: ``scorer``, ``images_per_second``, ``on_front``, and ``metric``, also ``_low``, ``_high``.
    """
    complete: Any = rows[rows["images_per_second"].notna() & rows[metric].notna()]
    if complete.empty:
        return sentence_figure(theme, height=160, sentence="No run has a speed and this metric.")
    tones, names = chrome(theme), complete["scorer"].tolist()
    figure = empty_figure(theme, height=HEIGHT, margin=(8, 12, 14, 52))
    front: Any = complete[complete["on_front"].astype(bool)].sort_values("images_per_second")
    rates = complete["images_per_second"].astype("float64").tolist()
    step = {"color": tones.muted, "width": 1.25, "dash": "dot", "shape": "vh"}
    ends = {"x": front["images_per_second"].tolist(), "y": front[metric].tolist()}
    figure.add_trace(go.Scatter(**ends, mode="lines", line=step, hoverinfo="skip", showlegend=False))
    seen = [float(v) for name in (metric, f"{metric}_low", f"{metric}_high") for v in complete[name].astype("float64")]
    for row in complete.to_dict("records"):
        mark = marker(names, row["scorer"], theme, size=12 if row["on_front"] else 10)
        if not row["on_front"]:
            mark |= {"color": "rgba(0,0,0,0)", "line": {"color": mark["color"], "width": 2}}
        figure.add_trace(
            go.Scatter(
                x=[row["images_per_second"]],
                y=[row[metric]],
                mode="markers",
                marker=mark,
                name=key_name(row["scorer"]) + (" · front" if row["on_front"] else ""),
                error_y=_whisker(row, metric, translucent(tones.muted, 0.7)),
                hoverinfo="text",
                text=f"{escaped(row['scorer'])}<br>{_point_in_words(row, metric)}",
            )
        )
    low, high = min(v for v in seen if math.isfinite(v)), max(v for v in seen if math.isfinite(v))
    spread = [math.log10(min(rates)) - 0.2, math.log10(max(rates)) + 0.2]
    ticks = score_axis(theme, "Images a second", rates, log=True)
    if spread[1] - spread[0] < 1:  # less than a decade: Plotly's own ticks say more
        ticks = axis(theme, "Images a second (log scale)", type="log", nticks=6, exponentformat="none")
    figure.update_xaxes(ticks | {"range": spread})
    figure.update_yaxes(axis(theme, metric_of(metric).title, range=[low - 0.03, high + 0.03]))
    add_key(figure, [f"{name} · front" for name in names], theme, width=width - 80)
    return figure


def _whisker(row: Mapping[Any, Any], metric: str, colour: str) -> dict[str, Any]:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        return {}
    up, down = max(0.0, high - row[metric]), max(0.0, row[metric] - low)
    return {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down], "color": colour, "thickness": 1.5}


def describe_quality_and_speed(rows: pd.DataFrame, metric: str, device: str) -> str:
    """Every run in words, and which are on the front."""
    complete: Any = rows[rows["images_per_second"].notna() & rows[metric].notna()]
    texts = [f"{row['scorer']} {_point_in_words(row, metric)}" for row in complete.to_dict("records")]
    front = listed(complete.loc[complete["on_front"].astype(bool), "scorer"].tolist())
    return f"On {device} (n = {len(complete)} runs): {'; '.join(texts) or 'none'}. On the front: {front or 'none'}."


def _point_in_words(row: Mapping[Any, Any], metric: str) -> str:
    value = with_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])
    return f"{row['images_per_second']:.3g} images/s, {metric_of(metric).title} {value}"


def cost_panels(costs: pd.DataFrame) -> tuple[list[str], list[Panel]]:
    """Names of the rows, and a panel for each cost that some run has."""
    several = len(set(costs["device"].tolist())) > 1
    names = [
        f"{short(row['scorer'], 24)}, {short(row['device'], 16)}" if several else str(row["scorer"])
        for row in costs.to_dict("records")
    ]
    panels = []
    for column, (title, unit) in COSTS.items():
        values = costs[column].astype("float64").tolist()
        scaled = [value / unit if math.isfinite(value) else None for value in values]
        if any(value is not None for value in scaled):
            panels.append(Panel(title, scaled, [None] * len(scaled)))
    return names, panels
