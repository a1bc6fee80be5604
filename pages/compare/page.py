"""Compare: metric table, scores against levels, runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from mad_core.audit.consensus import RULES
from mad_core.figures import (
    describe_inversion_matrix,
    describe_metric_intervals,
    describe_raincloud,
    describe_rank_scatter,
    inversion_matrix,
    metric_intervals,
    raincloud,
    rank_scatter,
)
from mad_core.figures.raincloud import POINTS_A_LEVEL
from mad_core.metrics import comparing
from mad_core.palette import Theme
from mad_core.report.contents import ReportRequest
from mad_core.runs.comparing import (
    distinct_names,
    metrics_csv,
    ranks_within_subsets,
    scores_side_by_side_csv,
    side_by_side,
    supervision_note,
)
from mad_core.runs.store import DatasetInfo, Run
from mad_core.teaching import METRICS
from pages.compare import deferred_intervals
from pages.compare.bench import bench_section
from pages.compare.imported_scores import add_results, what_did_not_fit
from pages.compare.reductions import severity_from_maps
from pages.compare.report import report_download
from pages.ui import audited_labels, charts, engine, session, tiles
from pages.ui.gallery import gallery
from pages.ui.header import header
from pages.ui.reading import how_to_read
from pages.ui.table import metric_table
from pages.ui.text import level_names, plain

ALL = "All subsets"
FEW = 8
"""Runs in view where none were chosen: the newest ones."""
LIVE_SECONDS = 2.0
FIGURE_SECONDS = 5.0
DRAWS = 1000
COMPUTING = "The 95 % intervals are being computed."
APART = 6
# Figures stand beside each other only where both have room; below that they stand under each other.
ROOM = "<style>.st-key-figures [data-testid='stColumn'] { min-width: min(30rem, 100%); }</style>"
DIFFERENCES = {
    "c_index": "C-index",
    "kendall_tau_b": "Kendall's tau-b",
    "auroc_whole": "AUROC, all levels",
    "abnormal_c_index": "C-index, abnormal only",
    "abnormal_kendall_tau_b": "tau-b, abnormal only",
}
COLUMNS = {
    "auroc": "AUROC",
    "c_index": "C-index",
    "kendall_tau_b": "Kendall's tau-b",
    "abnormal_only": "Abnormal only",
    "ties": "Tied pairs",
    "coverage": "Images",
}


@dataclass(frozen=True)
class View:
    """What is compared: some runs on one subset, or on all (``subset`` is None)."""

    info: DatasetInfo
    subset: str | None
    runs: Sequence[Run]
    names: Mapping[str, str]
    audited: pd.DataFrame | None = None
    """Audited labels, where they are in view in place of the original ones."""

    @property
    def level_names(self) -> Mapping[float, str]:
        """Names of the levels; on all subsets those on which the subsets agree."""
        subsets = [self.subset] if self.subset else sorted({s for run in self.runs for s in run.subsets})
        known = [level_names(self.info.card.subset(name)) for name in subsets]
        return {level: name for level, name in known[0].items() if all(k.get(level) == name for k in known)}

    @property
    def report(self) -> ReportRequest:
        """What a report of this view has to hold."""
        rule = session.get("rule", RULES[0]) if self.audited is not None else None
        return ReportRequest(tuple(run.id for run in self.runs), self.subset, rule, DRAWS)

    def rows(self, run: Run) -> pd.DataFrame:
        """The images of a run in view."""
        if self.audited is None:
            return engine.table(run) if self.subset is None else engine.table_of(run, self.subset)
        table: Any = audited_labels.rows(run, self.audited)
        return table if self.subset is None else table[table["subset"] == self.subset]

    def key(self, *runs: Run) -> tuple[Any, ...]:
        """Changes whenever the rows of these runs may have changed, or what they are called."""
        labels = None if self.audited is None else audited_labels.digest_of(self.audited)
        names = tuple(self.level_names.items())
        return self.subset, labels, names, charts.theme(), *((r.id, self.names[r.id], *engine.state(r)) for r in runs)

    def partial(self, run: Run) -> str:
        """What to say of a run that has images in view still to score; empty of others."""
        if run.status == "done":
            return ""
        rows = self.rows(run)
        waiting = int((rows["status"] == "waiting").to_numpy().sum())
        state = "at work" if run.active else "stopped"
        return f"partial: {state}, {len(rows) - waiting:,} of {len(rows):,} images" if waiting else ""


def page() -> None:
    if st.session_state.pop("compare_open", False):
        st.switch_page("pages/images/page.py")
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
    renewed = any(run.active for run in view.runs) or deferred_intervals.waits("numbers", _wanted(view))
    st.fragment(_numbers, run_every=LIVE_SECONDS if renewed else None)(view)
    _export(view)
    what_did_not_fit(view.runs, view.names)
    bench_section(info, view.runs)
    add_results(info)
    st.html(ROOM)
    with st.container(key="figures"):
        _score_against_level(view)
        if len(view.runs) > 1:
            _pair(view)
    severity_from_maps(view.subset, view.runs, view.names)
    if len(view.runs) == 1:
        st.info("With a second run this page also shows where two scorers disagree.", icon=":material/info:")
        st.page_link("pages/score/page.py", label="Choose another scorer", icon=":material/play_arrow:")


def _await_scores(info: DatasetInfo, known: set[str]) -> None:
    """Draw the page again when another run has its first score."""
    if {run.id for run in session.runs_in_view(info) if run.done} != known:
        st.rerun()


def _choose(info: DatasetInfo, scored: Sequence[Run]) -> View:
    by_id = {run.id: run for run in scored}
    names = distinct_names(scored)
    subsets = engine.store().dataset(info.id).subsets
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subset = subsets[0]
        if len(subsets) > 1:
            options = [ALL, *subsets]
            subset = st.selectbox("Subset", options, width=240, **session.bound("within", options, ALL))
        chosen = st.multiselect(
            "Runs",
            list(by_id),
            format_func=names.__getitem__,
            **session.bound_list("runs", list(by_id), list(by_id)[-FEW:]),
        )
    subset = None if subset == ALL else subset
    runs = [by_id[run_id] for run_id in chosen if subset is None or subset in by_id[run_id].subsets]
    return View(info, subset, runs, names, audited_labels.labels_in_view(info))


# -- the metric table -----------------------------------------------------------------------------


def _numbers(view: View) -> None:
    """The table and what it says; values stand there before their intervals, which are computed run by run."""
    view = _renewed(view)
    founds = [audited_labels.metrics(run, view.subset, 0, view.audited) for run in view.runs]
    wanted = _wanted(view)
    if deferred_intervals.waits("numbers", wanted):
        _table(view, founds)
        st.caption(COMPUTING)
        return
    computing = deferred_intervals.lacks("numbers", wanted)
    slot = st.empty() if computing else st.container()  # what an empty place holds vanishes before it is drawn anew
    for place, run in enumerate(view.runs):
        if computing:
            with slot.container():
                _table(view, founds)
                st.caption(COMPUTING)
        founds[place] = audited_labels.metrics(run, view.subset, _draws(run), view.audited)
    with slot.container():
        _table(view, founds)
        _in_words(view, founds)
    deferred_intervals.computed("numbers", wanted, view.runs)


def _wanted(view: View) -> tuple[Any, ...]:
    """What intervals in the table depend on."""
    labels = None if view.audited is None else view.audited["audited"].tolist()
    return view.subset, labels, [(run.id, run.done) for run in view.runs if not run.active]


def _renewed(view: View) -> View:
    """The view with its runs as they are by now; the whole page is drawn again if one was deleted."""
    known = {run.id: run for run in session.runs_in_view(view.info)}
    if not all(run.id in known for run in view.runs):
        st.rerun()
    return replace(view, runs=[known[run.id] for run in view.runs])


def _draws(run: Run) -> int:
    return 0 if run.active else DRAWS


def _table(view: View, founds: Sequence[dict[str, Any]]) -> None:
    rows = [(view.names[run.id], found) for run, found in zip(view.runs, founds, strict=True)]
    partial = {view.names[run.id]: note for run in view.runs if (note := view.partial(run))}
    complete = {name: found for name, found in rows if name not in partial}
    metric_table(
        rows,
        notes=_notes(view, partial),
        best=comparing.best(complete) if _same_images(founds) else None,
        reference=comparing.reference_rows(_fullest(founds)),
        level_names=view.level_names,
    )


def _notes(view: View, partial: Mapping[str, str]) -> dict[str, str]:
    """Under each run's name: whether it is partial, and which labels it owes its scores to."""
    found = {}
    for run in view.runs:
        name = view.names[run.id]
        facts = [entry.facts for entry in engine.store().run_subsets(run.id)]
        found[name] = " · ".join(note for note in (partial.get(name, ""), supervision_note(run, facts)) if note)
    return found


def _same_images(founds: Sequence[dict[str, Any]]) -> bool:
    """Whether the runs were asked for equally many images of each level."""
    return all(found["levels"] == founds[0]["levels"] for found in founds)


def _fullest(founds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return max(founds, key=lambda found: found["n_scored"])


def _in_words(view: View, founds: Sequence[dict[str, Any]]) -> None:
    average = "Averages over the subsets; raw scores of different subsets are never pooled. " if not view.subset else ""
    st.caption(
        f"{average}Under each value its 95 % bootstrap interval. **Bold**: best, and its interval lies above those of "
        "all others. Underlined: highest, but the intervals overlap or are not known. Partial runs are never marked. "
        "Where a run owes its scores to severity labels or to a general model, its name says so; the others learned "
        "from training normals alone."
    )
    if not _same_images(founds):
        st.caption(
            "The runs were asked for different images, so none is marked as best. Below, two runs are compared on the "
            "images that both scored."
        )
    with st.expander("What these numbers say", expanded=True, icon=":material/notes:"):
        st.markdown(plain(comparing.reference_in_words(_fullest(founds))))
        said = [
            f"- **{plain(view.names[run.id])}**: {plain(' '.join(sentences))}"
            for run, found in zip(view.runs, founds, strict=True)
            if (sentences := comparing.in_words(found))
        ]
        st.markdown("\n".join(said))


def _export(view: View) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "Metrics as CSV",
            data=lambda: _metrics_csv(view),
            file_name="metrics.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Scores side by side as CSV",
            data=lambda: _scores_csv(view),
            file_name="scores-side-by-side.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        report_download(view.report)
        how_to_read("metrics", "the table")
        with st.popover("What the columns mean", type="tertiary"):
            st.markdown("\n".join(f"- **{COLUMNS[key]}**: {plain(text)}" for key, text in METRICS.items()))


def _metrics_csv(view: View) -> str:
    rows = []
    for run in view.runs:
        subsets = [view.subset] if view.subset else [None, *(run.subsets if len(run.subsets) > 1 else ())]
        for subset in subsets:
            label = subset or "average over subsets"
            rows.append(
                (run.id, view.names[run.id], label, audited_labels.metrics(run, subset, _draws(run), view.audited))
            )
    return metrics_csv(rows)


def _scores_csv(view: View) -> str:
    return scores_side_by_side_csv(_side_by_side(view), {run.id: view.names[run.id] for run in view.runs})


def _side_by_side(view: View) -> pd.DataFrame:
    return side_by_side({run.id: view.rows(run) for run in view.runs})


# -- score against level --------------------------------------------------------------------------


def _score_against_level(view: View) -> None:
    """For each run the raincloud and, beside it, the inversion matrix."""
    st.subheader("Score against severity level", anchor=False)
    st.caption(
        "A click on a point opens its image. The matrix takes the C-index apart: for each pair of levels, how often "
        "the more severe image scores higher."
    )
    with st.container(horizontal=True):
        how_to_read("raincloud", "the clouds")
        how_to_read("matrix", "the matrix")
    for place, run in enumerate(view.runs):
        st.fragment(_figures, run_every=FIGURE_SECONDS if run.active else None)(view, place)


def _figures(view: View, place: int) -> None:
    run = _renewed(view).runs[place]
    left, right = st.columns([5, 4], gap="medium")
    with left:
        _cloud(view, run)
    with right:
        _matrix(view, run)


def _cloud(view: View, run: Run) -> None:
    figure, alt = _cloud_of(view, run, view.key(run))
    clicked = charts.show_clickable(figure, f"{view.names[run.id]}: {alt}", f"cloud_{run.id}_{view.subset}")
    _open(view.rows(run), clicked, run.id)


@st.cache_resource(max_entries=32, show_spinner=False)
def _cloud_of(_view: View, _run: Run, key: tuple[Any, ...]) -> tuple[go.Figure, str]:
    view, run = _view, _run
    rows = view.rows(run)
    scores, label = rows["score"], "anomaly score"
    if view.subset is None and len(run.subsets) > 1:
        scores, label = ranks_within_subsets(rows, "score"), "percentile rank within its subset"
    figure = raincloud(
        rows["level"],
        scores,
        rows["image_id"].tolist(),
        level_names=view.level_names,
        theme=charts.theme(),
        title=view.names[run.id],
        score_label=label,
        hover=rows["path"].tolist(),
        height=330,
        width=520,
    )
    return figure, describe_raincloud(rows["level"], scores, level_names=view.level_names, score_label=label)


def _open(rows: pd.DataFrame, image_id: str | None, run_id: str) -> None:
    """Go to the image that was clicked, with the run in view.

    The page is left by the next full run: a browser that is sent away from within a fragment may end blank.
    """
    if image_id:
        subset = rows.loc[rows["image_id"] == image_id, "subset"].iloc[0]
        session.put(image=image_id, subset=subset, split=None, run=run_id)
        st.session_state["compare_open"] = True
        st.rerun()


def _matrix(view: View, run: Run) -> None:
    figure, alt = _matrix_of(view, run, view.key(run))
    charts.show(figure, f"{view.names[run.id]}: {alt}", f"matrix_{run.id}_{view.subset}")


@st.cache_resource(max_entries=32, show_spinner=False)
def _matrix_of(_view: View, _run: Run, key: tuple[Any, ...]) -> tuple[go.Figure, str]:
    view, rows = _view, _view.rows(_run)
    matrix, levels, counts = comparing.mean_inversion_matrix(rows["level"], rows["score"], rows["subset"])
    figure = inversion_matrix(matrix, levels, counts=counts, level_names={}, theme=charts.theme(), width=450)
    return figure, describe_inversion_matrix(matrix, levels, counts=counts, level_names=view.level_names)


# -- two runs -------------------------------------------------------------------------------------


def _pair(view: View) -> None:
    """Two of the runs: their difference with its interval, rank against rank, and where they disagree."""
    st.subheader("Two runs side by side", anchor=False)
    ids = [run.id for run in view.runs]
    with st.container(horizontal=True):
        how_to_read("ranks", "ranks")
        how_to_read("difference", "the difference")
    with st.container(horizontal=True):
        first = st.selectbox(
            "Run", ids, format_func=view.names.__getitem__, width=320, **session.bound("run", ids, ids[0])
        )
        others = [run_id for run_id in ids if run_id != first]
        second = st.selectbox(
            "Against",
            others,
            format_func=view.names.__getitem__,
            width=320,
            **session.bound("against", others, others[0]),
        )
    key = view.key(*(run for run_id in (first, second) for run in view.runs if run.id == run_id))
    table = _pair_of(view, first, second, key)
    left, right = st.columns(2, gap="large")
    with left:
        _ranks(view, table, first, second, key)
    with right:
        draws = min(_draws(run) for run in view.runs if run.id in (first, second))
        renewed = bool(draws) and deferred_intervals.waits("difference", key)
        st.fragment(_difference, run_every=LIVE_SECONDS if renewed else None)(view, table, first, second, draws, key)
    _disagreements(view, table, first, second)


@st.cache_resource(max_entries=8, show_spinner=False)
def _pair_of(_view: View, first: str, second: str, key: tuple[Any, ...]) -> pd.DataFrame:
    """The images that both runs scored, with their ranks; shared by all sessions, never changed."""
    table = side_by_side({run.id: _view.rows(run) for run in _view.runs if run.id in (first, second)})
    return table[table[first].notna() & table[second].notna()].assign(
        rank_a=lambda t: ranks_within_subsets(t, first), rank_b=lambda t: ranks_within_subsets(t, second)
    )


def _ranks(view: View, table: pd.DataFrame, first: str, second: str, key: tuple[Any, ...]) -> None:
    figure, alt = _ranks_of(view, table, first, second, key)
    clicked = charts.show_clickable(figure, alt, f"ranks_{first}_{second}_{view.subset}")
    _open(table, clicked, first)


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
    return comparing.differences(_table["level"], _table[first], _table[second], _table["subset"], draws=draws)


def _difference(view: View, table: pd.DataFrame, first: str, second: str, draws: int, key: tuple[Any, ...]) -> None:
    if draws and deferred_intervals.waits("difference", key):
        st.caption("The paired intervals are being computed.")
        return
    n, found = _differences(table, first, second, draws, key)
    rows = [
        {"name": label, "estimate": value, "low": interval and interval[0], "high": interval and interval[1]}
        for metric, label in DIFFERENCES.items()
        for value, interval in [found[metric]]
    ]
    title = f"{view.names[first]} minus {view.names[second]}"
    figure, alt = _difference_of(rows, charts.theme())
    st.markdown(f"**{plain(title)}**, on the {n:,} images that both scored")
    charts.show(figure, f"{title}: {alt}", f"difference_{first}_{second}")
    st.caption(
        "Paired 95 % bootstrap intervals: both runs on the same resampled images, drawn within each level. An interval "
        "that holds 0 does not tell the two apart."
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
    dataset = engine.store().dataset(view.info.id)
    these: Any = dataset.table[dataset.table["image_id"].isin(furthest["image_id"].tolist())]
    images: dict[str, Any] = {image.image_id: image for image in these.itertuples()}
    st.markdown("**Where they disagree most**")
    st.caption(f"Percentile ranks by {plain(view.names[first])} and by {plain(view.names[second])}.")
    shown = []
    for row in furthest.itertuples():
        image = images[row.image_id]
        label = f"{row.rank_a:.0f} / {row.rank_b:.0f}"
        shown.append(replace(tiles.tile(view.info, image, dataset.levels(image.subset)), score_label=label))
    _open(table, gallery(shown, columns=APART, key=f"apart_{first}_{second}"), first)
    if view.subset and st.button("All images by rank difference", icon=":material/grid_view:"):
        session.put(image=None, subset=view.subset, split=None, sort="rank difference", run=first, against=second)
        st.switch_page("pages/images/page.py")


page()
