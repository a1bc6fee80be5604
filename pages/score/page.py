"""Score: choose scorers, queue runs, watch them live, score one image at once."""

import streamlit as st

from mad_core.runs.queue import Job, WorkerInfo
from pages.score.new_run import cards
from pages.score.single_image import one_image
from pages.score.watch import run_in_view, watch
from pages.ui import engine, session
from pages.ui.header import header, without_dataset
from pages.ui.text import plain, size

VIEWS = {"Runs": watch, "New run": cards, "One image": one_image}
NO_GPU = "no GPU: large networks and language models take long here"


def page() -> None:
    info = header("Score", shows=_shown)
    if info is None:
        without_dataset()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        view = st.segmented_control(
            "View", list(VIEWS), label_visibility="collapsed", **session.bound("view", list(VIEWS), "Runs")
        )
        st.space("stretch")
        with st.container(width="content"):
            _machine()
    VIEWS[view or "Runs"](info)


def _shown(job: Job) -> bool:
    """Whether the panel of the run in view shows how far this job is."""
    info = session.dataset()
    run = run_in_view(info) if info and session.get("view", "Runs") == "Runs" else None
    return run is not None and job.key == run.job_key


@st.fragment(run_every=5)
def _machine() -> None:
    """The devices at work and their memory, in one line."""
    alive = [worker for worker in engine.store().queue.workers() if worker.alive]
    if not alive:
        st.caption("The worker is starting.", width="content")
    for worker in alive:
        st.caption(plain(_device(worker)), width="content")


def _device(worker: WorkerInfo) -> str:
    facts = worker.facts
    name = f"{worker.device} · {facts.get('name', 'unknown device')}"
    if not {"memory", "free"} <= set(facts):
        return name
    used = f"{size(facts['memory'] - facts['free'])} of {size(facts['memory'])} in use"
    return f"{name} · {used}" if worker.device.startswith("cuda") else f"{name} · {used} · {NO_GPU}"


page()
