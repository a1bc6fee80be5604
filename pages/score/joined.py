"""What further normals changed: a run beside the one whose fit they joined."""

from typing import Any

import pandas as pd
import streamlit as st

from mad_core.errors import NotFoundError
from mad_core.metrics.names import judged
from mad_core.runs.growing import changes
from mad_core.runs.store import Run
from pages.ui import charts, engine
from pages.ui.text import plain


def joined_section(run: Run) -> None:
    """Differences of the metrics and of each score, of a finished run whose normals joined another one's fit."""
    if not run.parent or run.status != "done":
        return
    try:
        changes, parent = _changes(run.id, engine.state(run)), engine.store().run(run.parent)
    except NotFoundError:
        st.caption(f"Its normals joined the fit of run {plain(run.parent)}, which was deleted.")
        return
    with st.expander(f"Normals joined the fit of {plain(parent.title)}: what changed", expanded=True):
        rows = [
            {"Metric": metric.title, "After less before": gap["value"], "95 % interval": _text(gap["interval"])}
            for metric in judged()
            if (gap := changes["differences"].get(metric.id)) and gap["value"] is not None
        ]
        st.caption(f"{changes['n']:,} labelled images that both scored; intervals are paired.")
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
        table = pd.DataFrame(changes["scores"]).rename(columns=str.capitalize)
        table["Change"] = table["After"] - table["Before"]
        charts.show_table(table, "Scores before and after the normals joined")


@st.cache_data(max_entries=64, show_spinner=False)
def _changes(run_id: str, state: tuple[Any, ...]) -> dict[str, Any]:
    return changes(engine.store(), engine.store().run(run_id))


def _text(interval: list[float] | None) -> str:
    return f"{interval[0]:+.3f} to {interval[1]:+.3f}" if interval else "–"
