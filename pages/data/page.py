"""Data: pick, import, check and preview a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pandas as pd
import streamlit as st

from mad_core import remote
from mad_core.datasets.completeness import ABSENT, COMPLETE, Completeness, against_published, in_short
from mad_core.datasets.dataset import Dataset, LevelMeaning, level_key
from mad_core.datasets.madbench import BENCHMARKS, Benchmark
from mad_core.errors import InputError
from mad_core.runs.fetch_job import queue_fetch
from mad_core.runs.store import DatasetInfo
from mad_core.runs.uploads import keep_upload
from pages.data.calibration import calibrating
from pages.ui import charts, engine, guide, session, tiles
from pages.ui.gallery import gallery
from pages.ui.header import header, without_dataset
from pages.ui.text import plain, size

ARCHIVES = ["zip", "tar", "gz", "tgz", "bz2", "xz", "csv", "tsv", "json", "jsonl", "parquet"]
PREVIEW = 6
USE_SECONDS = 60


def page() -> None:
    info = header("Data")
    _imports_note()
    if info is None:
        without_dataset()
        guide.start_button()
        _add()
        return
    dataset = engine.store().dataset(info.id)
    _about(info, dataset)
    _published(against_published(dataset))
    subset = _subset(dataset)
    _counts(dataset, subset)
    _preview(info, dataset, subset)
    _problems(info)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _levels(info, subset)
    with right:
        _manage(info)
        calibrating(info, dataset)


def _imports_note() -> None:
    """Say how the last imports ended."""
    for job in engine.store().queue.recent(120):
        if job.kind in ("import", "fetch") and job.status == "failed":
            st.error(plain(job.error or "The import failed."), icon=":material/error:")
        if job.kind == "fetch" and job.status == "done" and job.result and job.result["refused"]:
            refused = " ".join(job.result["refused"])
            st.warning(f"Not all images were written: {plain(refused)}", icon=":material/warning:")
        if job.kind == "import" and job.status == "done" and st.session_state.get("imported") != job.id:
            st.session_state["imported"] = job.id
            if job.payload.get("source") != "demo":
                session.put(dataset=job.result["dataset"] if job.result else None, subset=None)
                st.rerun()


def _about(info: DatasetInfo, dataset: Dataset) -> None:
    tests = sum(sum(entry["test"].values()) for entry in dataset.counts())
    facts = [f"{info.images:,} images", f"{tests:,} for test", f"{len(dataset.subsets)} subsets"]
    masks = sum(entry["masks"] for entry in dataset.counts())
    facts += [f"{masks:,} masks"] if masks else []
    facts += [f"version {plain(info.card.version)}"] if info.card.version else []
    with st.container(horizontal=True, vertical_alignment="top"):
        with st.container():
            if info.card.description:
                st.markdown(plain(info.card.description))
            st.caption(" · ".join(facts))
        guide.start_button()
        if st.button("Add a dataset", icon=":material/add:"):
            _add_dialog()


def _subset(dataset: Dataset) -> str:
    """The subset in view."""
    names = dataset.subsets
    if len(names) == 1:
        return names[0]
    chosen = (
        st.segmented_control("Subset", names, format_func=plain, **session.bound("subset", names, names[0]))
        if len(names) <= 6
        else st.selectbox("Subset", names, **session.bound("subset", names, names[0]))
    )
    return chosen or names[0]


def _counts(dataset: Dataset, subset: str) -> None:
    """Images by split, subset and level: those of the subset in view in words, all of them in a table."""
    here = next(entry for entry in dataset.counts() if entry["subset"] == subset)
    words = {"train": "training normals", "calibration": "for calibration", "test": "test images"}
    said = [f"{sum(here[split].values()):,} {word}" for split, word in words.items() if here.get(split)]
    with st.expander(" · ".join([*said, f"{here['masks']:,} masks", "all counts"])):
        rows = []
        for entry in dataset.counts():
            for split in words:
                if entry.get(split):
                    counts = {f"L{k}": n for k, n in entry[split].items()}
                    rows.append({"Subset": entry["subset"], "Split": split, **counts})
        table = pd.DataFrame(rows)
        levels = sorted((c for c in table.columns if c.startswith("L")), key=lambda c: float(c[1:]))
        st.dataframe(table[["Subset", "Split", *levels]], hide_index=True, width="stretch")


def _published(entries: list[Completeness]) -> None:
    """What of the published benchmark is complete and what is missing; nothing for other data."""
    if not entries:
        return
    if all(e.state == COMPLETE for e in entries):
        st.success(plain(in_short(entries)), icon=":material/check:")
    else:
        st.info(plain(in_short(entries)), icon=":material/rule:")
    with st.expander("The published benchmark: images found / published, and its cards"):
        levels = sorted({level for e in entries for level in e.levels}, key=float)
        rows = [
            {
                "Subset": e.subset,
                "State": e.state,
                "Training": e.train,
                **{f"L{k}": f"{e.found.get(k, 0)} / {e.published[k]}" if k in e.published else "" for k in levels},
            }
            for e in entries
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
        there = {e.identity.benchmark.key for e in entries if e.state != ABSENT}
        for benchmark in BENCHMARKS:
            if benchmark.key in there:
                _benchmark_card(benchmark)


def _benchmark_card(benchmark: Benchmark) -> None:
    """Source, licence, levels, rubric and expected folders of one published dataset."""
    levels = ", ".join(f"L{k} {m.name}".strip() for k, m in benchmark.levels.items())
    below = f"{benchmark.folder}/{{subset}}" if benchmark.parts and benchmark.domain != "novelty" else benchmark.folder
    facts = (
        f"Levels: {levels}",
        f"Rubric: {benchmark.rubric}",
        f"Training normals in {below}/{benchmark.train}, test images in {below}/{benchmark.test}",
    )
    st.markdown(f"**{plain(benchmark.title)}**  \n{plain(benchmark.source)} {plain(benchmark.licence)}")
    st.caption("  \n".join(map(plain, facts)))


def _preview(info: DatasetInfo, dataset: Dataset, subset: str) -> None:
    """A few test images of every level, least severe first."""
    card, levels = info.card.subset(subset), dataset.levels(subset, "test")
    for level, (images, these) in _samples(dataset, info.id, subset).items():
        meaning = card.levels.get(level_key(level), LevelMeaning()).meaning
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(charts.level_chip(level, levels, card), width="content")
            st.caption(f"{images:,} images" + (f" · {plain(meaning)}" if meaning else ""), width="content")
        chosen = gallery(
            [tiles.tile(info, row, levels) for row in these.itertuples()],
            columns=PREVIEW,
            key=f"preview_{level_key(level)}",
        )
        if chosen:
            session.put(image=chosen, subset=subset)
            st.switch_page("pages/images/page.py")


@st.cache_resource(max_entries=16, show_spinner=False)
def _samples(_dataset: Dataset, dataset_id: str, subset: str) -> dict[float, tuple[int, pd.DataFrame]]:
    """How many test images each level has, least severe first, and a few of them from all over it."""
    found = {}
    for level, rows in _dataset.select(split="test", subset=subset).groupby("level"):
        found[level] = len(rows), rows.iloc[:: max(1, len(rows) // PREVIEW)].head(PREVIEW)
    return found


def _problems(info: DatasetInfo) -> None:
    if not info.problems:
        st.success(
            "The import met no problems. It checked headers and digests; pixels are decoded when they are needed.",
            icon=":material/check:",
        )
        return
    table = pd.DataFrame([p.to_json() for p in info.problems]).rename(
        columns={"kind": "Problem", "path": "File", "message": "What happened"}
    )
    kinds = table["Problem"].value_counts()
    summary = ", ".join(f"{n} × {kind}" for kind, n in kinds.items())
    noun = "problem" if len(table) == 1 else "problems"
    with st.expander(f"{len(table)} {noun}: {summary}", expanded=True, icon=":material/warning:"):
        st.dataframe(table, hide_index=True, width="stretch", height=min(320, 38 + 35 * len(table)))


def _levels(info: DatasetInfo, subset: str) -> None:
    """Names and meanings of the levels, editable."""
    st.subheader("What the levels mean", anchor=False)
    card = info.card.subset(subset)
    keys = [level_key(level) for level in engine.store().dataset(info.id).levels(subset)]
    table = pd.DataFrame(
        {
            "Level": [f"L{k}" for k in keys],
            "Name": [card.levels.get(k, LevelMeaning()).name for k in keys],
            "Meaning": [card.levels.get(k, LevelMeaning()).meaning for k in keys],
        }
    )
    with st.form(f"levels_{info.id}_{subset}", border=False):
        edited = st.data_editor(
            table, hide_index=True, disabled=["Level"], width="stretch", key=f"levels_editor_{info.id}_{subset}"
        )
        if st.form_submit_button("Save names and meanings"):
            new = info.card
            for key, name, meaning in zip(keys, edited["Name"], edited["Meaning"], strict=True):
                new = new.with_level(subset, float(key), LevelMeaning(str(name or "")[:80], str(meaning or "")[:500]))
            engine.store().update_card(info.id, new)
            st.toast("Saved.")
            st.rerun()


@st.cache_data(ttl=USE_SECONDS, max_entries=32, show_spinner=False)
def _disk_use(dataset_id: str) -> int:
    """Looked up now and then: it visits every thumbnail."""
    return engine.store().disk_use(dataset_id)


def _manage(info: DatasetInfo) -> None:
    st.subheader("This dataset", anchor=False)
    st.caption(f"From {plain(info.source)} · {size(_disk_use(info.id))} kept here: maps and thumbnails")
    with st.form(f"rename_{info.id}", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", info.name, max_chars=190)
        asked = st.form_submit_button("Rename")
        if asked and session.attempt(lambda: engine.store().rename_dataset(info.id, name)):
            st.rerun()
    if st.button("Delete dataset", icon=":material/delete:"):
        _confirm_delete(info)


@st.dialog("Delete this dataset?")
def _confirm_delete(info: DatasetInfo) -> None:
    runs = engine.store().runs(info.id)
    st.markdown(
        f"**{plain(info.name)}** with {len(runs)} runs, their scores and maps will be deleted. "
        "Image files that you own stay where they are."
    )
    with st.container(horizontal=True):
        if st.button("Delete", type="primary") and session.attempt(lambda: engine.store().delete_dataset(info.id)):
            session.put(dataset=None, subset=None, image=None, runs=None)
            st.rerun()
        if st.button("Keep"):
            st.rerun()


@st.dialog("Add a dataset", width="large")
def _add_dialog() -> None:
    _add()


def _add() -> None:
    here, upload, published = st.tabs(["From this machine", "Upload", "Published benchmark"])
    with here, st.form("add_path", border=False):
        source = st.text_input(
            "Folder, table or archive",
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
            st.rerun()
    with upload, st.form("add_upload", border=False, clear_on_submit=True):
        _upload_form()
    with published, st.form("fetch", border=False):
        _fetch_form()


def _upload_form() -> None:
    file = st.file_uploader("A zip or tar, or a table", type=ARCHIVES)
    if not st.form_submit_button("Upload and import") or file is None:
        return
    if session.attempt(lambda: _queue_upload(file.name, file)):
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
        roots = ", ".join(str(r) for r in store.settings.allowed_roots)
        raise InputError(f"{to} is outside the folders that may be opened here ({roots}); see MAD_ALLOWED_ROOTS.")
    return queue_fetch(store, ",".join(filter(None, only)), folder, then="import")


def _queue_path(source: str, policy: str) -> int:
    store = engine.store()
    if remote.is_address(source):
        source = remote.plain_address(source)
        if not store.settings.may_open_address(source):
            raise InputError(f"{source} is none of the places that may be opened here; name it in MAD_ALLOWED_ROOTS.")
    here = (policy,) if remote.is_address(source) else (source, policy)
    for path in filter(None, here):
        if not store.settings.may_open(Path(path)):
            roots = ", ".join(str(r) for r in store.settings.allowed_roots)
            raise InputError(f"{path} is outside the folders that may be opened here ({roots}); see MAD_ALLOWED_ROOTS.")
        if not Path(path).expanduser().exists():
            raise InputError(f"{path} does not exist on the machine that runs this app.")
    known = source if remote.is_address(source) else str(Path(source).expanduser())
    return store.queue.submit("import", {"source": known, "policy": policy or None}, key=f"import:{source}")


def _queue_upload(name: str, data: IO[bytes]) -> int:
    store = engine.store()
    path = keep_upload(store.settings, name, data)
    return store.queue.submit("import", {"source": str(path), "name": Path(name).stem}, key=f"import:{path.name}")


page()
