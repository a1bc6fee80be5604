"""Level against called level under the cuts kept with a run: a number opens the images that it counts."""

from typing import Any

import numpy as np

from mad_core.datasets.dataset import level_key
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.store.cuts import SavedCuts
from pages.ui import engine, urls
from pages.ui.table import number_links


def called_cells(info: DatasetInfo, run: Run, subset: str, kept: SavedCuts, name: str = "Level") -> None:
    """Draw the table of all images of a subset that have a level and a score."""
    rows: Any = engine.table_of(run, subset)
    rows = rows[np.isfinite(rows["level"]) & np.isfinite(rows["score"])]
    counts = rows.assign(called=kept.call(rows["score"].to_numpy())).groupby(["level", "called"]).size()
    levels, called = sorted(rows["level"].unique()), list(kept.levels)

    def cell(row: int, column: int) -> tuple[int, str]:
        level, other = levels[row], called[column]
        view = {"dataset": info.id, "subset": subset, "run": run.id, "sort": "highest score"}
        address = urls.images(**view, level=level_key(level), called=level_key(other))
        return int(counts.get((level, other), 0)), address

    number_links(
        f"{name} against called level",
        [f"L{level_key(level)}" for level in levels],
        [f"called L{level_key(level)}" for level in called],
        cell,
    )
