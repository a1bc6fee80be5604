"""Metrics with the test set's shares of levels and with those of the field, and the AUROC that does not move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.reductions import Panel, describe_reduction_panels, reduction_panels
from mad_core.palette import Theme
from mad_core.studies.area.figures import column

Drawn = tuple[str, go.Figure, str]
_PANELS = {
    "Test set and field": {"c_index": "C-index", "abnormal_c_index": "C-index, abnormal only"},
    "Test set and field, by pairs and by normals": {"kendall_tau_b": "Kendall's tau-b", "auroc_whole": "AUROC"},
    "Cost in the test set and in the field": {"cost": "Expected cost an image"},
}
_A_ROW = 3
"""Panels beside each other that have room for their titles."""


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Drawn]:
    """The figures of the study ``level-mix``, each with its title and its text alternative."""
    table: Any = tables["metrics"]
    rows = table[table["mix"] != "change"]
    names = [f"{row['scorer']}, {row['mix']}" for row in rows.to_dict("records")]
    drawn = []
    for title, chosen in _PANELS.items():
        panels = [Panel(label, *column(rows, name)) for name, label in chosen.items() if name in rows]
        if panels:
            words = describe_reduction_panels(names, panels)
            drawn.append((title, reduction_panels(names, panels, theme=theme), words))
    still: Any = tables["auroc"]
    if not still.empty:
        names = list(dict.fromkeys(still["scorer"]))
        panels = []
        for level in dict.fromkeys(still["level"]):
            own = still[still["level"] == level].set_index("scorer").reindex(names)
            panels.append(Panel(f"AUROC of {level}", *column(own, "auroc"), ("chance", 0.5)))
        for start in range(0, len(panels), _A_ROW):
            some = panels[start : start + _A_ROW]
            title = (
                "AUROC of each level, which does not move"
                if not start
                else f"AUROC of each level, {_from(still, start)} on"
            )
            drawn.append((title, reduction_panels(names, some, theme=theme), describe_reduction_panels(names, some)))
    return drawn


def _from(still: Any, start: int) -> str:
    return str(list(dict.fromkeys(still["level"]))[start])
