"""One image of the dataset: under the maps of up to four runs, beside its level, with its place among the scores."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import LevelMeaning, level_key
from mad_core.errors import MadError
from mad_core.figures import READ_SCORE_STRIP
from mad_core.images import ImageInfo, probe, read_mask
from mad_core.report.one_image import one_image_png
from mad_core.report.pictures import Scale
from mad_core.runs.jobs import MapJob, ReasonJob, submit
from mad_core.runs.store import Run, StoredScore
from mad_core.runs.triage import verdict
from mad_core.runs.uploads import safe_name
from mad_core.scorers.contract import OK
from pages.images.browsing import Browsing
from pages.images.similar import similar
from pages.images.window import window_and_level, window_in_view
from pages.ui import charts, engine, guide, session, urls
from pages.ui.answers import answer, failure, reason
from pages.ui.placing import place_beside, place_on_stage
from pages.ui.reading import how_to_read
from pages.ui.stage import Picture, Place, leave, stage, stage_button
from pages.ui.text import level_text, plain, score_text
from pages.ui.viewer import MAX_MAPS, READ_MAPS, MapLayer, map_viewer
from pages.ui.widgets import download, pick_several

LAST_INSPECTED = "last_inspected"
LOOK_SECONDS = 2
STRIPS = 2
"""Places among the levels that the stage has room for."""
SIDE = 330
"""Width of the panel beside the picture, pixels."""
ROOM = """<style>
[data-testid='stLayoutWrapper']:has(> .st-key-picture) { min-width: min(36rem, 100%); }
.st-key-beside { gap: 0.5rem; }
</style>"""
"""Where the picture would get less, the panel stands below it."""


def inspect(view: Browsing, row: Mapping[str, Any]) -> None:
    """Draw the page of one image; ``row`` is its row of the dataset's table."""
    st.session_state[LAST_INSPECTED] = row["image_id"]
    order, in_gallery = view.shown, True
    places = np.flatnonzero((order["image_id"] == row["image_id"]).to_numpy())
    if not len(places):
        order, in_gallery = view.unfiltered, False
        places = np.flatnonzero((order["image_id"] == row["image_id"]).to_numpy())
    place = int(places[0])

    def move(step: int) -> None:
        now = np.flatnonzero((order["image_id"] == session.get("image")).to_numpy())  # of several presses at once
        to = (int(now[0]) if len(now) else place) + step
        if 0 <= to < len(order):
            session.put(image=order["image_id"].iloc[to])
            if in_gallery:
                page = to // view.size + 1
                session.put(page=str(page) if page > 1 else None)

    if session.get("stage"):
        _present(view, row, order, place, move)
        return
    st.html(ROOM)
    with st.container(horizontal=True, gap="medium", key="one_image"):
        picture, side = st.container(width="stretch", key="picture"), st.container(width=SIDE, key="beside")
    with side:
        _steps(place, len(order), move)
        _severity(view, row, f"{place + 1:,} of {len(order):,}")
        if not in_gallery:
            st.caption("Outside the gallery's filters")
        _called(view, row["image_id"])
        places, facts, choice = st.container(), st.container(), st.container()
    with choice:
        runs = _runs(view)
        window_and_level(view.card)
        _as_png(view, row, runs)
        stage_button("stage_image")
    stored = {run.id: engine.store().score(run.id, row["image_id"]) for run in runs}
    around = [order.iloc[i] for i in (place + 1, place - 1) if 0 <= i < len(order)]
    with picture:
        _viewer(view, row, runs, stored, around, move)
    with places:
        for run in runs:
            _place(view, run, stored[run.id])
    with facts:
        _facts(view, row)
    _scores(view, row, runs, stored)
    similar(view, row)


# -- beside the picture -------------------------------------------------------------------------


def _steps(place: int, total: int, move: Callable[[int], None]) -> None:
    """The way back, and to the images before and after this one."""
    with st.container(horizontal=True, gap="small"):
        st.button("Gallery", icon=":material/arrow_back:", on_click=session.put, kwargs={"image": None})
        for label, step, key in (("Previous", -1, "←"), ("Next", 1, "→")):
            st.button(
                label,
                help=f"Key {key}",
                width="stretch",
                disabled=not 0 <= place + step < total,
                on_click=move,
                args=(step,),
                key=f"step_{label.lower()}",  # the viewer counts presses of these
            )


def _severity(view: Browsing, row: Mapping[str, Any], count: str) -> None:
    """The name, where it stands among how many, and the level in words."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(plain(Path(row["path"]).name), anchor=False, width="content")
        st.caption(count, width="content")
    st.html(charts.level_chip(row["level"], view.levels, view.card, large=True))


def _facts(view: Browsing, row: Mapping[str, Any]) -> None:
    """What the level means, and what is known of the image."""
    meaning = view.card.levels.get(level_key(row["level"]), LevelMeaning()).meaning
    if meaning:
        st.markdown(plain(meaning))
    facts = [("Defect", row["defect"] or "none"), *_size(row), ("Split", row["split"]), ("File", row["template_path"])]
    st.caption("  \n".join(f"**{name}** {plain(str(value))}" for name, value in facts))


def _called(view: Browsing, image_id: str) -> None:
    """The level that the run calls an image, the levels that cannot be ruled out, and why."""
    rows: Any = view.images[view.images["image_id"] == image_id]
    for row in rows.to_dict("records"):
        if row["unlike"]:
            st.warning(verdict(row), icon=":material/block:")
        elif row["set"] and np.isfinite(row["called"]):
            st.markdown(plain(verdict(row)))
            st.caption(plain(row["why"]))


def _size(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("Size", f"{row['width']} × {row['height']} px")] if row["width"] else []
    return (
        [*facts, ("Defect area", _mask_share(row["mask_path"], row["mask_hash"] or ""))] if row["mask_path"] else facts
    )


@st.cache_data(max_entries=1024, show_spinner=False)
def _mask_share(path: str, digest: str) -> str:
    """The share of the image that its mask marks, in words."""
    try:
        return f"{100 * read_mask(Path(path), content_hash=digest).mean():.2g} % of the image"
    except MadError as error:
        return str(error)


def _runs(view: Browsing) -> list[Run]:
    """The runs side by side: by default the gallery's, then those that keep maps and have begun."""
    if not view.runs:
        if view.split != "test":
            st.caption("Scorers score test images only.")
        return []
    facts = {"max_selections": MAX_MAPS}
    chosen = pick_several("Scorers side by side", "maps", list(view.runs), view.names, _usual(view), **facts)
    return [view.runs[run_id] for run_id in chosen]


def _usual(view: Browsing) -> list[str]:
    others = [run for run in view.runs.values() if run is not view.run and run.done and run.map_policy == "all"]
    return [run.id for run in (view.run, *others) if run][:MAX_MAPS]


def _as_png(view: Browsing, row: Mapping[str, Any], runs: Sequence[Run]) -> None:
    """The image beside its maps as a file."""

    def write(scale: Scale) -> bytes:
        title = f"{Path(row['path']).name}  {level_text(row['level'], view.card)}"
        return one_image_png(engine.store(), {**row, "dataset_id": view.info.id}, runs, view.names, title, scale)

    what, name = "Image and maps as PNG" if runs else "Image as PNG", Path(row["path"]).stem
    words = "With scores and the scale of each map."
    download(what, safe_name(f"{name}.png"), partial(write, "range"), help=words)
    if any((engine.map_range(run, view.subset).get("threshold") or 0) > 0 for run in runs):
        words = "Colours by value / (value + threshold): .5 is the run's threshold, in every run and image."
        anchored = partial(write, "threshold")
        download("PNG anchored at the threshold", safe_name(f"{name}_anchored.png"), anchored, help=words)


# -- the stage ----------------------------------------------------------------------------------


def _present(
    view: Browsing, row: Mapping[str, Any], order: pd.DataFrame, place: int, move: Callable[[int], None]
) -> None:
    """The image for a room of people: under the first run's map, among the levels by at most two runs."""
    chosen = [run for run in session.get_list("maps") if run in view.runs] or _usual(view)
    runs = [view.runs[run_id] for run_id in sorted(chosen, key=lambda run_id: view.runs[run_id] is not view.run)]
    stored = {run.id: engine.store().score(run.id, row["image_id"]) for run in runs}
    saying = next((run for run in runs if (one := stored[run.id]) and one.score is not None and one.reason), None)
    called: Any = view.images[view.images["image_id"] == row["image_id"]]
    around = [order.iloc[i] for i in (place + 1, place - 1) if 0 <= i < len(order)]
    picture = Picture(
        name=Path(row["path"]).name,
        alt=f"{Path(row['path']).name}, {level_text(row['level'], view.card)}",
        original=_picture(view, row, "original"),
        fallback=_picture(view, row, "preview"),
        map=_layer(view, runs[0], stored[runs[0].id], row["image_id"]) if runs else None,
        level=charts.level_on_stage(row["level"], view.levels, view.card),
        called=next(map(verdict, called.to_dict("records")), ""),
        reason=str(stored[saying.id].reason) if saying else "",  # type: ignore[union-attr]
        by=view.names[saying.id] if saying else "",
        places=[_on_stage(view, run, stored[run.id]) for run in runs[:STRIPS]],
        count=f"{place + 1:,} of {len(order):,}",
        before=place > 0,
        after=place + 1 < len(order),
    )
    stage(
        picture,
        words=guide.words(),
        prefetch=[address for other in around for address in _addresses(view, other, runs[:1])],
        on_move=lambda direction: move(1 if direction == "next" else -1),
        on_leave=leave,
    )


def _on_stage(view: Browsing, run: Run, stored: StoredScore | None) -> Place:
    if stored is not None and stored.score is not None:
        return place_on_stage(run, view.names[run.id], view.subset, view.card, stored.score)
    why = _why_no_score(run) if stored is None else f"Failed: {failure(stored.status, stored.reason)}"
    return Place(view.names[run.id], why)


# -- the picture --------------------------------------------------------------------------------


def _viewer(
    view: Browsing,
    row: Mapping[str, Any],
    runs: Sequence[Run],
    stored: Mapping[str, StoredScore | None],
    around: Sequence[Mapping[str, Any]],
    move: Callable[[int], None],
) -> None:
    size = session.attempt(
        lambda: ImageInfo(row["width"], row["height"], "") if row["width"] else probe(Path(row["path"]))
    )
    if size is None:
        return
    map_viewer(
        original_url=_picture(view, row, "original"),
        fallback_url=_picture(view, row, "preview"),
        mask_url=_picture(view, row, "mask") if row["mask_path"] else None,
        alt=f"{Path(row['path']).name}, {level_text(row['level'], view.card)}",
        maps=[_layer(view, run, stored[run.id], row["image_id"]) for run in runs],
        width=size.width,
        height=size.height,
        key=f"viewer_{view.subset}",
        link=_link(view, row, runs),
        prefetch=[address for other in around for address in _addresses(view, other, runs)],
        on_move=lambda direction: move(1 if direction == "next" else -1),
    )


def _link(view: Browsing, row: Mapping[str, Any], runs: Sequence[Run]) -> str:
    """Where this very image, its runs, the order and the filters stand, whatever becomes of the defaults."""
    apart = view.against and (view.wanted.order == "rank difference" or view.wanted.apart)
    return session.address(
        "images",
        dataset=view.info.id,
        subset=view.subset,
        image=row["image_id"],
        run=view.run.id if view.run else None,
        against=view.against.id if view.against and apart else None,
        maps=[run.id for run in runs],
        sort=view.wanted.order,
        guide=None,
        stage=None,
    )


def _picture(view: Browsing, row: Mapping[str, Any], kind: str) -> str:
    digest = row["mask_hash"] if kind == "mask" else None
    window = window_in_view(view.card) if kind == "original" else ""
    return urls.picture(view.info.id, row["image_id"], kind, digest or row["content_hash"], window)


def _addresses(view: Browsing, row: Mapping[str, Any], runs: Sequence[Run]) -> list[str]:
    """What the viewer will need for another image."""
    addresses = [_picture(view, row, "original")]
    addresses += [_picture(view, row, "mask")] if row["mask_path"] else []
    layers = [_layer(view, run, engine.store().score(run.id, row["image_id"]), row["image_id"]) for run in runs]
    return addresses + [layer.url for layer in layers if layer.url]


def _layer(view: Browsing, run: Run, stored: StoredScore | None, image_id: str) -> MapLayer:
    there = stored is not None and stored.map is not None
    return MapLayer(
        view.names[run.id],
        score_text(stored.score) if stored else "",
        url=urls.anomaly_map(run.id, image_id, run.finished or run.created) if there else None,
        missing=_why_no_map(run, stored, image_id),
        **engine.map_range(run, view.subset),
    )


def _why_no_map(run: Run, stored: StoredScore | None, image_id: str) -> str:
    if stored is None:
        return _why_no_score(run)
    if stored.status != OK:
        return f"This scorer failed on the image: {stored.reason or stored.status}"
    if run.map_policy == "none":
        return "This run keeps no anomaly maps."
    if run.map_policy == "on demand":
        job = engine.store().queue.latest_for(MapJob(run.id, image_id).key)
        if job is not None and (job.active or job.error):
            return "The anomaly map is being made." if job.active else str(job.error)
        return "This run makes anomaly maps on demand; ask for this one below."
    return "This scorer gave no anomaly map."


def _why_no_score(run: Run) -> str:
    if run.active:
        return "This run has not scored the image yet."
    limit = f"; it was limited to {run.image_limit} images a subset" if run.image_limit else ""
    return f"This run ended without scoring the image{limit}."


# -- the scores ---------------------------------------------------------------------------------


def _scores(
    view: Browsing, row: Mapping[str, Any], runs: Sequence[Run], stored: Mapping[str, StoredScore | None]
) -> None:
    """What each run says beyond its score and map, two beside each other."""
    waiting = [run.id for run in runs if run.active and stored[run.id] is None]
    if waiting:
        _await_scores(waiting, row["image_id"])
    if runs:
        with st.container(horizontal=True):
            how_to_read(READ_MAPS, "the maps")
            how_to_read(READ_SCORE_STRIP, "the place of a score")
    saying = [(run, one) for run in runs if (one := stored[run.id]) is not None and _says_more(run, one)]
    columns = st.columns(min(len(saying), 2) or 1, gap="large")
    for i, (run, one) in enumerate(saying):
        with columns[i % 2]:
            _more(view, run, one)


@st.fragment(run_every=LOOK_SECONDS)
def _await_scores(run_ids: Sequence[str], image_id: str) -> None:
    if any(engine.store().score(run_id, image_id) for run_id in run_ids):
        st.rerun()


def _place(view: Browsing, run: Run, stored: StoredScore | None) -> None:
    """The score of a run among the scores of every level."""
    name = view.names[run.id]
    if stored is not None and stored.score is not None:
        place_beside(run, name, view.subset, view.card, stored.score, f"strip_{run.id}")
        return
    st.markdown(f"**{plain(name)}**")
    if stored is None:
        st.caption(_why_no_score(run))
    else:
        st.error(plain(f"Failed: {failure(stored.status, stored.reason)}"), icon=":material/error:")


def _says_more(run: Run, stored: StoredScore) -> bool:
    """Whether there is a reason, an answer, or something that can still be asked for."""
    asked = "reasons" in run.parameters or (run.map_policy == "on demand" and stored.map is None)
    return bool(asked or stored.reason or stored.detail or stored.distribution is not None)


def _more(view: Browsing, run: Run, stored: StoredScore) -> None:
    st.markdown(f"**{plain(view.names[run.id])}**")
    if stored.score is not None:
        reason(stored)
        _ask_for_reason(run, stored)
        _ask_for_map(run, stored)
    answer(run, view.card, stored, f"distribution_{run.id}")


def _ask_for_reason(run: Run, stored: StoredScore) -> None:
    """A button that has the model say why, where it was asked for scores alone."""
    if stored.reason or "reasons" not in run.parameters:
        return
    queue, payload = engine.store().queue, ReasonJob(run.id, stored.image_id)
    job = queue.latest_for(payload.key)
    if job is not None and job.error:
        st.caption(plain(str(job.error)))

    def ask() -> None:
        submit(queue, payload, device=run.device)

    active = job is not None and job.active
    st.button("Have the model say why", key=payload.key, on_click=ask, disabled=active)
    if active:
        _await_reason(run.id, stored.image_id, payload.key)


@st.fragment(run_every=LOOK_SECONDS)
def _await_reason(run_id: str, image_id: str, key: str) -> None:
    st.caption("The model is asked why.")
    if engine.store().queue.active_for(key) is None:
        st.rerun()


def _ask_for_map(run: Run, stored: StoredScore) -> None:
    """A button that has the map made by a worker, for runs that make maps on demand."""
    if run.map_policy != "on demand" or stored.map is not None:
        return
    queue, payload = engine.store().queue, MapJob(run.id, stored.image_id)

    def ask() -> None:
        submit(queue, payload, device=run.device)

    disabled = queue.active_for(payload.key) is not None
    st.button("Make the anomaly map", key=payload.key, on_click=ask, disabled=disabled)
