"""Features of the pictures in view: what is kept, and the button that has the worker look where some are missing."""

import streamlit as st

from mad_core.runs.estimating import finished, pace_of
from mad_core.runs.jobs import FeaturesJob, submit
from mad_core.runs.picture_space import PictureSpace, read_space
from mad_core.runs.queue import Job
from mad_core.runs.store import DatasetInfo
from mad_core.scorers.catalog import GRADED
from pages.ui import engine, header
from pages.ui.text import duration, plain

LOOK_SECONDS = 2
ALIKE_IN_COST = ("subspace", "knn", "patchcore", GRADED)
"""Scorers that take one look of a frozen network at each picture, as features do."""


def space_in_view(info: DatasetInfo, subset: str) -> PictureSpace | None:
    """What is kept of a subset's pictures, of all with ``ALL``; of datasets of one subset these are the same."""
    return read_space(engine.store().settings, info.id, subset)


def ask_for_features(info: DatasetInfo, why: str, key: str) -> None:
    """Say why something is not there, and offer to have it computed; while it is, how far that is."""
    job = engine.store().queue.latest_for(FeaturesJob(info.id).key)
    if job is not None and job.active:
        _wait(info.id, job.id)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Look at all pictures", key=f"features_{key}", icon=":material/visibility:"):
            submit(engine.store().queue, FeaturesJob(info.id))
            st.rerun()
        st.caption(plain(f"{why} {_cost(info, job)}"), width="stretch")
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")


def awaits_map(info: DatasetInfo) -> bool:
    """Whether the pictures are being looked at or laid out just now."""
    return engine.store().queue.active_for(FeaturesJob(info.id).key) is not None


@st.fragment(run_every=LOOK_SECONDS)
def _wait(dataset_id: str, job_id: int) -> None:
    job = engine.store().queue.job(job_id)
    if not job.active:
        st.rerun()
    st.progress(header.share(job) or 0.0, text=plain(header.describe(job)))


def wait_for_map(info: DatasetInfo) -> None:
    """How far the work is, where there is some; the page comes again when it ends."""
    if job := engine.store().queue.active_for(FeaturesJob(info.id).key):
        _wait(info.id, job.id)


def _cost(info: DatasetInfo, last: Job | None) -> str:
    """How long a look at all will take, from what it or a scorer that looks alike took here before."""
    images = info.images
    once = "It is done once, in the background, by a network that is taught on photographs"
    done = (last.result or {}) if last is not None else {}
    if done.get("computed", 0) > 50:
        return f"{once}: about {duration(images * done['seconds'] / done['computed'])} for {images:,} pictures."
    runs = finished(engine.store())
    paces = (pace_of(engine.store(), runs[name], {}) for name in ALIKE_IN_COST if name in runs)
    pace = next((pace for pace in paces if pace is not None and pace.an_image > 0), None)
    if pace is None:
        return f"{once}; how long it takes is shown once it goes."
    return f"{once}: about {duration(images * pace.an_image)} for {images:,} pictures, as {pace.run.title} took."
