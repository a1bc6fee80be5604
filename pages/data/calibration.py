"""Set calibration images aside: labelled images that scorers may see, and that leave every metric."""

from typing import Any

import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import InputError
from mad_core.labelled import labelled
from mad_core.runs.store import DatasetInfo
from pages.ui import engine, session
from pages.ui.text import plain

USUAL, MOST = 2, 100


def calibrating(info: DatasetInfo, dataset: Dataset) -> None:
    """How many images are set aside, what that takes from each level, and the button that does it."""
    if dataset.unlabelled() and not len(labelled(dataset.select(split="test"))):
        with st.expander("Set calibration images aside", icon=":material/tune:"):
            st.caption("No test image has a level yet; once some are graded, they can be set aside for scorers here.")
        return
    there = sum(sum(entry.get("calibration", {}).values()) for entry in dataset.counts())
    with st.expander("Set calibration images aside", icon=":material/tune:"):
        st.caption(
            "Anchors, blended scorers and thresholds learn from labelled images. These are taken from the test images "
            "and leave every metric. The result is a dataset of its own; this one and its runs stay as they are."
        )
        if there:
            st.caption(f"This dataset has {_counted(there)} set aside already; further ones are taken from the rest.")
        per_level = st.number_input(
            "Images of each level and subset", 1, MOST, USUAL, key=f"calibrate_{info.id}", width=240
        )
        calibrated = _set_aside(dataset, info.id, info.version, dataset.name, info.card.to_json(), int(per_level))
        if isinstance(calibrated, str):
            st.info(plain(calibrated), icon=":material/info:")
            return
        _taken(dataset, calibrated)
        if st.button("Set aside", key=f"set_aside_{info.id}"):
            _keep(info, calibrated)


@st.cache_resource(max_entries=2, show_spinner=False)
def _set_aside(
    _dataset: Dataset, dataset_id: str, version: str, name: str, card: dict[str, Any], per_level: int
) -> Dataset | str:
    """The dataset with calibration images, or why there are none."""
    try:
        return _dataset.with_calibration(per_level)
    except InputError as error:
        return str(error)


def _taken(before: Dataset, after: Dataset) -> None:
    """Images that leave the metrics, by subset and level, and how many stay."""
    rows, total = [], 0
    for had, stays in zip(before.counts(), after.counts(), strict=True):
        gone = {level: n - stays["test"].get(level, 0) for level, n in had["test"].items()}
        total += sum(gone.values())
        cells = {f"L{level}": f"{n} of {had['test'][level]:,}" for level, n in gone.items()}
        rows.append({"Subset": had["subset"], **cells})
    table = pd.DataFrame(rows)
    levels = sorted((c for c in table.columns if c != "Subset"), key=lambda c: float(c[1:]))
    st.markdown(f"**{_counted(total)}** leave every metric:")
    st.dataframe(
        table[["Subset", *levels]], hide_index=True, width="stretch", alt="Images set aside by subset and level"
    )
    st.caption("A level keeps at least half of its test images. Which ones are taken depends on their names alone.")


def _keep(info: DatasetInfo, calibrated: Dataset) -> None:
    """Store the dataset as its own version and put it in view."""
    made = session.attempt(lambda: engine.store().add_dataset(Imported(calibrated, info.problems)))
    if made:
        session.put(dataset=made, image=None, run=None, runs=None)
        st.toast("Set aside; the new dataset is in view.")
        st.rerun()


def _counted(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"
