"""Images chosen in the gallery, by their boxes, with Shift and by keys: how many, and what is done with them."""

from collections.abc import Sequence

import streamlit as st

from pages.images.browsing import Browsing
from pages.images.triage import acts

_KEY = "chosen_images"


def chosen(view: Browsing) -> frozenset[str]:
    """Ids of the images of this subset that are chosen; of others nothing is kept."""
    kept = st.session_state.get(_KEY, {})
    return kept.get((view.info.id, view.subset), frozenset())


def choose(view: Browsing, there: Sequence[str], ids: Sequence[str]) -> None:
    """Of the images on a page these are chosen; those of other pages stay as they are."""
    now = (chosen(view) - set(there)) | set(ids)
    st.session_state[_KEY] = {(view.info.id, view.subset): now}


def chosen_bar(view: Browsing) -> None:
    """What can be done with chosen images; nothing is drawn where none is."""
    now = chosen(view)  # once: each look at the session's state takes microseconds, and there may be 100,000 images
    ids = [image_id for image_id in view.images["image_id"].tolist() if image_id in now] if now else []
    if not ids:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="chosen_bar"):
        words = "1 image chosen" if len(ids) == 1 else f"{len(ids):,} images chosen"
        st.markdown(f"**{words}**", width="content")
        with st.popover("Act on them", icon=":material/checklist:"):
            acts(view, ids, "_chosen")
        st.button("Choose none", on_click=_none, icon=":material/close:")


def _none() -> None:
    st.session_state.pop(_KEY, None)
