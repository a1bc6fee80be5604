"""Compare: metric table, scores against levels, runs side by side."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.labelled import labelled
from mad_core.runs.comparing import distinct_names, how_made
from mad_core.runs.store import DatasetInfo, Run
from pages.compare import deferred_intervals
from pages.compare.bench import bench_section
from pages.compare.imported_scores import add_results, what_did_not_fit
from pages.compare.numbers import export, intervals_key, numbers
from pages.compare.operating import operating
from pages.compare.reductions import severity_from_maps
from pages.compare.score_against_level import score_against_level
from pages.compare.two_runs import two_runs
from pages.compare.view import LIVE_SECONDS, View
from pages.ui import audited_labels, charts, engine, session
from pages.ui.called_cells import called_cells
from pages.ui.header import header
from pages.ui.labels_note import labels_note
from pages.ui.learning import is_learned, learning_curve
from pages.ui.text import plain
from pages.ui.widgets import pick_several, pick_subset, pick_subset_or_all

FEW = 8
"""Runs in view where none were chosen: the newest ones."""
# Figures stand beside each other only where both have room; below that they stand under each other.
ROOM = "<style>.st-key-figures [data-testid='stColumn'] { min-width: min(30rem, 100%); }</style>"


def page() -> None:
    if st.session_state.pop("compare_open", False):
        session.open_page("pages/images/page.py")
    info = header("Compare")
    if info is None:
        st.info("There is no dataset yet; add one on the Data page.", icon=":material/info:")
        return
    runs = session.runs_in_view(info)
    scored = [run for run in runs if run.done]
    if any(run.active for run in runs):
        st.fragment(_await_scores, run_every=LIVE_SECONDS)(info, {run.id for run in scored})
    if not scored:
        st.info(
            "No run on this dataset has a score yet. Queue a scorer on the Score page; its first scores show here.",
            icon=":material/info:",
        )
        st.page_link("pages/score/page.py", label="Choose scorers", icon=":material/play_arrow:")
        add_results(info)
        return
    view = _choose(info, scored)
    if not view.runs:
        st.info("None of the chosen runs scored this subset.", icon=":material/info:")
        return
    with deferred_intervals.drawing(view.runs):
        _draw(info, view)


def _draw(info: DatasetInfo, view: View) -> None:
    counted = _counted(view, view.key(*view.runs))
    if not labels_note(*counted, "metrics, scores against levels, and how runs differ"):
        _learned(view)
        export(view)
        what_did_not_fit(view.runs, view.names)
        add_results(info)
        return
    renewed = any(run.active for run in view.runs) or deferred_intervals.waits("numbers", intervals_key(view))
    st.fragment(numbers, run_every=LIVE_SECONDS if renewed else None)(view)
    export(view)
    what_did_not_fit(view.runs, view.names)
    bench_section(info, view.runs)
    add_results(info)
    _how_made(view)
    st.html(ROOM)
    with st.container(key="figures"):
        score_against_level(view)
        if len(view.runs) > 1:
            two_runs(view)
        operating(view)
    _by_cuts(view)
    _learned(view)
    severity_from_maps(view.subset, view.runs, view.names)
    if len(view.runs) == 1:
        st.info("With a second run this page also shows where two scorers disagree.", icon=":material/info:")
        st.page_link("pages/score/page.py", label="Choose another scorer", icon=":material/play_arrow:")


@st.cache_data(max_entries=64, show_spinner=False)
def _counted(_view: View, key: tuple[Any, ...]) -> tuple[int, int]:
    """How many images are in view, and how many of them have a level."""
    images: Any = pd.concat([_view.rows(run) for run in _view.runs]).drop_duplicates("image_id")
    return len(images), len(labelled(images))


def _how_made(view: View) -> None:
    """How the runs were made, beside each other: what differs first."""
    if len(view.runs) < 2:
        return
    table, differing = how_made(view.runs, view.names)
    what = "nothing differs" if not differing else "1 thing differs" if differing == 1 else f"{differing} things differ"
    with st.expander(f"How these runs were made: {what}", icon=":material/difference:"):
        charts.show_table(table, "Parameters and records of the runs beside each other, what differs first")
        if differing:
            st.caption("What differs stands first.")


def _by_cuts(view: View) -> None:
    """Of each run with cuts that were kept for the subset, the level against the called level."""
    if view.subset is None:
        return
    cuts = {run.id: engine.store().cuts.of_run(run.id).get(view.subset) for run in view.runs}
    if not any(cuts.values()):
        return
    st.header("Level against called level", anchor=False)
    st.caption("By the cuts kept with each run (Studies, Decisions). A number opens its images.")
    for run in view.runs:
        kept = cuts[run.id]
        if kept is not None:
            st.markdown(f"**{plain(view.names[run.id])}**")
            called_cells(view.info, run, view.subset, kept, view.names[run.id])


def _learned(view: View) -> None:
    """The learning curve of the newest run in view that learned from grades."""
    learned = [run for run in view.runs if is_learned(run)]
    if learned:
        st.header("What grades have taught", anchor=False)
        run = learned[-1]
        learning_curve(run, view.subset or pick_subset("learned", run.subsets, width=240))


def _await_scores(info: DatasetInfo, shown: set[str]) -> None:
    """Draw the page again when another run has its first score."""
    if {run.id for run in session.runs_in_view(info) if run.done} != shown:
        st.rerun()


def _choose(info: DatasetInfo, scored: Sequence[Run]) -> View:
    by_id = {run.id: run for run in scored}
    names = distinct_names(scored)
    subsets = engine.store().dataset(info.id).subsets
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subset = pick_subset_or_all(subsets, width=240)
        chosen = pick_several("Runs", "runs", list(by_id), names, list(by_id)[-FEW:])
    runs = [by_id[run_id] for run_id in chosen if subset is None or subset in by_id[run_id].subsets]
    return View(info, subset, runs, names, audited_labels.labels_in_view(info))


page()
