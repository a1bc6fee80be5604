"""What is compared: some runs on one subset or on all, and the rows and names that this means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.consensus import RULES
from mad_core.report.contents import ReportRequest
from mad_core.runs.store import DatasetInfo, Run
from pages.ui import audited_labels, charts, engine, session
from pages.ui.viewer import MAX_MAPS

LIVE_SECONDS = 2.0
DRAWS = 1000


@dataclass(frozen=True)
class View:
    """What is compared: some runs on one subset, or on all (``subset`` is None)."""

    info: DatasetInfo
    subset: str | None
    runs: Sequence[Run]
    names: Mapping[str, str]
    audited: pd.DataFrame | None = None
    """Audited labels, where they are in view in place of the original ones."""

    @property
    def level_names(self) -> Mapping[float, str]:
        """Names of the levels; on all subsets those on which the subsets agree."""
        subsets = [self.subset] if self.subset else sorted({s for run in self.runs for s in run.subsets})
        return self.info.card.level_names(subsets)

    @property
    def report(self) -> ReportRequest:
        """What a report of this view has to hold."""
        rule = session.get("rule", RULES[0]) if self.audited is not None else None
        return ReportRequest(tuple(run.id for run in self.runs), self.subset, rule, DRAWS)

    def rows(self, run: Run) -> pd.DataFrame:
        """The images of a run in view."""
        if self.audited is None:
            return engine.table(run) if self.subset is None else engine.table_of(run, self.subset)
        table: Any = audited_labels.rows(run, self.audited)
        return table if self.subset is None else table[table["subset"] == self.subset]

    def key(self, *runs: Run) -> tuple[Any, ...]:
        """Changes whenever the rows of these runs may have changed, or what they are called."""
        labels = None if self.audited is None else audited_labels.digest_of(self.audited)
        names = tuple(self.level_names.items())
        return self.subset, labels, names, charts.theme(), *((r.id, self.names[r.id], *engine.state(r)) for r in runs)

    def partial(self, run: Run) -> str:
        """What to say of a run that has images in view still to score; empty of others."""
        if run.status == "done":
            return ""
        rows = self.rows(run)
        waiting = int((rows["status"] == "waiting").to_numpy().sum())
        state = "at work" if run.active else "stopped"
        return f"partial: {state}, {len(rows) - waiting:,} of {len(rows):,} images" if waiting else ""


def renewed(view: View) -> View:
    """The view with its runs as they are by now; the whole page is drawn again if one was deleted."""
    current = {run.id: run for run in session.runs_in_view(view.info)}
    if not all(run.id in current for run in view.runs):
        st.rerun()
    return replace(view, runs=[current[run.id] for run in view.runs])


def draws_of(run: Run) -> int:
    return 0 if run.active else DRAWS


def open_image(view: View, rows: pd.DataFrame, image_id: str | None, run_id: str) -> None:
    """Go to the image that was clicked, under the maps of this run and of those that are compared with it.

    The page is left by the next full run: a browser that is sent away from within a fragment may end blank.
    """
    if image_id:
        subset = rows.loc[rows["image_id"] == image_id, "subset"].iloc[0]
        shown = [run.id for run in view.runs if run.map_policy != "none" and run.id != run_id]
        session.put(image=image_id, subset=subset, split=None, run=run_id, maps=[run_id, *shown][:MAX_MAPS])
        st.session_state["compare_open"] = True
        st.rerun()
