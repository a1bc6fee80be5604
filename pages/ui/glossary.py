"""What the words mean, for those who meet them for the first time: a short list a page, opened when asked for."""

from collections.abc import Mapping

import streamlit as st

from mad_core.figures import READ_C_INDEX_EXAMPLE, c_index_example, describe_c_index_example
from mad_core.metrics.names import METRICS
from pages.ui import charts
from pages.ui.text import plain

WORDS: Mapping[str, str] = {
    "Subset": "A part of a dataset with normals of its own: one product, one view, one organ. A detector learns each "
    "subset alone, and scores of different subsets do not compare.",
    "Severity level": "How bad an image is by its label: L0 is normal, higher is more severe. An image may have none.",
    "Training normals": "Images known to be normal that a detector learns from. They are not tested.",
    "Calibration images": "Labelled images set aside to learn or to adjust something; metrics are of the others.",
    "Window": "Which values of deep pixels (above 8 bits) become black and white; one for a whole subset.",
    "Scorer, run": "A scorer gives each image an anomaly score; a run is a scorer with its parameters on a dataset.",
    "Anomaly score": "A number that is higher where an image departs more from normal. Its unit is the scorer's own.",
    "Anomaly map": "The same for each place of the image: where it departs from normal.",
    "Backbone": "A network trained on everyday photographs whose inner values describe small places of an image.",
    "Coreset": "A small choice of these values that stands for all of them, so that comparing is fast.",
    "Threshold": "Images whose score is at or above it are flagged.",
    "Cuts": "Thresholds between one level and the next; they turn scores into called levels.",
    "Called level, set": "The level that a score is called, and the levels that cannot be ruled out with the guarantee "
    "that stands beside it.",
    "Unlike anything fitted": "The image lies outside all that was seen before, such as a black frame or another "
    "product; it is called no level.",
    "Suspicion": "How strongly all scorers together contradict an image's label; high where the label may be wrong.",
    "Blind": "The reviewer sees neither label nor score before the own answer is given.",
    "Consensus": "The level that follows from all reviewers' answers by a stated rule.",
    "Learning curve": "How well an order learned from grades does, by the number of grades.",
    "Interval": "Where the true value probably lies: of a hundred such intervals about 95 hold it.",
}
"""Each word in one or two sentences."""
_SHARED = ("Subset", "Severity level")
PAGES: Mapping[str, tuple[str, ...]] = {
    "Data": (*_SHARED, "Training normals", "Calibration images", "Window"),
    "Score": ("Scorer, run", "Anomaly score", "Anomaly map", "Training normals", "Backbone", "Coreset", "Subset"),
    "Images": (*_SHARED, "Anomaly score", "Anomaly map", "Threshold", "Called level, set", "Unlike anything fitted"),
    "Compare": (*_SHARED, "Scorer, run", "Anomaly score", "Interval", "Cuts", "Learning curve"),
    "Audit": (*_SHARED, "Blind", "Suspicion", "Consensus", "Learning curve", "Calibration images"),
    "Studies": (*_SHARED, "Anomaly score", "Cuts", "Interval", "Calibration images"),
}
"""The words of each page, by its title."""


def words_button(page: str) -> None:
    """A button below a page that opens its words."""
    if st.button("What the words mean", type="tertiary", icon=":material/dictionary:", key="words"):
        _words(page)


@st.dialog("What the words mean", width="large", icon=":material/dictionary:")
def _words(page: str) -> None:
    for word in PAGES[page]:
        st.markdown(f"**{word}.** {plain(WORDS[word])}")
    if page in ("Data", "Score", "Images"):
        return
    for metric in METRICS:
        if metric.headline:
            st.markdown(f"**{plain(metric.title)}.** {plain(metric.read)}")
    charts.show(c_index_example(theme=charts.theme()), describe_c_index_example(), "c_index_example")
    st.caption(READ_C_INDEX_EXAMPLE)
