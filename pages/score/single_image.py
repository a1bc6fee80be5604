"""Score uploaded images at once with fitted runs, and see where each falls among the levels."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mad_core.errors import MadError
from mad_core.figures import READ_SCORE_STRIP
from mad_core.image_formats import UPLOAD_TYPES
from mad_core.images import probe
from mad_core.runs.queue import Job
from mad_core.runs.single_image import submit_single
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.triage import call_new, guarantee_of, verdict
from pages.ui import charts, engine, guide, session, urls
from pages.ui.answers import answer, failure, from_result, reason
from pages.ui.gallery import Tile, gallery
from pages.ui.placing import place, place_on_stage
from pages.ui.presses import Move
from pages.ui.reading import how_to_read
from pages.ui.stage import Picture, Place, leave, stage, stage_button
from pages.ui.text import level_text, plain, score_text
from pages.ui.viewer import MAX_MAPS, READ_MAPS, MapLayer, map_viewer
from pages.ui.widgets import pick, pick_several

LOOK_SECONDS = 0.4
UNLIKE = (
    "Unlike anything fitted: this picture differs nearly everywhere from what the run has learned from, as another "
    "product or an empty picture does. Its score says nothing of severity."
)
FILES, CAMERA = "Files", "The camera"
MOST = 24
"""Images that are scored at once."""


def one_image(info: DatasetInfo) -> None:
    """Upload, choose the runs, see the maps and the place among the levels."""
    fitted = {run.id: run for run in session.runs_in_view(info) if engine.store().run_subsets(run.id)}
    if not fitted:
        st.info("An image can be scored once a run has been fitted; queue one under New run.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        with st.container(width=360):
            taken = _taken()
        titles, first = {run.id: run.title for run in fitted.values()}, list(fitted)[:2]
        chosen = pick_several("Scored by", "by", list(fitted), titles, first, max_selections=MAX_MAPS, width=420)
        subsets = [s for s in engine.store().dataset(info.id).subsets if any(s in fitted[r].subsets for r in chosen)]
        subset = pick("As a part of", "subset", subsets, width=200)
    if taken and subset and chosen:
        _submit([fitted[r] for r in chosen if subset in fitted[r].subsets], subset, taken)
    jobs = session.get_list("single")
    if jobs:
        _results(info, jobs)


def _taken() -> list[UploadedFile]:
    """The pictures that were dropped, or the one that the camera took."""
    if st.segmented_control("From", [FILES, CAMERA], default=FILES, required=True) == CAMERA:
        picture = st.camera_input("Picture")
        return [] if picture is None else [picture]
    files = st.file_uploader("Images", type=list(UPLOAD_TYPES), accept_multiple_files=True)
    if len(files) > MOST:
        words = f"The first {MOST} of these {len(files):,} images are scored; on Data as many as you like are imported."
        st.warning(words, icon=":material/info:")
    return files[:MOST]


def _submit(runs: Sequence[Run], subset: str, files: Sequence[UploadedFile]) -> None:
    """Queue every image for every chosen run, unless that was done in this session; say what cannot be read."""
    queued: dict[Any, Any] = st.session_state.setdefault("single_queued", {})
    for file in files:
        for run in runs:
            asked = (file.file_id, subset, run.id)
            if asked not in queued:
                queued[asked] = _queued(run, subset, file)
    outcomes = list(dict.fromkeys(queued[file.file_id, subset, run.id] for file in files for run in runs))
    for problem in outcomes:
        if isinstance(problem, str):
            st.error(plain(problem), icon=":material/error:")
    session.put(single=[str(job) for job in outcomes if isinstance(job, int)])


def _queued(run: Run, subset: str, file: UploadedFile) -> int | str:
    """The job that scores an image, or why there is none."""
    try:
        return submit_single(engine.store(), run.id, subset, file.getvalue(), file.name)
    except MadError as error:
        return str(error)
    except OSError as error:  # a disk that is full
        return f"{file.name} cannot be kept: {error.strerror or error}."


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
    pictures = _pictures(jobs)
    if not pictures:
        return
    at = _in_view(pictures)
    if len(pictures) > 1:
        _overview(info, runs, pictures, at)
    _picture(info, runs, pictures[at], partial(_turn, pictures, at) if len(pictures) > 1 else None)


def _pictures(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs of each picture, by the score of the first scorer, highest first."""
    by_path: dict[str, list[Job]] = {}
    for job in jobs:
        by_path.setdefault(job.payload["path"], []).append(job)
    return sorted(by_path.values(), key=lambda of: -_score(of[0]))


def _score(job: Job) -> float:
    score = (job.result or {}).get("score")
    return -math.inf if score is None else float(score)


def _in_view(pictures: Sequence[Sequence[Job]]) -> int:
    """The place of the picture that the view names, else of the first."""
    asked = session.get("picture")
    return next((i for i, jobs in enumerate(pictures) if asked in {str(job.id) for job in jobs}), 0)


def _turn(pictures: Sequence[Sequence[Job]], at: int, way: Move) -> None:
    to = at + (1 if way == "next" else -1)
    if 0 <= to < len(pictures):
        session.put(picture=str(pictures[to][0].id))


def _overview(info: DatasetInfo, runs: Mapping[str, Run], pictures: Sequence[Sequence[Job]], at: int) -> None:
    """All pictures at a glance, with what the first scorer says of each."""
    first = [jobs[0] for jobs in pictures]
    run = runs[first[0].payload["run"]]
    st.caption(plain(f"{len(pictures)} images by the score of {run.title}, highest first"))
    told: list[Any] = _verdicts(run, first).iloc[-len(first) :].to_dict("records")
    levels = set(engine.table_of(run, first[0].payload["subset"])["level"].dropna())
    gallery(
        [_tile(info, levels, job, said) for job, said in zip(first, told, strict=True)],
        key="single_gallery",
        selected=str(first[at].id),
        on_open=lambda job_id: session.put(picture=job_id),
    )


def _tile(info: DatasetInfo, levels: Set[float], job: Job, said: Mapping[str, Any]) -> Tile:
    """What is said of one picture; ``levels`` are those of the images that the run has scored."""
    subset, name = job.payload["subset"], job.payload.get("name") or "the uploaded image"
    colour, ink, _ = charts.level_tones(said["called"], sorted(levels | {said["called"]} - {math.nan}))
    called = f"called {level_text(said['called'], info.card.subset(subset))}"
    failed = bool(job.error) or _score(job) == -math.inf
    state = "being scored" if job.active else "failed" if failed else ""
    unlike = "unlike anything fitted" if said["unlike"] else ""
    label = state or unlike or (called if np.isfinite(said["called"]) else "no level")
    return Tile(
        str(job.id),
        urls.single(job.id, "preview"),
        f"{name}, {label}",
        label,
        colour,
        ink,
        caption=name,
        score_label="" if state else score_text(_score(job)),
    )


def _picture(
    info: DatasetInfo, runs: Mapping[str, Run], jobs: Sequence[Job], on_move: Callable[[Move], None] | None
) -> None:
    """One picture under the maps of all scorers, and its place among the levels."""
    path = Path(jobs[0].payload["path"])
    if not path.is_file():
        st.warning("This image is no longer kept; upload it again.", icon=":material/info:")
        return
    size = probe(path)
    name = jobs[0].payload.get("name", "the uploaded image")
    if on_move:
        st.markdown(f"**{plain(name)}**")
    map_viewer(
        original_url=urls.single(jobs[0].id, "original"),
        fallback_url=urls.single(jobs[0].id, "preview"),
        alt=f"The uploaded image {name}",
        maps=[_layer(job, runs[job.payload["run"]]) for job in jobs],
        width=size.width,
        height=size.height,
        key="single_viewer",
        on_move=on_move,
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
    """Pictures for a room of people, one after the other; a single one under the map of one run after the other."""
    runs = {run.id: run for run in session.runs_in_view(info)}
    pictures = _pictures([job for job in jobs if job.payload["run"] in runs])
    steps = [of[0] for of in pictures] if len(pictures) > 1 else [job for of in pictures for job in of]
    if not steps:
        return
    ids = [str(job.id) for job in steps]
    wanted = (session.get("stage"), *(str(job.id) for job in pictures[_in_view(pictures)]))
    at = next((ids.index(one) for one in wanted if one in ids), 0)

    def move(way: Move) -> None:
        to = at + (1 if way == "next" else -1)
        if 0 <= to < len(steps):
            session.put(stage=str(steps[to].id), picture=str(steps[to].id))

    on_stage = _on_stage(info, steps[at], runs[steps[at].payload["run"]])
    kind = "" if len(pictures) > 1 else " scorers"
    count = f"{at + 1} of {len(steps)}{kind}" if len(steps) > 1 else ""
    on_stage = replace(on_stage, count=count, before=at > 0, after=at + 1 < len(steps))
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
    said: Any = _verdicts(run, [job]).iloc[-1]
    levels = sorted({*engine.table_of(run, subset)["level"].dropna(), said["called"]})
    return replace(
        picture,
        level=charts.level_on_stage(said["called"], levels, card),
        called=verdict(said),
        reason=stored.reason or "",
        by=run.title,
        places=[place_on_stage(run, run.title, subset, card, stored.score)],
    )


def _verdicts(run: Run, jobs: Sequence[Job]) -> pd.DataFrame:
    """What the run calls the images that it has scored, and in the last rows the uploaded ones."""
    subset = jobs[0].payload["subset"]
    cuts = engine.store().cuts.of_run(run.id).get(subset)
    results = [job.result or {} for job in jobs]
    return call_new(engine.store(), run, subset, engine.table_of(run, subset), results, cuts)


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
    verdicts = _verdicts(run, [job])
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
