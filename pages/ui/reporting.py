"""The report of the runs in view, made when it is asked for, to take away; and how to read what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mad_core.report import report_html
from mad_core.runs.store import Run
from mad_core.teaching import READ
from pages.ui import engine
from pages.ui.text import plain

CALLED = {"metrics": "the table", "raincloud": "the clouds", "matrix": "the matrix", "ranks": "two runs"}
"""What each text is about, in the words of its button."""


def report_download(runs: Sequence[Run]) -> None:
    """A button that makes the report and hands it to the browser."""
    st.download_button(
        "Report as HTML",
        data=lambda: report_html(engine.store(), [run.id for run in runs]),
        file_name="report.html",
        mime="text/html",
        icon=":material/description:",
        on_click="ignore",
        help="One file that works offline: metrics, plots, images, studies, audit, and how to repeat it.",
    )


def how_to_read(name: str) -> None:
    """The teaching text of a plot or table, folded away beside it."""
    with st.popover(f"How to read this: {CALLED[name]}", type="tertiary", key=f"read_{name}"):
        st.markdown(plain(READ[name]))
