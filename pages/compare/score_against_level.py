"""Score against severity level: for each run the raincloud and, beside it, the inversion matrix."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from mad_core.figures import (
    READ_INVERSION_MATRIX,
    READ_RAINCLOUD,
    describe_inversion_matrix,
    describe_raincloud,
    inversion_matrix,
    raincloud,
)
from mad_core.labelled import labelled
from mad_core.metrics import comparing
from mad_core.metrics.summary import ordered
from mad_core.runs.comparing import (
    ranks_within_subsets,
)
from mad_core.runs.store import Run
from pages.compare.view import View, open_image, renewed
from pages.ui import charts, engine
from pages.ui.approach import near
from pages.ui.reading import how_to_read

FIGURE_SECONDS = 5.0
HEIGHT = 350


def score_against_level(view: View) -> None:
    """For each run the raincloud and, beside it, the inversion matrix."""
    st.header("Score against severity level", anchor=False)
    st.caption(
        "A click on a point opens its image. The matrix takes the C-index apart: for each pair of levels, how often "
        "the more severe image scores higher."
    )
    with st.container(horizontal=True):
        how_to_read(READ_RAINCLOUD, "the clouds")
        how_to_read(READ_INVERSION_MATRIX, "the matrix")
    for place, run in enumerate(view.runs):
        st.fragment(_figures, run_every=FIGURE_SECONDS if run.active else None)(view, place)


def _figures(view: View, place: int) -> None:
    run = renewed(view).runs[place]
    if not near(f"clouds_{run.id}_{view.subset}", HEIGHT, place):
        return
    left, right = st.columns([5, 4], gap="medium")
    with left:
        _cloud(view, run)
    with right:
        _matrix(view, run)


def _cloud(view: View, run: Run) -> None:
    kept = engine.store().cuts.of_run(run.id).get(view.subset) if view.subset else None
    figure, alt = _cloud_of(view, run, kept.cuts if kept else (), view.key(run))
    clicked = charts.show_clickable(figure, f"{view.names[run.id]}: {alt}", f"cloud_{run.id}_{view.subset}")
    open_image(view, view.rows(run), clicked, run.id)


@st.cache_resource(max_entries=32, show_spinner=False)
def _cloud_of(_view: View, _run: Run, cuts: tuple[float, ...], key: tuple[Any, ...]) -> tuple[go.Figure, str]:
    view, run = _view, _run
    rows = labelled(view.rows(run))
    scores, label = rows["score"], "anomaly score"
    if view.subset is None and len(run.subsets) > 1:
        scores, label = ranks_within_subsets(rows, "score"), "percentile rank within its subset"
    figure = raincloud(
        ordered(rows)[0],
        scores,
        rows["image_id"].tolist(),
        level_names=view.level_names,
        theme=charts.theme(),
        title=view.names[run.id],
        score_label=label,
        hover=rows["path"].tolist(),
        height=330,
        width=520,
        cuts=cuts,
    )
    facts = {"level_names": view.level_names, "score_label": label, "cuts": cuts}
    return figure, describe_raincloud(ordered(rows)[0], scores, **facts)


def _matrix(view: View, run: Run) -> None:
    figure, alt = _matrix_of(view, run, view.key(run))
    charts.show(figure, f"{view.names[run.id]}: {alt}", f"matrix_{run.id}_{view.subset}")


@st.cache_resource(max_entries=32, show_spinner=False)
def _matrix_of(_view: View, _run: Run, key: tuple[Any, ...]) -> tuple[go.Figure, str]:
    view, rows = _view, labelled(_view.rows(_run))
    matrix, levels, counts = comparing.mean_inversion_matrix(ordered(rows)[0], rows["score"], rows["subset"])
    figure = inversion_matrix(matrix, levels, counts=counts, level_names={}, theme=charts.theme(), width=450)
    return figure, describe_inversion_matrix(matrix, levels, counts=counts, level_names=view.level_names)
