"""Which training normals a model is shown, chosen by rule or picked by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from mad_core.runs.store import DatasetInfo
from mad_core.scorers.catalog import ScorerInfo
from pages.ui import engine, tiles
from pages.ui.gallery import Tile, gallery
from pages.ui.text import plain

MOST_REFERENCES = 8
PICKED_PAGE = 24


def picked_references(info: DatasetInfo, scorer: ScorerInfo, subset: str) -> list[str]:
    """Thumbnails of the training normals; a click picks one or drops it again. Returns file names."""
    rows = engine.store().dataset(info.id).select(split="train", subset=subset).sort_values("path")
    if rows.empty:
        st.warning(f"Subset {plain(subset)} has no training normals to pick from.", icon=":material/info:")
        return []
    by_id = {i: Path(p).name for i, p in zip(rows["image_id"], rows["path"], strict=True)}
    key = f"picked_{scorer.id}_{info.id}_{subset}"
    picked: list[str] = [i for i in st.session_state.setdefault(key, []) if i in by_id]

    def toggle(image_id: str) -> None:
        if image_id in picked:
            st.session_state[key] = [i for i in picked if i != image_id]
        elif len(picked) < MOST_REFERENCES:
            st.session_state[key] = [*picked, image_id]

    pages = -(-len(rows) // PICKED_PAGE)
    number = st.pagination(pages, key=f"{key}_page") if pages > 1 else 1
    part = rows.iloc[(number - 1) * PICKED_PAGE : number * PICKED_PAGE]
    with st.container(height=300):
        gallery([_reference_tile(info, row, picked) for row in part.itertuples()], key=f"{key}_tiles", on_open=toggle)
    chosen = ", ".join(by_id[i] for i in picked) or "none yet"
    more = " Files of these names must exist in every subset of the run." if len(info.card.subsets) > 1 else ""
    st.caption(plain(f"Picked, at most {MOST_REFERENCES}: {chosen}.{more}"))
    return [by_id[i] for i in picked]


def _reference_tile(info: DatasetInfo, row: Any, picked: Sequence[str]) -> Tile:
    badge = f"reference {picked.index(row.image_id) + 1}" if row.image_id in picked else None
    return replace(tiles.tile(info, row, [0.0]), badge=badge, href=None)
