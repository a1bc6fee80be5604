"""Metrics of a question with one part left out or changed, and what each part's absence costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.intervals import describe_metric_intervals, metric_intervals
from mad_core.figures.plot import Plot
from mad_core.metrics.names import ABNORMAL_C_INDEX, C_INDEX
from mad_core.palette import Theme, chrome

_READ_C_INDEX = (
    "Each row is the question asked in one way, the first as it was chosen. To the right severity is ordered better "
    "over all images, normal ones included; the dotted line is an order at random. Lines are 95 % intervals."
)
_READ_ORDER = (
    "Each row is the question asked in one way. To the right the abnormal images are ordered better by severity: "
    "whether the model knows how bad, not only whether. At the dotted line the order is random, left of it reversed. "
    "Lines are 95 % intervals."
)
_READ_LOSS = (
    "How much of the C-index goes when a part is left out or changed. Right of 0 the part helps, left of 0 it harms. "
    "A line that holds 0 does not show that the part brings anything; it does not show that it brings nothing either."
)
_CHARTS = (
    (C_INDEX.id, C_INDEX.title, C_INDEX.title, _READ_C_INDEX),
    (ABNORMAL_C_INDEX.id, "Order of severity", ABNORMAL_C_INDEX.title, _READ_ORDER),
    (f"{C_INDEX.id}_loss", "What is lost", f"{C_INDEX.title} as chosen, less that of the way", _READ_LOSS),
)


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``ablation``."""
    ways = tables["ways"]
    if ways.empty:
        return []
    drawn: list[Plot] = []
    groups = list(ways.groupby("run", sort=False))
    for name, rows in groups:
        of_run = f", {name}" if len(groups) > 1 else ""
        for metric, title, x_title, how_to_read in _CHARTS:
            figure, words = _chart(rows, metric, x_title, theme)
            drawn.append(Plot(f"{title}{of_run}", figure, words, how_to_read))
    return drawn


def _chart(rows: pd.DataFrame, metric: str, x_title: str, theme: Theme) -> tuple[go.Figure, str]:
    """A dot with its 95 % whisker for each way, and what it is to be held against as a line."""
    shown: list[Mapping[str, Any]] = []
    for place, row in enumerate(rows.to_dict("records")):
        values = {key: _number(row.get(name)) for key, name in _columns(metric).items()}
        if place == 0 and values["estimate"] is None:  # as chosen is not held against itself
            continue
        shown.append({"name": row["way"], **values, "colour": chrome(theme).ink if place == 0 else None})
    reference = _reference(shown, metric)
    figure = metric_intervals(shown, reference=reference, x_title=x_title, theme=theme)
    return figure, describe_metric_intervals(shown, reference=reference, x_title=x_title)


def _columns(metric: str) -> dict[str, str]:
    return {"estimate": metric, "low": f"{metric}_low", "high": f"{metric}_high"}


def _reference(shown: Sequence[Mapping[str, Any]], metric: str) -> list[tuple[str, float]]:
    return [("no loss", 0.0)] if metric.endswith("_loss") else [("random", C_INDEX.chance)] if shown else []


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
