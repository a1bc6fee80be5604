"""The line on top of every page: the dataset in view and the work that is going on."""

import streamlit as st

from mad_core.runs.jobs import RunJob, title_of
from mad_core.runs.queue import Job
from mad_core.runs.store import DatasetInfo
from pages.ui import engine, session
from pages.ui.text import duration, plain
from pages.ui.widgets import pick

REFRESH_SECONDS = 1.5


def header(title: str) -> DatasetInfo | None:
    """Draw the page's heading, the choice of dataset and the jobs; returns the dataset in view."""
    datasets = engine.store().datasets()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.title(title, anchor=False, width="stretch")
        with st.container(width="content"):
            jobs_line()
        info = session.dataset()
        if info is not None:
            names = {d.id: d.name for d in datasets}
            pick("Dataset", "dataset", list(names), names, info.id, width=260)
    return info


def without_dataset() -> None:
    """What stands on a page while there is no dataset to show."""
    if any(job.kind in ("import", "fetch") for job in engine.store().queue.active()):
        st.info("A dataset is being prepared; it appears here in a moment.", icon=":material/hourglass_top:")
    else:
        st.info("There is no dataset yet.", icon=":material/info:")
        st.page_link("pages/data/page.py", label="Add a dataset", icon=":material/add:")


@st.fragment(run_every=REFRESH_SECONDS)
def jobs_line() -> None:
    """What is going on, with cancel; renewed by itself, and the page with it when a job ends."""
    active = engine.store().queue.active()
    before = st.session_state.get("active_jobs")
    now = [job.id for job in active]
    st.session_state["active_jobs"] = now
    if before is not None and set(before) - set(now):
        st.rerun()
    if not active:
        st.caption("No work is waiting", width="content")
        return
    first = active[0]
    with st.popover(describe(first) + (f" · {len(active) - 1} waiting" if len(active) > 1 else ""), type="tertiary"):
        for job in active:
            with st.container(horizontal=True, vertical_alignment="center"):
                progress = share(job)
                if progress is None:
                    st.markdown(plain(describe(job)))
                else:
                    st.progress(progress, text=plain(describe(job)))
                if st.button("Cancel", key=f"cancel_{job.id}", help="What is scored so far is kept."):
                    cancel(job)
                    st.rerun(scope="fragment")


def cancel(job: Job) -> None:
    """Cancel a job, through its run where it is one."""
    store = engine.store()
    if job.kind == RunJob.kind:
        session.attempt(lambda: store.cancel_run(RunJob.from_json(job.payload).run))
    else:
        store.queue.request_cancel(job.id)


def share(job: Job) -> float | None:
    """How much of a job is done, 0-1, where that is known."""
    done, total = job.progress.get("done"), job.progress.get("total")
    return min(1.0, done / total) if total else None


def describe(job: Job) -> str:
    """A job in a few words: what, how far, how fast, how long still."""
    facts = job.progress
    name = _run_title(job) if job.kind == RunJob.kind else title_of(job)
    if job.cancel:
        return f"{name}: stopping"
    if job.status == "queued":
        return f"{name}: waiting" if engine.worker_ready() else f"{name}: the worker is starting"
    if facts.get("phase") == "fitting":
        return f"{name}: fitting {facts.get('subset', '')} {facts.get('phase_done', 0)}/{facts.get('phase_total', 0)}"
    if facts.get("phase") == "scoring":
        rate = f" · {facts['rate']:.1f} images/s" if facts.get("rate") else ""
        left = f" · {duration(facts['seconds_left'])} left" if facts.get("seconds_left") is not None else ""
        return f"{name}: {facts.get('done', 0)}/{facts.get('total', 0)}{rate}{left}"
    if facts.get("total"):
        unit = f" {facts['unit']}" if facts.get("unit") else ""
        return f"{name}: {facts.get('done', 0)}/{facts['total']}{unit}"
    return f"{name}: starting"


def _run_title(job: Job) -> str:
    run = next((r for r in engine.store().runs() if r.id == job.payload.get("run")), None)
    return run.title if run else "Run"
