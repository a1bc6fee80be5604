"""Add a dataset: from this machine, by upload, or a published benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from mad_core import remote
from mad_core.datasets import solar_cells
from mad_core.datasets.madbench import BENCHMARKS
from mad_core.errors import InputError
from mad_core.image_formats import UPLOAD_TYPES
from mad_core.runs.fetch_job import queue_fetch
from mad_core.runs.jobs import ImportJob, submit
from mad_core.runs.uploads import keep_uploads
from mad_core.scorers.named_paths import outside_roots
from pages.data.choose import folder_chooser
from pages.ui import engine, session
from pages.ui.text import plain

ARCHIVES = ["zip", "tar", "gz", "tgz", "bz2", "xz", "csv", "tsv", "xlsx", "json", "jsonl", "parquet"]
SOURCE = "add_source"
"""Key of the field that names what to import."""
UPLOADS = [*ARCHIVES, *UPLOAD_TYPES]
"""What can be uploaded: one archive or table, or any number of pictures."""


@st.dialog("Add a dataset", width="large")
def add_dataset_dialog() -> None:
    add_dataset()


def add_dataset() -> None:
    on_disk, upload, published, photographs = st.tabs(
        ["From this machine", "Upload", "Published benchmark", "Photographs to try"]
    )
    with on_disk:
        folder_chooser(SOURCE)
    with on_disk, st.form("add_path", border=False):
        source = st.text_input(
            "Folder, table or archive",
            key=SOURCE,
            placeholder="/data/parts/line3",
            help="A folder a level (level_0 …), a MAD-Bench folder, an MVTec-style tree, a CSV, JSON or Parquet "
            "table, or a zip or tar of any of these; a folder on object storage, s3://bucket/line3. Headers and "
            "digests are checked now, pixels are decoded when an image is looked at or scored.",
        )
        policy = st.text_input(
            "Severity policy (optional)", placeholder="/data/parts/severity.yaml", help="YAML: defect type to level."
        )
        asked = st.form_submit_button("Import") and source.strip()
        if asked and session.attempt(lambda: _queue_path(source.strip(), policy.strip())):
            st.toast(f"{plain(source.strip())} is being read; what was found stands here then, before it is imported.")
            st.rerun()
    with upload, st.form("add_upload", border=False, clear_on_submit=True):
        _upload_form()
    with published, st.form("fetch", border=False):
        _fetch_form()
    with photographs:
        _photographs()


def _photographs() -> None:
    """Offer the photographs that a package brings, or say what to install."""
    card = solar_cells.card()
    st.markdown(f"**{plain(card.title)}**  \n{plain(card.description)}")
    st.caption(plain(f"{card.source}. {card.licence}."))
    if solar_cells.installed() is None:
        st.info(plain(solar_cells.NEEDS), icon=":material/download:")
    elif st.button("Import the solar cells") and session.attempt(_queue_photographs):
        st.rerun()


def _queue_photographs() -> int:
    return submit(engine.store().queue, ImportJob(solar_cells.SOURCE))


def _upload_form() -> None:
    files = st.file_uploader("A zip or tar, a table, or pictures", type=UPLOADS, accept_multiple_files=True)
    if not st.form_submit_button("Upload and import") or not files:
        return
    if session.attempt(lambda: _queue_upload(files)):
        st.rerun()


def _fetch_form() -> None:
    """Download MAD-Bench, or some of it, into a folder of this machine, and import that."""
    st.caption(
        "MAD-Bench from the Hugging Face hub. A download that was stopped goes on where it was. "
        "Each dataset has terms of its own: read them before you use it."
    )
    titles = {b.key: b.title for b in BENCHMARKS}
    datasets = st.multiselect(
        "Datasets to download",
        list(titles),
        format_func=titles.__getitem__,
        placeholder="all six",
        key="fetch_datasets",
    )
    subsets = st.text_input(
        "Or single subsets", placeholder="mvtec/bottle, visa/pcb1", help="Joined by commas.", key="fetch_subsets"
    )
    to = st.text_input("Into the folder", str(engine.store().settings.home / "madbench"), key="fetch_to")
    asked = st.form_submit_button("Download and import")
    if asked and session.attempt(lambda: _queue_fetch([*datasets, subsets.strip()], to.strip())):
        st.rerun()


def _queue_fetch(only: list[str], to: str) -> int:
    store, folder = engine.store(), Path(to).expanduser()
    if not to or not folder.is_absolute():
        raise InputError("Name the folder to download into, from the root on: /data/madbench.")
    if not store.settings.may_open(folder):
        raise InputError(outside_roots(to, store.settings))
    return queue_fetch(store, ",".join(filter(None, only)), folder.resolve(), then="import", guarded=True)


def _queue_path(source: str, policy: str) -> int:
    """Queue a look at a source."""
    told = resolved(policy) if policy else None
    return submit(engine.store().queue, ImportJob(opened(source), policy=told, guarded=True, look=True))


def opened(source: str) -> str:
    """A source that may be opened here. A path has its links resolved, so that nobody can turn a link meanwhile.

    Raises
    ------
    InputError
    """
    if not remote.is_address(source):
        return resolved(source)
    address = remote.plain_address(source)
    if not engine.store().settings.may_open_address(address):
        raise InputError(f"{address} is none of the places that may be opened here; name it in MAD_ALLOWED_ROOTS.")
    return address


def resolved(path: str) -> str:
    """A path that may be opened here and is there.

    Raises
    ------
    InputError
    """
    settings = engine.store().settings
    if not settings.may_open(Path(path)):
        raise InputError(outside_roots(path, settings))
    real = Path(path).expanduser().resolve()
    if not real.exists():
        raise InputError(f"{path} does not exist on the machine that runs this app.")
    return str(real)


def _queue_upload(files: Sequence[Any]) -> int:
    store = engine.store()
    path = keep_uploads(store.settings, [(file.name, file) for file in files])
    name = Path(files[0].name).stem if len(files) == 1 else path.stem
    return submit(store.queue, ImportJob(str(path), name=name, look=True))
