"""Data: pick, import, check and preview a dataset."""

from typing import Any

import pandas as pd
import streamlit as st

from mad_core.datasets.completeness import against_published
from mad_core.datasets.dataset import Dataset, LevelMeaning, level_key
from mad_core.runs.store import DatasetInfo
from pages.data.add import add_dataset, add_dataset_dialog
from pages.data.calibration import calibrating
from pages.data.grow import add_images, added_in_words, watched_folders
from pages.data.ignored import ignored_section
from pages.data.lead_on import lead_on
from pages.data.manage import level_meanings, manage
from pages.data.normals import normals_section
from pages.data.plan import show_plan
from pages.data.problems import problems
from pages.data.published import published
from pages.data.window import window_section
from pages.ui import charts, engine, guide, session, tiles
from pages.ui.gallery import gallery
from pages.ui.header import header, without_dataset
from pages.ui.text import plain
from pages.ui.widgets import pick_subset

PREVIEW = 6


def page() -> None:
    info = header("Data")
    _imports_note()
    show_plan()
    if info is None:
        without_dataset()
        guide.start_button()
        add_dataset()
        return
    dataset = engine.store().dataset(info.id)
    _about(info, dataset)
    published(against_published(dataset))
    subset = _subset(dataset)
    _counts(dataset, subset)
    normals_section(info, dataset)
    window_section(info, dataset, subset)
    ignored_section(info, dataset, subset)
    _preview(info, dataset, subset)
    problems(info, dataset)
    left, right = st.columns([3, 2], gap="large")
    with left:
        level_meanings(info, subset)
    with right:
        manage(info)
        add_images(info, dataset)
        watched_folders(info, dataset)
        calibrating(info, dataset)


def _imports_note() -> None:
    """Say how the last imports ended."""
    for job in sorted(engine.store().queue.recent(120), key=lambda job: job.id):
        if job.kind in ("import", "fetch") and job.status == "failed":
            st.error(plain(job.error or "The import failed."), icon=":material/error:")
        if job.kind == "fetch" and job.status == "done" and job.result and job.result["refused"]:
            refused = " ".join(job.result["refused"])
            st.warning(f"Not all images were written: {plain(refused)}", icon=":material/warning:")
        if job.kind == "import" and job.status == "done" and st.session_state.get("imported", 0) < job.id:
            st.session_state["imported"] = job.id
            if job.payload.get("look"):
                st.session_state["look"] = job.id
                continue
            st.session_state.pop("look", None)
            if job.payload.get("to") and job.result:
                st.toast(added_in_words(job.result))
            if job.payload.get("source") != "demo":
                session.put(dataset=job.result["dataset"] if job.result else None, subset=None)
                st.rerun()


def _about(info: DatasetInfo, dataset: Dataset) -> None:
    tests = dataset.count("test")
    graded = f" ({tests - dataset.unlabelled():,} labelled)" if dataset.unlabelled() else ""
    facts = [f"{info.images:,} images", f"{tests:,} for test{graded}", _subsets(dataset)]
    masks = sum(entry["masks"] for entry in dataset.counts())
    facts += [f"{masks:,} masks"] if masks else []
    groups = sum(entry.get("groups", 0) for entry in dataset.counts())
    facts += [f"{groups:,} groups"] if groups else []
    facts += [f"version {plain(info.card.version)}"] if info.card.version else []
    with st.container(horizontal=True, vertical_alignment="top"):
        with st.container():
            if info.card.description:
                st.markdown(plain(info.card.description))
            st.caption(" · ".join(facts))
        lead_on(info)
        guide.start_button(info.source)
        if st.button("Add a dataset", icon=":material/add:"):
            add_dataset_dialog()


def _subsets(dataset: Dataset) -> str:
    return "1 subset" if len(dataset.subsets) == 1 else f"{len(dataset.subsets):,} subsets"


def _subset(dataset: Dataset) -> str:
    """The subset in view."""
    names = dataset.subsets
    if len(names) == 1:
        return names[0]
    chosen = (
        st.segmented_control("Subset", names, format_func=plain, **session.bound("subset", names, names[0]))
        if len(names) <= 6
        else pick_subset("subset", names)
    )
    return chosen or names[0]


def _counts(dataset: Dataset, subset: str) -> None:
    """Images by split, subset and level: those of the subset in view in words, all of them in a table."""
    in_view = next(entry for entry in dataset.counts() if entry["subset"] == subset)
    words = {"train": "training normals", "calibration": "for calibration", "test": "test images"}
    parts = [f"{sum(in_view[split].values()):,} {word}" for split, word in words.items() if in_view.get(split)]
    parts += [f"{in_view['unlabelled']:,} test images without a level"] if "unlabelled" in in_view else []
    with st.expander(" · ".join([*parts, f"{in_view['masks']:,} masks", "all counts"])):
        rows = []
        for entry in dataset.counts():
            for split in words:
                if entry.get(split):
                    counts = {f"L{k}": n for k, n in entry[split].items()}
                    rows.append({"Subset": entry["subset"], "Split": split, **counts})
            if "unlabelled" in entry:
                rows.append({"Subset": entry["subset"], "Split": "test", "No level": entry["unlabelled"]})
        table = pd.DataFrame(rows)
        levels = sorted((c for c in table.columns if c.startswith("L")), key=lambda c: float(c[1:]))
        further = [c for c in table.columns if c == "No level"]
        st.dataframe(table[["Subset", "Split", *levels, *further]], hide_index=True, width="stretch")


def _preview(info: DatasetInfo, dataset: Dataset, subset: str) -> None:
    """A few test images of every level, least severe first."""
    card, levels = info.card.subset(subset), dataset.levels(subset, "test")
    for level, (images, these) in _samples(dataset, info.id, info.version, subset).items():
        meaning = card.levels.get(level_key(level), LevelMeaning()).meaning
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(charts.level_chip(level, levels, card), width="content")
            st.caption(f"{images:,} images" + (f" · {plain(meaning)}" if meaning else ""), width="content")
        chosen = gallery(
            [tiles.tile(info, row, levels) for row in these],
            columns=PREVIEW,
            key=f"preview_{level_key(level)}",
        )
        if chosen:
            session.put(image=chosen, subset=subset)
            session.open_page("pages/images/page.py")


@st.cache_resource(max_entries=16, show_spinner=False)
def _samples(_dataset: Dataset, dataset_id: str, version: str, subset: str) -> dict[float, tuple[int, list[Any]]]:
    """How many test images each level has, least severe first, and the rows of a few of them from all over it."""
    samples = {}
    for level, rows in _dataset.select(split="test", subset=subset).groupby("level", dropna=False):
        few = rows.iloc[:: max(1, len(rows) // PREVIEW)].head(PREVIEW)
        samples[level] = len(rows), [*few.itertuples()]
    return samples


page()
