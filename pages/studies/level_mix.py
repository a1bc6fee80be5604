"""Levels as in the field, live: a slider for the share of each level, and the metrics that move with it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.errors import MadError
from mad_core.labelled import labelled
from mad_core.metrics.level_mix import METRICS
from mad_core.metrics.names import metric_of
from mad_core.metrics.summary import ordered
from mad_core.metrics.units import groups_of
from mad_core.runs.store import DatasetInfo, Run
from mad_core.studies.estimates import Estimate
from mad_core.studies.finding import Finding
from mad_core.studies.level_mix.run import Prepared, prepare
from pages.studies.runs_in_view import run_and_subset, runs_of
from pages.ui import engine
from pages.ui.text import plain, with_interval


def section(info: DatasetInfo, runs: Sequence[Run]) -> None:
    """Sliders and metrics of one run on one subset; nothing where no run has scores.

    Parameters
    ----------
    runs : sequence of Run
        On this dataset.
    """
    chosen = run_and_subset(runs, "mix")
    if chosen is not None:
        _live(*chosen)


def of_finding(info: DatasetInfo, finding: Finding) -> None:
    """The section for the runs that a finding was made of."""
    section(info, runs_of(info, finding))


@st.fragment
def _live(run_id: str, subset: str) -> None:
    run = engine.store().run(run_id)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        under = st.number_input("Cost of a level too low", 0.0, value=5.0, key="mix_under", width=170)
        over = st.number_input("Cost of a level too high", 0.0, value=1.0, key="mix_over", width=170)
    try:
        ready = _prepared(run_id, subset, under, over, (run.done, run.status, run.finished))
    except MadError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    levels, own = ready.pairs.levels, ready.pairs.shares
    shares = [
        st.slider(f"Share of L{level}, %", 0.0, 100.0, float(round(100 * share, 1)), 0.1, key=f"mix_{subset}_{level}")
        for level, share in zip(levels, own, strict=True)
    ]
    if not sum(shares):
        st.info("One level at least needs a share above 0.", icon=":material/info:")
        return
    st.dataframe(_table(ready, shares), hide_index=True, alt="Metrics with the test set's levels and with these")
    still = ", ".join(f"L{level} {_written(value)}" for level, value in ready.aurocs().items())
    st.caption(
        f"AUROC of each level, which does not move: {plain(still) or 'none'}. Shares are brought to 100 %. The cost is "
        "that of cuts placed for the test set's own shares, each image called by cuts placed on others."
    )


@st.cache_data(max_entries=16, show_spinner="Counting pairs of levels")
def _prepared(run_id: str, subset: str, under: float, over: float, state: tuple[Any, ...]) -> Prepared:
    rows: Any = labelled(engine.table(engine.store().run(run_id)))
    rows = rows[(rows["subset"] == subset) & np.isfinite(rows["score"])]
    return prepare(ordered(rows)[0], rows["score"], under=under, over=over, groups=groups_of(rows))


def _table(ready: Prepared, shares: Sequence[float]) -> pd.DataFrame:
    """Each metric with the test set's shares and with these, and how far it moves, with 95 % intervals."""
    own, mixed = ready.under(ready.pairs.shares), ready.under(shares)
    titles = {**{name: metric_of(name).title for name in METRICS}, "cost": "Expected cost an image"}
    return pd.DataFrame(
        [
            {
                "Metric": title,
                "Test set": _written(own[name]),
                "This mix": _written(mixed[name]),
                "Change": _written(mixed[name] - own[name]),
            }
            for name, title in titles.items()
        ]
    )


def _written(value: Estimate) -> str:
    return with_interval(value.value, value.interval())
