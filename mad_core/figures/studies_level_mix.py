"""Metrics with the test set's shares of levels and with those of the field, and the AUROC that does not move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.reductions import Panel, describe_reduction_panels, reduction_panels
from mad_core.palette import Theme

Drawn = tuple[str, go.Figure, str]
_TITLES = {
    "c_index": "C-index",
    "abnormal_c_index": "C-index, abnormal only",
    "kendall_tau_b": "Kendall's tau-b",
    "auroc_whole": "AUROC",
    "cost": "Expected cost an image",
}


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Drawn]:
    """The figures of the study ``level-mix``, each with its title and its text alternative."""
    table: Any = tables["metrics"]
    names = [f"{row['scorer']}, {row['mix']}" for row in table.to_dict("records")]
    panels = [Panel(title, _values(table[name]), [None] * len(table)) for name, title in _TITLES.items()]
    fixed: Any = tables["auroc_per_level"]
    drawn = [
        (
            "Test set and field",
            reduction_panels(names, panels, theme=theme),
            describe_reduction_panels(names, panels),
        )
    ]
    if not fixed.empty:
        means = fixed.pivot_table(index="scorer", columns="level", values="auroc", sort=False)
        rows = means.index.tolist()
        still = [
            Panel(f"AUROC of L{level:g}", _values(means[level]), [None] * len(rows)) for level in sorted(means.columns)
        ]
        words = describe_reduction_panels(rows, still)
        drawn.append(("AUROC of each level, which does not move", reduction_panels(rows, still, theme=theme), words))
    return drawn


def _values(column: Any) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in column]
