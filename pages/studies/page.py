"""Studies: a question on the left, its answer on the right."""

import streamlit as st

from pages.studies.study import studying
from pages.ui import engine, session
from pages.ui.header import header, without_dataset
from pages.ui.labels_note import labels_note


def page() -> None:
    if st.session_state.pop("studies_open", False):
        session.open_page("pages/images/page.py")
    info = header("Studies")
    if info is None:
        without_dataset()
        return
    runs = [run for run in session.runs_in_view(info) if run.done]
    if not runs:
        st.info(
            "Most studies are made of scores, and no run on this dataset has one yet; some look at images alone.",
            icon=":material/info:",
        )
        st.page_link("pages/score/page.py", label="Choose scorers", icon=":material/play_arrow:")
    dataset = engine.store().dataset(info.id)
    tests = dataset.count("test")
    labels_note(tests, tests - dataset.unlabelled(), "the answers of studies")
    studying(info, runs)


page()
