"""The line on top of every page: the dataset in view and the work that is going on."""

from collections.abc import Callable

import streamlit as st

from mad_core.errors import MadError
from mad_core.runs.comparing import distinct_names
from mad_core.runs.jobs import RunJob, StudyJob, about, title_of
from mad_core.runs.queue import Job
from mad_core.runs.store import DatasetInfo
from mad_core.studies.record import read_study
from mad_core.studies.study import study
from pages.ui import engine, session
from pages.ui.approach import entered
from pages.ui.notices import notices
from pages.ui.text import duration, plain, shortened
from pages.ui.widgets import pick

REFRESH_SECONDS = 1.5
LONGEST_NAME = 48


def _shows_none(job: Job) -> bool:
    return False


def header(title: str, shows: Callable[[Job], bool] = _shows_none) -> DatasetInfo | None:
    """Draw the page's heading, the choice of dataset and the jobs; returns the dataset in view.

    Parameters
    ----------
    shows : callable
        Whether the page itself shows how far a job is: then no second number stands on top.
    """
    datasets = engine.store().datasets()
    entered(title)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.title(title, anchor=False, width="stretch")
        ended = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
        with st.container(width="content"):
            jobs_line(title, shows)
        with ended:
            notices(title)
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
def jobs_line(title: str, shows: Callable[[Job], bool] = _shows_none) -> None:
    """What is going on, with cancel; renewed by itself, and the page with it when a job ends.

    The browser's title holds the page's, and how far the first job is.
    """
    active = engine.store().queue.active()
    st.set_page_config(page_title=f"{_percent(active)}{title} · MAD Inspector")
    before = st.session_state.get("active_jobs")
    now = [job.id for job in active]
    st.session_state["active_jobs"] = now
    if before is not None and set(before) - set(now):
        st.rerun()
    if not active:
        st.caption("No work is waiting", width="content")
        return
    first = active[0]
    label = f"{name_of(first)}: at work" if first.status == "running" and shows(first) else describe(first)
    with st.popover(plain(label) + (f" · {len(active) - 1} waiting" if len(active) > 1 else ""), type="tertiary"):
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


def _percent(active: list[Job]) -> str:
    """How far the first job is, for a title: ``37 % · ``; nothing where nothing is at work."""
    progress = share(active[0]) if active else None
    return "" if progress is None else f"{100 * progress:.0f} % · "


def share(job: Job) -> float | None:
    """How much of a job is done, 0-1, where that is known."""
    done, total = job.progress.get("done"), job.progress.get("total")
    return min(1.0, done / total) if total else None


def describe(job: Job) -> str:
    """A job in a few words: what, how far, how fast, how long still."""
    facts = job.progress
    name = name_of(job)
    if job.cancel:
        return f"{name}: stopping"
    if job.status == "queued":
        return f"{name}: waiting" if engine.worker_ready() else f"{name}: the worker is starting"
    if facts.get("phase") == "fitting":
        return f"{name}: fitting {facts.get('subset', '')} {facts.get('phase_done', 0)}/{facts.get('phase_total', 0)}"
    if facts.get("phase") in ("scoring", "describing"):
        rate = f" · {facts['rate']:.1f} images/s" if facts.get("rate") else ""
        left = f" · {duration(facts['seconds_left'])} left" if facts.get("seconds_left") is not None else ""
        return f"{name}: {facts.get('done', 0)}/{facts.get('total', 0)}{rate}{left}"
    if facts.get("total"):
        unit = f" {facts['unit']}" if facts.get("unit") else ""
        return f"{name}: {facts.get('done', 0)}/{facts['total']}{unit}"
    return f"{name}: starting"


def name_of(job: Job) -> str:
    """What a job does and on what, so that two of a kind are told apart."""
    store = engine.store()
    try:
        if job.kind == RunJob.kind:
            run = store.run(RunJob.from_json(job.payload).run)
            return distinct_names(store.runs(run.dataset_id))[run.id]
        if job.kind == StudyJob.kind:
            return study(read_study(store, StudyJob.from_json(job.payload).study).study).title
    except MadError:
        return title_of(job)
    subject = "" if job.payload.get("source") == "demo" else about(store, job)
    return f"{title_of(job)}, {shortened(subject, LONGEST_NAME)}" if subject else title_of(job)
