"""Two runs side by side: their difference with its interval, rank against rank, and where they disagree."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from mad_core.figures import (
    READ_METRIC_DIFFERENCES,
    READ_RANK_SCATTER,
    describe_metric_intervals,
    describe_rank_scatter,
    interval_row,
    metric_intervals,
    rank_scatter,
)
from mad_core.figures.raincloud import POINTS_A_LEVEL
from mad_core.labelled import labelled
from mad_core.metrics.differences import differences
from mad_core.metrics.names import judged
from mad_core.metrics.summary import ordered
from mad_core.metrics.units import groups_of
from mad_core.palette import Theme
from mad_core.runs.comparing import (
    ranks_within_subsets,
    side_by_side,
)
from pages.compare import deferred_intervals
from pages.compare.view import LIVE_SECONDS, View, draws_of, open_image
from pages.ui import charts, session, tiles
from pages.ui.approach import near
from pages.ui.gallery import gallery
from pages.ui.reading import how_to_read
from pages.ui.text import plain
from pages.ui.widgets import pick

APART = 6
HEIGHT = 420


def two_runs(view: View) -> None:
    """Two of the runs: their difference with its interval, rank against rank, and where they disagree."""
    st.header("Two runs side by side", anchor=False)
    ids = [run.id for run in view.runs]
    with st.container(horizontal=True):
        how_to_read(READ_RANK_SCATTER, "ranks")
        how_to_read(READ_METRIC_DIFFERENCES, "the difference")
    with st.container(horizontal=True):
        first = pick("Run", "run", ids, view.names, width=320)
        others = [run_id for run_id in ids if run_id != first]
        second = pick("Against", "against", others, view.names, width=320)
    key = view.key(*(run for run_id in (first, second) for run in view.runs if run.id == run_id))
    table = _pair_of(view, first, second, key)
    left, right = st.columns(2, gap="large")
    with left:
        st.fragment(_ranks)(view, table, first, second, key)
    with right:
        draws = min(draws_of(run) for run in view.runs if run.id in (first, second))
        renewed = bool(draws) and deferred_intervals.waits("difference", key)
        st.fragment(_difference, run_every=LIVE_SECONDS if renewed else None)(view, table, first, second, draws, key)
    _disagreements(view, table, first, second)


@st.cache_resource(max_entries=8, show_spinner=False)
def _pair_of(_view: View, first: str, second: str, key: tuple[Any, ...]) -> pd.DataFrame:
    """The images that both runs scored, with their ranks; shared by all sessions, never changed."""
    table = side_by_side({run.id: labelled(_view.rows(run)) for run in _view.runs if run.id in (first, second)})
    return table[table[first].notna() & table[second].notna()].assign(
        rank_a=lambda t: ranks_within_subsets(t, first), rank_b=lambda t: ranks_within_subsets(t, second)
    )


def _ranks(view: View, table: pd.DataFrame, first: str, second: str, key: tuple[Any, ...]) -> None:
    if not near(f"ranks_{first}_{second}_{view.subset}", HEIGHT, len(view.runs)):
        return
    figure, alt = _ranks_of(view, table, first, second, key)
    clicked = charts.show_clickable(figure, alt, f"ranks_{first}_{second}_{view.subset}")
    open_image(view, table, clicked, first)


@st.cache_resource(max_entries=16, show_spinner=False)
def _ranks_of(
    _view: View, _table: pd.DataFrame, first: str, second: str, key: tuple[Any, ...]
) -> tuple[go.Figure, str]:
    view, table = _view, _table
    name_a, name_b = view.names[first], view.names[second]
    figure = rank_scatter(
        table["rank_a"],
        table["rank_b"],
        table["level"],
        table["image_id"].tolist(),
        level_names=view.level_names,
        theme=charts.theme(),
        hover=table["path"].tolist(),
        name_a=name_a,
        name_b=name_b,
        points_a_level=POINTS_A_LEVEL,
    )
    return figure, describe_rank_scatter(table["rank_a"], table["rank_b"], name_a=name_a, name_b=name_b)


@st.cache_data(max_entries=64, show_spinner="Computing the paired intervals")
def _differences(_table: pd.DataFrame, first: str, second: str, draws: int, key: tuple[Any, ...]) -> Any:
    levels, subsets = ordered(_table)[0], _table["subset"]
    columns = levels, _table[first], _table[second], subsets, groups_of(_table)
    return differences(*columns, with_intervals=bool(draws))


def _difference(view: View, table: pd.DataFrame, first: str, second: str, draws: int, key: tuple[Any, ...]) -> None:
    if not near(f"difference_{first}_{second}_{view.subset}", HEIGHT, len(view.runs)):
        return
    if draws and deferred_intervals.waits("difference", key):
        st.caption("The paired intervals are being computed.")
        return
    n, differences = _differences(table, first, second, draws, key)
    rows = [interval_row(metric.title, *differences[metric.id]) for metric in judged()]
    title = f"{view.names[first]} minus {view.names[second]}"
    figure, alt = _difference_of(rows, charts.theme())
    st.markdown(f"**{plain(title)}**, on the {n:,} images that both scored")
    charts.show(figure, f"{title}: {alt}", f"difference_{first}_{second}")
    st.caption(
        "Paired 95 % intervals: what an image does to both runs alike cancels. An interval that holds 0 does not tell "
        "the two apart."
    )
    if draws:
        deferred_intervals.computed("difference", key, view.runs)


@st.cache_resource(max_entries=32, show_spinner=False)
def _difference_of(rows: list[dict[str, Any]], theme: Theme) -> tuple[go.Figure, str]:
    facts = {"reference": [("no difference", 0.0)], "x_title": "difference"}
    return metric_intervals(rows, theme=theme, width=620, **facts), describe_metric_intervals(rows, **facts)


def _disagreements(view: View, table: pd.DataFrame, first: str, second: str) -> None:
    """The images whose ranks lie furthest apart."""
    gaps: Any = (table["rank_a"] - table["rank_b"]).abs()
    furthest = table.loc[gaps.nlargest(APART).index]
    ranks = {row.image_id: f"{row.rank_a:.0f} / {row.rank_b:.0f}" for row in furthest.itertuples()}
    st.markdown("**Where they disagree most**")
    st.caption(f"Percentile ranks by {plain(view.names[first])} and by {plain(view.names[second])}.")
    shown = tiles.tiles_of(view.info, list(ranks), ranks)
    open_image(view, table, gallery(shown, columns=APART, key=f"apart_{first}_{second}"), first)
    if view.subset and st.button("All images by rank difference", icon=":material/grid_view:"):
        session.put(image=None, subset=view.subset, split=None, sort="rank difference", run=first, against=second)
        session.open_page("pages/images/page.py")
