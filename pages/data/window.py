"""The window through which the pictures of a subset are seen: what it is, what they use of it, and another one."""

import streamlit as st

from mad_core.datasets.dataset import Dataset, Imported, Problem, SubsetCard
from mad_core.datasets.plan import ImportPlan, parse_plan
from mad_core.figures.pixel_histogram import READ_PIXEL_HISTOGRAM, describe_pixel_histogram, pixel_histogram
from mad_core.pixels import EIGHT_BIT, FOUND, FULL, PRESETS, USED, PixelRange, Window, chosen
from mad_core.runs.store import DatasetInfo
from pages.ui import charts, engine, session
from pages.ui.reading import how_to_read
from pages.ui.text import plain

OWN = "as typed below"
_WORDS = {
    OWN: "Low, high and gamma as typed",
    USED: "What the pixels use",
    FULL: "All that the depth holds",
    **{name: f"CT {name.replace('-', ' ')}, {low:g} to {high:g} HU" for name, (low, high) in PRESETS.items()},
}
_SHARED = (
    "One window serves all pictures of a subset: numbers up to its low end are black, from its high end on white, so a "
    "darker picture stays darker. Scorers see the full depth through it."
)
_ABOUT = f"{_SHARED} Another window makes another dataset, beside this one, whose runs stay as they are."
BEFORE = f"{_SHARED} Another one is chosen once the images are stored, or by a line 'window' in the plan."
"""What is said of a window before anything is stored."""


def window_section(info: DatasetInfo, dataset: Dataset, subset: str) -> None:
    """Of pictures deeper than 8 bits the window and its histogram; of others a note that there is none."""
    card = dataset.card.subset(subset)
    if card.window is None:
        with st.expander("Window: 8-bit pictures, 0 to 255", icon=":material/contrast:"):
            st.caption("These pictures have 8 bits: 0 is black and 255 is white, and nothing is changed. " + _ABOUT)
            _change(info, dataset, subset, card)
        return
    with st.expander(f"Window: {card.window}", expanded=True, icon=":material/contrast:"):
        told_window(card.window, card.pixels, subset, _ABOUT)
        _change(info, dataset, subset, card)


def told_window(window: Window, pixels: PixelRange | None, key: str, about: str) -> None:
    """Where a window comes from, and what the sampled pixels of a subset use of it."""
    depths = ", ".join(f"{n:,} of {depth}" for depth, n in pixels.depths.items()) if pixels else ""
    st.caption(f"{plain(depths)} · {plain(window.origin)}. {about}" if depths else about)
    if pixels is None:
        return
    ends = window.low, window.high
    alt = describe_pixel_histogram(pixels.counts, pixels.used, ends, pixels.edges)
    figure = pixel_histogram(pixels.counts, pixels.edges, ends, theme=charts.theme())
    charts.show(figure, alt, f"pixels_{key}")
    how_to_read(READ_PIXEL_HISTOGRAM, "the histogram")


def _change(info: DatasetInfo, dataset: Dataset, subset: str, card: SubsetCard) -> None:
    now = card.window or EIGHT_BIT
    with st.form(f"window_{info.id}_{subset}", border=False):
        choices = [name for name in _WORDS if name not in (USED, FULL) or card.pixels is not None]
        with st.container(horizontal=True, vertical_alignment="bottom"):
            asked = st.selectbox(
                "Window", choices, format_func=_WORDS.__getitem__, key=f"window_words_{subset}", width=280
            )
            low = st.number_input("Low", value=float(now.low), format="%g", key=f"window_low_{subset}", width=140)
            high = st.number_input("High", value=float(now.high), format="%g", key=f"window_high_{subset}", width=140)
            gamma = st.number_input(
                "Gamma",
                0.05,
                20.0,
                float(now.gamma),
                0.05,
                help="Below 1 brightens.",
                key=f"window_gamma_{subset}",
                width=120,
            )
            pressed = st.form_submit_button("See through this window")
        if pressed:
            words = f"{low!r}:{high!r}:{gamma!r}" if asked == OWN else asked
            made = session.attempt(lambda: _seen(info, dataset, subset, words))
            if made:
                session.put(dataset=made, image=None, run=None, runs=None)
                st.toast("The dataset seen through this window is in view.")
                st.rerun()


def _seen(info: DatasetInfo, dataset: Dataset, subset: str, words: str) -> str:
    """The dataset through another window, kept as a version of its own."""
    card = dataset.card.subset(subset)
    window = chosen(words, card.window or EIGHT_BIT, card.pixels) if words != FOUND else card.window
    problems = tuple(p for p in info.problems if not _of_the_window(p, subset))
    seen = dataset.with_windows({subset: window})
    plan = parse_plan(seen.card.plan).with_window(subset, words) if seen.card.plan else ImportPlan()
    return engine.store().add_dataset(Imported(seen, problems, plan))


def _of_the_window(problem: Problem, subset: str) -> bool:
    return problem.kind == "narrow-range" and problem.path == subset
