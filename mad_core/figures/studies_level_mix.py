"""Metrics with the test set's shares of levels and with those of the field, and the AUROC that does not move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.reductions import Panel, describe_reduction_panels, reduction_panels
from mad_core.figures.studies_area import column
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
    rows = table[table["mix"] != "change"]
    names = [f"{row['scorer']}, {row['mix']}" for row in rows.to_dict("records")]
    panels = [Panel(title, *column(rows, name)) for name, title in _TITLES.items() if name in rows]
    words = describe_reduction_panels(names, panels)
    drawn = [("Test set and field", reduction_panels(names, panels, theme=theme), words)]
    still: Any = tables["auroc"]
    if not still.empty:
        names = list(dict.fromkeys(still["scorer"]))
        panels = []
        for level in dict.fromkeys(still["level"]):
            own = still[still["level"] == level].set_index("scorer").reindex(names)
            panels.append(Panel(f"AUROC of {level}", *column(own, "auroc"), ("chance", 0.5)))
        words = describe_reduction_panels(names, panels)
        drawn.append(("AUROC of each level, which does not move", reduction_panels(names, panels, theme=theme), words))
    return drawn
