"""The learning curve of a run that learned from grades: on Audit, where grades are given, and on Compare."""

from dataclasses import asdict
from typing import Any

import streamlit as st

from mad_core.errors import MadError
from mad_core.figures import READ_LEARNING_CURVE, describe_learning_curve, learning_curve_figure
from mad_core.learning.curve import Curve
from mad_core.runs.learned import learned_images
from mad_core.runs.store import Run
from mad_core.scorers.catalog import GRADED
from pages.ui import charts, engine
from pages.ui.reading import how_to_read
from pages.ui.text import plain

MORE = 20
"""Grades beyond those at hand that the forecast is for."""
SOON = 60
"""Grades up to which a curve of twenty draws comes soon; else it is of eight."""


def learning_curve(run: Run, subset: str) -> None:
    """Draw the curve with what it says in words; a sentence where there are too few grades for one."""
    curve = _curve(run.id, subset, run.finished)
    if isinstance(curve, str):
        st.caption(plain(curve))
        return
    points, forecast = [asdict(point) for point in curve.points], curve.forecast and asdict(curve.forecast)
    words = describe_learning_curve(points, curve.detector, forecast)
    st.markdown(plain(words))
    figure = learning_curve_figure(points, curve.detector, forecast, charts.theme())
    charts.show(figure, words, f"learning_curve_{run.id}_{subset}")
    how_to_read(READ_LEARNING_CURVE, "the learning curve")


def is_learned(run: Run) -> bool:
    """Whether a run learned from grades, and is done."""
    return run.scorer == GRADED and run.status == "done"


@st.cache_data(max_entries=32, show_spinner="Drawing the learning curve")
def _curve(run_id: str, subset: str, finished: Any) -> Curve | str:
    store = engine.store()
    try:
        images = learned_images(store, store.run(run_id), subset)
        return images.curve(more=MORE, draws=20 if len(images.grades) <= SOON else 8)
    except MadError as error:
        return str(error)
