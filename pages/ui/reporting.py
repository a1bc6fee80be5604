"""The report of the runs in view, made when it is asked for, to take away."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mad_core.report import report_html
from mad_core.runs.store import Run
from pages.ui import engine


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
