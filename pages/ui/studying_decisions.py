"""Decisions, live: a slider for each cut, and the matrix, kappa, misses and cost that move with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from mad_core.errors import MadError
from mad_core.figures.studies_decisions import confusion, describe_confusion
from mad_core.metrics.decisions import distance_cost, miss_rates, ordinal_confusion, worth
from mad_core.runs.cuts import COST, HAND, ISOTONIC, save_cuts, saved_cuts
from mad_core.runs.store import DatasetInfo, Run
from mad_core.studies.decisions import Halves, halves, place
from mad_core.studies.finding import Finding
from pages.ui import charts, engine, session
from pages.ui.studying_runs import run_and_subset, runs_of
from pages.ui.text import plain, with_interval

_WORDS = {COST: "Lowest cost", ISOTONIC: "Isotonic fit", HAND: "As saved"}


def section(info: DatasetInfo, runs: Sequence[Run]) -> None:
    """Cuts of one run on one subset; nothing where no run has scores.

    Parameters
    ----------
    runs : sequence of Run
        On this dataset.
    """
    chosen = run_and_subset(runs, "cuts")
    if chosen is not None:
        _live(*chosen)


def of_finding(info: DatasetInfo, finding: Finding) -> None:
    """The section for the runs that a finding was made of."""
    section(info, runs_of(info, finding))


@st.fragment
def _live(run_id: str, subset: str) -> None:
    run = engine.store().run(run_id)
    try:
        parts = _halves(run_id, subset, (run.done, run.status, run.finished))
    except MadError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    cost = distance_cost(
        parts.scale,
        st.number_input("Cost of a level too low", 0.0, value=5.0, key="cuts_under"),
        st.number_input("Cost of a level too high", 0.0, value=1.0, key="cuts_over"),
    )
    kept = saved_cuts(engine.store(), run_id).get(subset)
    ways = [COST, ISOTONIC] + ([HAND] if kept and kept.levels == tuple(parts.scale) else [])
    way = st.segmented_control("Start from", ways, default=ways[-1], format_func=_WORDS.__getitem__, required=True)
    start = list(kept.cuts) if way == HAND and kept else place(parts, str(way), cost).tolist()
    scores = [*parts.fit[1], *parts.held[1], *start]
    low, high = float(min(scores)), float(max(scores))
    step = (high - low) / 1000 or 1.0
    cuts = sorted(
        st.slider(f"L{level:g} or worse from", low - step, high + step, at, step, key=f"cut_{run_id}_{subset}{way}{k}")
        for k, (level, at) in enumerate(zip(parts.scale[1:], start, strict=True))
    )
    counts = ordinal_confusion(*parts.held, cuts, parts.scale)
    found = worth(counts, parts.scale, cost, draws=300)
    kappa, price = with_interval(*found["kappa"]), with_interval(*found["cost"])
    st.markdown(plain(f"Quadratic-weighted kappa {kappa} · expected cost {price} an image"))
    figure = confusion(counts.astype(float), parts.scale.tolist(), theme=charts.theme())
    charts.show(figure, describe_confusion(counts, parts.scale.tolist()), f"cuts_{run_id}_{subset}")
    missed = [f"L{level:g} {count} of {n}" for level, (count, n) in miss_rates(*parts.held, cuts[0]).items()]
    st.caption(f"Called normal: {plain(', '.join(missed))}. Measured on the half that no cut is placed on.")
    if st.button("Keep these cuts with the run", key=f"keep_{run_id}_{subset}") and session.attempt(
        lambda: save_cuts(engine.store(), run_id, subset, parts.scale.tolist(), cuts)
    ):
        st.toast("The cuts are kept; the gallery shows the called level.")


@st.cache_data(max_entries=16, show_spinner=False)
def _halves(run_id: str, subset: str, state: tuple[Any, ...]) -> Halves:
    rows: Any = engine.table(engine.store().run(run_id))
    return halves(rows[rows["subset"] == subset])
