"""What detectors learn from where no image is known to be normal: said, and chosen by a person."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.datasets.own_normals import EVERY, FEWEST, TYPICAL, notes_of_normals, with_own_normals, without_normals
from mad_core.runs.store import DatasetInfo
from pages.ui import engine, session
from pages.ui.text import plain

WAYS = {
    TYPICAL: "the most typical of these images",
    EVERY: "all of these images",
    "": "nothing yet: normals come later",
}
HELP = (
    "A detector learns how normal looks. Where most images are normal it can learn that from the images themselves: of "
    "some hundred it keeps the half that departs least from the rest, and scores each of these by a fit that has not "
    "seen it. Where most are defective, add normals instead."
)


def normals_choice(subsets: Sequence[str], images: int, key: str) -> str:
    """Say that nothing is known to be normal, and ask what detectors learn from; empty for nothing."""
    if not subsets:
        return ""
    names = ", ".join(f"'{name}'" for name in subsets[:4])
    st.warning(plain(f"None of the images of {names} is known to be normal."), icon=":material/help:")
    usual = 0 if images >= FEWEST else len(WAYS) - 1
    return st.radio("Detectors learn from", list(WAYS), usual, format_func=WAYS.__getitem__, help=HELP, key=key)


def normals_section(info: DatasetInfo, dataset: Dataset) -> None:
    """Say what detectors learn from where no image is known to be normal, or ask for it."""
    for note in notes_of_normals(dataset, dataset.subsets):
        st.caption(plain(note))
    subsets = without_normals(dataset)
    if not subsets:
        return
    with st.container(border=True):
        way = normals_choice(subsets, info.images, f"normals_{info.id}")
        if st.button("Let detectors learn from them", disabled=not way, key=f"own_normals_{info.id}"):
            _keep(info, dataset, way)


def _keep(info: DatasetInfo, dataset: Dataset, way: str) -> None:
    """Store the dataset as its own version and put it in view."""

    def made() -> str:
        chosen = replace(with_own_normals(dataset, way), name=f"{dataset.name}, normal by its own images")
        return engine.store().add_dataset(Imported(chosen, info.problems))

    if dataset_id := session.attempt(made):
        session.put(dataset=dataset_id, image=None, run=None, runs=None)
        st.rerun()
