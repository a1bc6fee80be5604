"""The region of a subset's pictures that counts for nothing: shown, drawn as boxes, given as a mask, taken back."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import InputError
from mad_core.ignored import IgnoredRegion
from mad_core.images import read_mask
from mad_core.runs.store import DatasetInfo
from pages.ui import engine, session, urls
from pages.ui.component import load

_BOXES = load("mad_boxes", Path(__file__).with_name("boxes.js"))
_ABOUT = (
    "A clamp, a date stamp or the rim of a lens counts for nothing: what you mark is left out of fits, scores, maps "
    "and areas in every picture of this subset. This makes another dataset beside this one; its runs stay as they are."
)
MOST_BYTES = 20 << 20


def ignored_section(info: DatasetInfo, dataset: Dataset, subset: str) -> None:
    """What is left out of a subset's pictures, and how to change it."""
    region = dataset.card.subset(subset).ignored
    label = "Region left out: none" if region is None else f"Region left out: {region.words}"
    with st.expander(label, icon=":material/hide_source:"):
        st.caption(_ABOUT)
        if region is not None:
            alt = f"The region that is left out of subset {subset}, in white"
            st.image(_shown(region), caption="White is left out.", width=240, alt=alt)
            if st.button("Leave nothing out", key=f"ignored_none_{subset}"):
                _change(info, dataset, subset, None)
        row = dataset.select(subset=subset).iloc[0]
        key = f"ignored_boxes_{subset}"
        url = urls.picture(info.id, row["image_id"], "preview", row["content_hash"])
        data = {"url": url, "alt": f"A picture of subset {subset}", "key": f"{info.id} {subset}"}
        _BOXES(key=key, data=data, on_boxes_change=lambda: None)
        mask = st.file_uploader(
            "Or a mask file: what it marks is left out",
            type=["png", "tif", "tiff", "bmp"],
            key=f"ignored_mask_{subset}",
        )
        if st.button("Leave this out", key=f"ignored_set_{subset}"):
            marked = session.attempt(lambda: _region(mask, st.session_state.get(key)))
            if marked:
                _change(info, dataset, subset, marked)


def _region(mask: Any, drawn: Any) -> IgnoredRegion:
    """What a person marked, by a file where there is one.

    Raises
    ------
    InputError
        If that is nothing.
    """
    if mask is not None:
        return _of_file(mask.getvalue())
    boxes: Any = drawn.get("boxes") if isinstance(drawn, Mapping) else None
    if not _are_boxes(boxes):
        raise InputError("Draw a box over the picture first, or choose a mask file.")
    return IgnoredRegion.of_boxes(boxes)


def _are_boxes(boxes: Any) -> bool:
    numbers = isinstance(boxes, Sequence) and all(
        isinstance(box, Sequence) and len(box) == 4 and all(isinstance(value, int | float) for value in box)
        for box in boxes
    )
    return bool(numbers and boxes)


def _of_file(content: bytes) -> IgnoredRegion:
    if len(content) > MOST_BYTES:
        raise InputError(f"A mask file has at most {MOST_BYTES >> 20} MB.")
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(content)
        file.flush()
        return IgnoredRegion.of_mask(read_mask(Path(file.name)))


def _change(info: DatasetInfo, dataset: Dataset, subset: str, region: IgnoredRegion | None) -> None:
    changed = dataset.with_ignored({subset: region})
    made = session.attempt(lambda: engine.store().add_dataset(Imported(changed, info.problems)))
    if made:
        session.put(dataset=made, image=None, run=None, runs=None)
        st.toast("The dataset with this region is in view.")
        st.rerun()


def _shown(region: IgnoredRegion) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(region.grid).save(file, "PNG")
        return file.getvalue()
