"""More images for the dataset in view: added now, from a folder or by upload."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from mad_core.datasets.dataset import Dataset
from mad_core.errors import InputError
from mad_core.runs.jobs import ImportJob, submit
from mad_core.runs.store import DatasetInfo
from mad_core.runs.store.watches import Watch
from mad_core.runs.uploads import keep_uploads
from pages.data.add import UPLOADS, opened, resolved
from pages.ui import engine, session
from pages.ui.text import plain

HELP = (
    "A folder, a table or an archive. Images whose content is here already are not taken again. The others are tested, "
    "without a level where nothing says one, and finished runs score them; what is scored stays as it is."
)

WATCHED = (
    "The worker looks twice a second. A file is taken once it stands unchanged and can be decoded whole, each content "
    "once; finished runs, or those chosen, score it. A share that goes away is looked for again."
)


def add_images(info: DatasetInfo, dataset: Dataset) -> None:
    """The form that takes more images in as the dataset's next version."""
    with st.expander("Add images to this dataset", icon=":material/add_photo_alternate:"):
        with st.form(f"grow_{info.id}", border=False, clear_on_submit=True):
            path = st.text_input("Take images from", placeholder="/data/parts/monday", help=HELP)
            files = st.file_uploader("Or upload pictures, or a zip or tar", type=UPLOADS, accept_multiple_files=True)
            subset = st.selectbox(
                "Subset", ["", *dataset.subsets], format_func=lambda name: name or "as they are called"
            )
            asked = st.form_submit_button("Add images") and (path.strip() or files)
        if asked and session.attempt(lambda: _queue(info, path.strip(), files, subset)):
            st.rerun()
        for addition in info.card.additions[-3:]:
            st.caption(f"{addition.images:,} images from {Path(addition.source).name}")


def _queue(info: DatasetInfo, path: str, files: Sequence[Any], subset: str) -> int:
    store = engine.store()
    source = opened(path) if path else str(keep_uploads(store.settings, [(file.name, file) for file in files]))
    return submit(store.queue, ImportJob(source, guarded=bool(path), to=info.id, subset=subset))


def watched_folders(info: DatasetInfo, dataset: Dataset) -> None:
    """The folders that this dataset grows from by itself, and a form to watch one more."""
    store, watches = engine.store(), engine.store().watches.all(info.id)
    label = "Watch a folder" if not watches else f"Watched folders: {len(watches)}"
    with st.expander(label, icon=":material/folder_eye:", expanded=bool(watches)):
        for watch in watches:
            _watch(watch)
        finished = {run.id: run.title for run in store.runs(info.id) if run.status == "done"}
        with st.form(f"watch_{info.id}", border=False, clear_on_submit=True):
            path = st.text_input("Folder to watch", placeholder="/data/line3/camera", help=WATCHED)
            runs = st.multiselect(
                "Scored by", list(finished), format_func=finished.__getitem__, placeholder="all finished runs"
            )
            names = {"": "as they are called"} | {name: name for name in dataset.subsets}
            subset = st.selectbox("Arrivals belong to", list(names), format_func=names.__getitem__)
            asked = st.form_submit_button("Watch") and path.strip()
        if asked and session.attempt(lambda: _begin(info, path.strip(), runs, subset)):
            st.rerun()


def _watch(watch: Watch) -> None:
    """A watched folder: what came, and what is wrong with it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{plain(watch.path)}: {watch.state.get('added', 0):,} images", width="stretch")
        if st.button("Stop", key=f"unwatch_{watch.id}"):
            session.attempt(lambda: engine.store().watches.end(watch.id))
            st.rerun()
    if watch.state.get("error"):
        st.warning(plain(str(watch.state["error"])), icon=":material/cloud_off:")


def _begin(info: DatasetInfo, path: str, runs: list[str], subset: str) -> Watch:
    folder = Path(resolved(path))
    if not folder.is_dir():
        raise InputError(f"{path} is no folder that can be watched.")
    return engine.store().watches.add(info.id, str(folder), runs, subset)


def added_in_words(result: Mapping[str, Any]) -> str:
    """``12 new images, 3 were here already; 2 runs score them.``"""
    there = f", {result['there']:,} here already" if result["there"] else ""
    going = f"; {len(result['runs'])} runs score them" if result["runs"] else ""
    return f"{result['added']:,} new images{there}{going}."
