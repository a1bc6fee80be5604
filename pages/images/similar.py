"""Similar pictures: the nearest in feature space of the image in view, each with its level and score."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from mad_core.runs.picture_space import ALL, Alike, PictureSpace
from pages.images.browsing import Browsing
from pages.images.features import ask_for_features, space_in_view
from pages.ui import engine, session, tiles
from pages.ui.gallery import Tile, gallery
from pages.ui.text import plain, score_text

WITHIN = ("subset", "all")
READ_SIMILAR = (
    "Alike to a network that was taught on photographs: in colour, texture and parts, not in severity. Distances are "
    "between whole pictures; a small defect changes them little. *Very alike*: nearer than a picture's nearest usually "
    "is. *Alike*: nearer than the nearest of 95 % of the pictures, or than 99 % of pairs; *somewhat alike*: than 90 %."
)


def similar(view: Browsing, row: Mapping[str, Any]) -> None:
    """Draw the section below the image."""
    with st.container(horizontal=True, vertical_alignment="center", key="similar"):
        st.subheader("Similar pictures", anchor=False, width="stretch", help=READ_SIMILAR)
        whole = len(view.subsets) > 1 and _within() == "all"
    space = space_in_view(view.info, ALL if whole else view.subset)
    if space is None:
        why = "Which pictures are alike is not known yet: nobody has looked at this dataset's pictures as wholes."
        ask_for_features(view.info, why, "similar")
    elif row["image_id"] not in space.rows:
        why = "This picture came after the look at all, or could not be read."
        ask_for_features(view.info, why, "similar")
    else:
        _nearest(view, space, row["image_id"])


def _within() -> str:
    words = {"subset": "This subset", "all": "All subsets"}
    binding = session.bound("near", WITHIN, WITHIN[0])
    st.segmented_control(
        "Among", WITHIN, format_func=words.__getitem__, required=True, label_visibility="collapsed", **binding
    )
    return session.get("near") if session.get("near") in WITHIN else WITHIN[0]


def _nearest(view: Browsing, space: PictureSpace, image_id: str) -> None:
    near = space.alike(image_id)
    if space.stands_alone(near):
        st.caption("This picture stands alone: its nearest is farther than that of nearly every other picture.")
    words = {one.image_id: one for one in near}
    shown = [_with_words(tile, words[tile.image_id]) for tile in tiles.tiles_of(view.info, list(words), _scores(view))]
    gallery(shown, key="similar_pictures", columns=6, on_open=lambda opened: session.put(image=opened))
    if view.run is not None:
        st.caption(plain(f"Scores of {view.names[view.run.id]}."))


def _with_words(tile: Tile, one: Alike) -> Tile:
    return replace(tile, badge=one.words, alt=f"{tile.alt}, {one.in_words()}", title=one.in_words())


def _scores(view: Browsing) -> Mapping[str, str]:
    """What the gallery's run says of each picture of the dataset, as written."""
    if view.run is None:
        return {}
    table = engine.table(view.run)
    return {i: score_text(score) for i, score in zip(table["image_id"], table["score"], strict=True) if score == score}
