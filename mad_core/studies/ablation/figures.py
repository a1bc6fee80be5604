"""Metrics of a question with one part left out or changed, and what each part's absence costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.intervals import describe_metric_intervals, metric_intervals
from mad_core.palette import Theme, chrome

Drawn = tuple[str, go.Figure, str]
RANDOM = 0.5
"""C-index of an order at random."""


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Drawn]:
    """The figures of the study ``ablation``, each with its title and its text alternative."""
    ways = tables["ways"]
    if ways.empty:
        return []
    drawn: list[Drawn] = []
    groups = list(ways.groupby("run", sort=False))
    for name, rows in groups:
        of_run = f", {name}" if len(groups) > 1 else ""
        drawn += [
            _chart(rows, "c_index", f"C-index{of_run}", "C-index, all images", theme),
            _chart(rows, "abnormal_c_index", f"Order of severity{of_run}", "C-index, abnormal images only", theme),
            _chart(rows, "c_index_loss", f"What is lost{of_run}", "C-index as chosen, less that of the way", theme),
        ]
    return drawn


def _chart(rows: pd.DataFrame, metric: str, title: str, x_title: str, theme: Theme) -> Drawn:
    """A dot with its 95 % whisker for each way, and what it is to be held against as a line."""
    shown: list[Mapping[str, Any]] = []
    for place, row in enumerate(rows.to_dict("records")):
        values = {key: _number(row.get(name)) for key, name in _columns(metric).items()}
        if place == 0 and values["estimate"] is None:  # as chosen is not held against itself
            continue
        shown.append({"name": row["way"], **values, "colour": chrome(theme).ink if place == 0 else None})
    reference = _reference(shown, metric)
    figure = metric_intervals(shown, reference=reference, x_title=x_title, theme=theme)
    return title, figure, describe_metric_intervals(shown, reference=reference, x_title=x_title)


def _columns(metric: str) -> dict[str, str]:
    return {"estimate": metric, "low": f"{metric}_low", "high": f"{metric}_high"}


def _reference(shown: Sequence[Mapping[str, Any]], metric: str) -> list[tuple[str, float]]:
    return [("no loss", 0.0)] if metric.endswith("_loss") else [("random", RANDOM)] if shown else []


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
