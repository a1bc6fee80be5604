"""Score one uploaded image at once with fitted runs, and see where it falls among the levels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.figures import READ_SCORE_STRIP
from mad_core.image_formats import UPLOAD_TYPES
from mad_core.images import probe
from mad_core.runs.queue import Job
from mad_core.runs.single_image import submit_single
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.triage import call_new, guarantee_of, verdict
from pages.ui import charts, engine, guide, session, urls
from pages.ui.answers import answer, failure, from_result, reason
from pages.ui.placing import place, place_on_stage
from pages.ui.presses import Move
from pages.ui.reading import how_to_read
from pages.ui.stage import Picture, Place, leave, stage, stage_button
from pages.ui.text import plain, score_text
from pages.ui.viewer import MAX_MAPS, READ_MAPS, MapLayer, map_viewer
from pages.ui.widgets import pick, pick_several

LOOK_SECONDS = 0.4
UNLIKE = (
    "Unlike anything fitted: this picture differs nearly everywhere from what the run has learned from, as another "
    "product or an empty picture does. Its score says nothing of severity."
)
FILE, CAMERA = "A file", "The camera"


def one_image(info: DatasetInfo) -> None:
    """Upload, choose the runs, see the maps and the place among the levels."""
    fitted = {run.id: run for run in session.runs_in_view(info) if engine.store().run_subsets(run.id)}
    if not fitted:
        st.info("An image can be scored once a run has been fitted; queue one under New run.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        with st.container(width=360):
            source = st.segmented_control("From", [FILE, CAMERA], default=FILE, required=True)
            taken = (
                st.camera_input("Picture") if source == CAMERA else st.file_uploader("Image", type=list(UPLOAD_TYPES))
            )
        titles, first = {run.id: run.title for run in fitted.values()}, list(fitted)[:2]
        chosen = pick_several("Scored by", "by", list(fitted), titles, first, max_selections=MAX_MAPS, width=420)
        subsets = [s for s in engine.store().dataset(info.id).subsets if any(s in fitted[r].subsets for r in chosen)]
        subset = pick("As a part of", "subset", subsets, width=200)
    if taken is not None and subset and chosen:
        runs = [fitted[r] for r in chosen if subset in fitted[r].subsets]
        _submit_once(runs, subset, taken.file_id, taken.getvalue(), taken.name)
    jobs = session.get_list("single")
    if jobs:
        _results(info, jobs)


def _submit_once(runs: Sequence[Run], subset: str, file_id: str, data: bytes, name: str) -> None:
    """Queue the image for every chosen run, unless that was done for this very choice."""
    asked = (file_id, subset, *(run.id for run in runs))
    if st.session_state.get("single_asked") == asked:
        return
    st.session_state["single_asked"] = asked
    jobs = session.attempt(lambda: [submit_single(engine.store(), run.id, subset, data, name) for run in runs])
    session.put(single=[str(job) for job in jobs] if jobs else None)


def _results(info: DatasetInfo, jobs: list[str]) -> None:
    stored = session.attempt(lambda: [engine.store().queue.job(int(j)) for j in jobs if j.isdecimal()]) or []
    stored = [job for job in stored if job.kind == "single"]
    if stored and session.get("stage") and Path(stored[0].payload["path"]).is_file():
        _present(info, stored)
    elif stored:
        waiting = any(job.active for job in stored)
        st.fragment(_show, run_every=LOOK_SECONDS if waiting else None)(info, [job.id for job in stored], waiting)


def _show(info: DatasetInfo, job_ids: list[int], waiting: bool) -> None:
    store = engine.store()
    runs = {run.id: run for run in session.runs_in_view(info)}
    jobs = [job for job in map(store.queue.job, job_ids) if job.payload["run"] in runs]
    if waiting and not any(job.active for job in jobs):
        st.rerun()
    if not jobs:
        return
    path = Path(jobs[0].payload["path"])
    if not path.is_file():
        st.warning("This image is no longer kept; upload it again.", icon=":material/info:")
        return
    size = probe(path)
    name = jobs[0].payload.get("name", "the uploaded image")
    map_viewer(
        original_url=urls.single(jobs[0].id, "original"),
        fallback_url=urls.single(jobs[0].id, "preview"),
        alt=f"The uploaded image {name}",
        maps=[_layer(job, runs[job.payload["run"]]) for job in jobs],
        width=size.width,
        height=size.height,
        key="single_viewer",
    )
    with st.container(horizontal=True):
        how_to_read(READ_MAPS, "the maps")
        how_to_read(READ_SCORE_STRIP, "the place of a score")
        stage_button("stage_single")
    columns = st.columns(min(len(jobs), 2), gap="large")
    for i, job in enumerate(jobs):
        with columns[i % 2]:
            _place(info, job, runs[job.payload["run"]])


def _present(info: DatasetInfo, jobs: list[Job]) -> None:
    """The picture for a room of people, under the map of one run after the other."""
    runs = {run.id: run for run in session.runs_in_view(info)}
    jobs = [job for job in jobs if job.payload["run"] in runs]
    at = next((i for i, job in enumerate(jobs) if str(job.id) == session.get("stage")), 0)

    def move(way: Move) -> None:
        to = at + (1 if way == "next" else -1)
        if 0 <= to < len(jobs):
            session.put(stage=str(jobs[to].id))

    if jobs:
        on_stage = _on_stage(info, jobs[at], runs[jobs[at].payload["run"]])
        count = f"{at + 1} of {len(jobs)} scorers" if len(jobs) > 1 else ""
        on_stage = replace(on_stage, count=count, before=at > 0, after=at + 1 < len(jobs))
        stage(on_stage, on_leave=leave, on_move=move, words=guide.words())
    if any(job.active for job in jobs):
        st.fragment(_await_scores, run_every=LOOK_SECONDS)([job.id for job in jobs if job.active])


def _await_scores(job_ids: Sequence[int]) -> None:
    if not all(engine.store().queue.job(job_id).active for job_id in job_ids):
        st.rerun()


def _on_stage(info: DatasetInfo, job: Job, run: Run) -> Picture:
    result, subset, name = job.result or {}, job.payload["subset"], job.payload.get("name", "the uploaded image")
    stored, card = from_result(result, subset), info.card.subset(subset)
    picture = Picture(
        name,
        f"The uploaded image {name}",
        urls.single(job.id, "original"),
        urls.single(job.id, "preview"),
        _layer(job, run),
    )
    if job.active:
        return replace(picture, places=[Place(run.title, "The image is being scored.")])
    if job.error or stored.score is None:
        return replace(picture, places=[Place(run.title, str(job.error or failure(stored.status, stored.reason)))])
    said: Any = _verdicts(run, job).iloc[-1]
    levels = sorted({*engine.table_of(run, subset)["level"].dropna(), said["called"]})
    return replace(
        picture,
        level=charts.level_on_stage(said["called"], levels, card),
        called=verdict(said),
        reason=stored.reason or "",
        by=run.title,
        places=[place_on_stage(run, run.title, subset, card, stored.score)],
    )


def _verdicts(run: Run, job: Job) -> pd.DataFrame:
    """What the run calls the images that it has scored, and in the last row the uploaded one."""
    subset = job.payload["subset"]
    cuts = engine.store().cuts.of_run(run.id).get(subset)
    return call_new(engine.store(), run, subset, engine.table_of(run, subset), job.result or {}, cuts)


def _layer(job: Job, run: Run) -> MapLayer:
    result = job.result or {}
    if job.active:
        return MapLayer(run.title, "being scored", missing="The image is being scored.")
    return MapLayer(
        run.title,
        score_text(result.get("score")),
        url=urls.single(job.id, "map") if result.get("map") else None,
        missing=job.error or result.get("reason") or "This scorer gave no anomaly map.",
        **engine.map_range(run, job.payload["subset"]),
    )


def _place(info: DatasetInfo, job: Job, run: Run) -> None:
    """Where the score falls among the levels of the subset."""
    result, subset = job.result or {}, job.payload["subset"]
    if job.active:
        st.progress(0.0, text=f"{plain(run.title)}: waiting for the worker")
        return
    card = info.card.subset(subset)
    stored = from_result(result, subset)
    if job.error or stored.score is None:
        problem = job.error or failure(stored.status, stored.reason)
        st.error(plain(f"{run.title}: {problem}"), icon=":material/error:")
        answer(run, card, stored, f"answer_{job.id}")
        return
    mark, rows = stored.score, engine.table_of(run, subset)
    verdicts = _verdicts(run, job)
    said: Any = verdicts.iloc[-1]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(run.title)}**: {score_text(mark)}", width="content")
        if np.isfinite(said["called"]):
            st.caption("called", width="content")
            levels = sorted({*rows["level"].dropna(), said["called"]})
            st.html(charts.level_chip(said["called"], levels, card, large=True), width="content")
        if said["set"]:
            st.caption(f"not ruled out: {plain(said['set'])}", width="content", help=guarantee_of(run, verdicts))
    if said["unlike"]:
        st.warning(UNLIKE, icon=":material/block:")
    elif said["why"]:
        st.caption(plain(f"{said['why'][:1].upper()}{said['why'][1:]}."))
    reason(stored)
    place(run, subset, card, mark, f"strip_{job.id}")
    answer(run, card, stored, f"answer_{job.id}")
