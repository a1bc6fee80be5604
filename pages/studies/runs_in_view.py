"""What the live sections of studies share: which runs a finding was made of, and which one is in view."""

from collections.abc import Sequence

import streamlit as st

from mad_core.runs.comparing import distinct_names
from mad_core.runs.store import DatasetInfo, Run
from mad_core.studies.finding import Finding
from pages.ui import engine


def run_and_subset(runs: Sequence[Run], key: str) -> tuple[str, str] | None:
    """A choice of one run that has scores, and of one of its subsets; None where no run has scores."""
    usable = {run.id: run for run in runs if run.done}
    if not usable:
        return None
    names = distinct_names(list(usable.values()))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Run", list(usable), format_func=names.__getitem__, key=f"{key}_run", width=280)
        return chosen, st.selectbox("Subset", usable[chosen].subsets, key=f"{key}_subset", width=200)


def runs_of(info: DatasetInfo, finding: Finding) -> list[Run]:
    """The runs that a finding was made of; all of the dataset where it does not say."""
    asked = finding.facts.get("request", {}).get("runs", [])
    return [run for run in engine.store().runs(info.id) if run.id in asked or not asked]
