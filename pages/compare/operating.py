"""What thresholds would do on one subset: ROC and precision-recall curves of the runs, with those in use."""

from typing import Any

import streamlit as st

from mad_core.figures import (
    READ_PRECISION_RECALL,
    READ_ROC,
    describe_precision_recall,
    describe_roc,
    precision_recall,
    roc,
)
from mad_core.labelled import labelled
from mad_core.runs import plots
from pages.compare.view import View
from pages.ui import charts
from pages.ui.approach import near
from pages.ui.reading import how_to_read

HEIGHT = 380


def operating(view: View) -> None:
    """ROC and precision-recall curves of the runs in view."""
    st.header("What a threshold does", anchor=False)
    if view.subset is None and len({subset for run in view.runs for subset in run.subsets}) > 1:
        st.caption("Scores of different subsets share no threshold: choose one subset to see its curves.")
        return
    with st.container(horizontal=True):
        how_to_read(READ_ROC, "the ROC curve")
        how_to_read(READ_PRECISION_RECALL, "the precision-recall curve")
    st.fragment(_curves)(view)


def _curves(view: View) -> None:
    if not near(f"curves_{view.subset}", HEIGHT, len(view.runs) + 1):
        return
    left, right = st.columns(2, gap="medium")
    for place, (name, figure, alt) in zip((left, right), _figures(view, view.key(*view.runs)), strict=True):
        with place:
            charts.show(figure, alt, f"{name}_{view.subset}")


@st.cache_resource(max_entries=16, show_spinner=False)
def _figures(_view: View, key: tuple[Any, ...]) -> list[tuple[str, Any, str]]:
    view = _view
    points, thresholds = plots.operating({view.names[run.id]: labelled(view.rows(run)) for run in view.runs})
    theme = charts.theme()
    return [
        ("roc", roc(points, thresholds, theme=theme), describe_roc(points, thresholds)),
        (
            "precision_recall",
            precision_recall(points, thresholds, theme=theme),
            describe_precision_recall(points, thresholds),
        ),
    ]
