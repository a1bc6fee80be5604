"""Robustness, live: the metric to look at, and one image with its maps at every strength of a corruption."""

from typing import Any

import streamlit as st

from mad_core.datasets.dataset import level_key
from mad_core.metrics.names import metric_of
from mad_core.runs.store import DatasetInfo
from mad_core.studies.finding import Finding
from mad_core.studies.robustness import figures as draw
from pages.ui import charts
from pages.ui.reading import how_to_read
from pages.ui.text import plain


def of_finding(info: DatasetInfo, finding: Finding) -> set[str]:
    """Both sections; nothing is scored again.

    Returns
    -------
    set of str
        Titles of the figures that stand here already.
    """
    _metrics(finding)
    _example(finding)
    sliders = {draw.slider_title(corruption) for corruption in draw.corruptions_of(finding.facts)}
    return sliders | {draw.title_of(metric) for metric in draw.METRICS}


@st.fragment
def _metrics(finding: Finding) -> None:
    chosen = st.segmented_control(
        "Metric against strength",
        draw.METRICS,
        default=draw.METRICS[0],
        format_func=lambda metric: metric_of(metric).title,
        required=True,
        key="robustness_metric",
    )
    plot = draw.metric_plot(finding.tables, str(chosen), charts.theme())
    how_to_read(plot.how_to_read, key="robustness_metric")
    charts.show(plot.figure, f"{plot.title}: {plot.alt}", f"robustness_{chosen}")


@st.fragment
def _example(finding: Finding) -> None:
    facts = finding.facts
    corruptions = draw.corruptions_of(facts)
    if not corruptions:
        return
    example: Any = facts["example"]
    st.markdown(f"**One image, L{level_key(float(example['level']))} of {plain(example['subset'])}, and its maps**")
    how_to_read(draw.READ_EXAMPLE, key="robustness_example")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Corruption",
            corruptions,
            default=corruptions[0],
            format_func=lambda name: str(draw.NAMES.get(name, name)),
            required=True,
            key="robustness_corruption",
        )
        steps = draw.steps_of(facts, str(chosen))
        strengths = [int(step["strength"]) for step in steps]
        strength = st.select_slider("Strength (0 is clean)", strengths, key="robustness_strength", width=320)
    step = steps[strengths.index(strength)]
    figure = draw.pictures(step, draw.scorers_of(steps), theme=charts.theme())
    charts.show(figure, draw.describe_pictures(step), "robustness_example")
    st.caption("A scorer's maps share one range over all corruptions and strengths, so that they compare.")
