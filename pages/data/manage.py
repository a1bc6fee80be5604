"""What a person changes about a dataset: the words of its levels, its name, whether it stays."""

import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import LevelMeaning, level_key
from mad_core.runs.store import DatasetInfo
from pages.ui import engine, session
from pages.ui.text import plain, size

USE_SECONDS = 60


def level_meanings(info: DatasetInfo, subset: str) -> None:
    """Names and meanings of the levels, editable."""
    st.header("What the levels mean", anchor=False)
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


def manage(info: DatasetInfo) -> None:
    st.header("This dataset", anchor=False)
    st.caption(f"From {plain(info.source)} · {size(_disk_use(info.id))} kept here: maps and thumbnails")
    with st.form(f"rename_{info.id}", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", info.name, max_chars=190)
        asked = st.form_submit_button("Rename")
        if asked and session.attempt(lambda: engine.store().rename_dataset(info.id, name)):
            st.rerun()
    if info.card.plan:
        st.download_button(
            "Plan of the import",
            info.card.plan,
            "plan.yaml",
            "text/yaml",
            icon=":material/download:",
            help="A small YAML file: what became what. check, score and the others repeat the import with --plan.",
        )
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
