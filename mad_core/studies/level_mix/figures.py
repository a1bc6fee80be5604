"""Metrics with the test set's shares of levels and with those of the field, and the AUROC that does not move."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mad_core.figures.plot import Plot
from mad_core.figures.reductions import Panel, panel_plot
from mad_core.metrics.names import ABNORMAL_C_INDEX, AUROC, C_INDEX, TAU
from mad_core.palette import Theme
from mad_core.studies.area.figures import column

_READ_METRICS = (
    "Two rows a scorer: with the test set's shares of levels, and with those of the field. Right is better. The "
    "scores are the same in both rows: only how often each pair of levels counts has changed, so neither row makes a "
    "scorer better. Lines are 95 % intervals."
)
_READ_COST = (
    "Two rows a scorer: with the test set's shares of levels, and with the field's. Left is better. The cuts are the "
    "same in both rows; where normal images abound, mistakes with severe ones weigh less and false alarms more. Lines "
    "are 95 % intervals."
)
_READ_AUROC = (
    "One panel a level: how often its images score above normal ones; right is better, 0.5 is chance. The shares of "
    "the levels have no part in it, so these values hold for the field as well, as far as its images are like those "
    "of the test set."
)
_PANELS = (
    ("Test set and field", _READ_METRICS, {m.id: m.title for m in (C_INDEX, ABNORMAL_C_INDEX)}),
    ("Test set and field, by pairs and by normals", _READ_METRICS, {m.id: m.title for m in (TAU, AUROC)}),
    ("Cost in the test set and in the field", _READ_COST, {"cost": "Expected cost an image"}),
)
_A_ROW = 3
"""Panels beside each other that have room for their titles."""


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``level-mix``."""
    table: Any = tables["metrics"]
    rows = table[table["mix"] != "change"]
    names = [f"{row['scorer']}, {row['mix']}" for row in rows.to_dict("records")]
    drawn = []
    for title, how_to_read, chosen in _PANELS:
        panels = [Panel(label, *column(rows, name)) for name, label in chosen.items() if name in rows]
        if panels:
            drawn.append(panel_plot(title, names, panels, how_to_read, theme))
    still: Any = tables["auroc"]
    if not still.empty:
        names, levels = list(dict.fromkeys(still["scorer"])), list(dict.fromkeys(still["level"]))
        panels = []
        for level in levels:
            own = still[still["level"] == level].set_index("scorer").reindex(names)
            panels.append(Panel(f"{AUROC.title} of {level}", *column(own, "auroc"), ("chance", AUROC.chance)))
        for start in range(0, len(panels), _A_ROW):
            which = f"{levels[start]} on" if start else "which does not move"
            some = panels[start : start + _A_ROW]
            drawn.append(panel_plot(f"AUROC of each level, {which}", names, some, _READ_AUROC, theme))
    return drawn
