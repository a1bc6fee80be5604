"""The report of the runs in view: asked for, written by the worker, to take away."""

import streamlit as st

from mad_core.report.contents import ReportRequest
from mad_core.report.job import latest_report, request_report
from pages.ui import engine, header, session
from pages.ui.text import plain, size
from pages.ui.widgets import download

LIVE_SECONDS = 1.0
ABOUT = (
    "One file that works offline: metrics, plots, images, studies, audit, and how to repeat it, with the subset and "
    "the labels in view."
)


def report_download(request: ReportRequest) -> None:
    """Ask for the report; its progress while it is written; then the button that hands it to the browser."""
    job, path = latest_report(engine.store(), request)
    if job is not None and job.active:
        st.fragment(_live, run_every=LIVE_SECONDS)(request)
    elif path is not None:
        label = f"Download the report ({size(path.stat().st_size)})"
        download(label, path.name, path.read_bytes, type="primary", help=ABOUT)
    else:
        if st.button("Report as HTML", icon=":material/description:", help=ABOUT) and session.attempt(
            lambda: request_report(engine.store(), request)
        ):
            st.rerun()
        if job is not None and job.status == "failed":
            st.error(plain(job.error or "The report could not be written."), icon=":material/error:")


def _live(request: ReportRequest) -> None:
    job, _ = latest_report(engine.store(), request)
    if job is None or not job.active:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.progress(header.share(job) or 0.0, text=plain(header.describe(job)), width=260)
        if st.button("Cancel", key="cancel_report"):
            engine.store().queue.request_cancel(job.id)
