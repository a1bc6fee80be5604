"""The metric table of the runs in view, what it says in words, and its files."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.labelled import labelled
from mad_core.metrics import comparing
from mad_core.metrics import names as metric_names
from mad_core.metrics.differences import by_subset, every_to_the_best
from mad_core.metrics.units import groups_of
from mad_core.runs.comparing import (
    metrics_csv,
    scores_side_by_side_csv,
    side_by_side,
    supervision_note,
)
from pages.compare import deferred_intervals
from pages.compare.report import report_download
from pages.compare.view import View, draws_of, renewed
from pages.ui import audited_labels, engine
from pages.ui.reading import how_to_read
from pages.ui.table import BELOW, metric_table
from pages.ui.text import plain
from pages.ui.widgets import download

COMPUTING = "The 95 % intervals are being computed."


def numbers(view: View) -> None:
    """The table and what it says; values stand there before their intervals, which are computed run by run."""
    view = renewed(view)
    results = [audited_labels.metrics(run, view.subset, 0, view.audited) for run in view.runs]
    wanted = intervals_key(view)
    if deferred_intervals.waits("numbers", wanted):
        _table(view, results)
        st.caption(COMPUTING)
        return
    computing = deferred_intervals.lacks("numbers", wanted)
    slot = st.empty() if computing else st.container()  # what an empty place holds vanishes before it is drawn anew
    for place, run in enumerate(view.runs):
        if computing:
            with slot.container():
                _table(view, results)
                st.caption(COMPUTING)
        results[place] = audited_labels.metrics(run, view.subset, draws_of(run), view.audited)
    with slot.container():
        _table(view, results)
        _in_words(view, results)
    deferred_intervals.computed("numbers", wanted, view.runs)


def intervals_key(view: View) -> tuple[Any, ...]:
    """What intervals in the table depend on."""
    labels = None if view.audited is None else view.audited["audited"].tolist()
    return view.subset, labels, [(run.id, run.done) for run in view.runs if not run.active]


def _table(view: View, results: Sequence[dict[str, Any]]) -> None:
    rows = [(view.names[run.id], metrics) for run, metrics in zip(view.runs, results, strict=True)]
    partial = {view.names[run.id]: note for run in view.runs if (note := view.partial(run))}
    complete = {name: metrics for name, metrics in rows if name not in partial}
    metric_table(
        rows,
        notes=_notes(view, partial),
        best=_best(view, complete) if _same_images(results) else None,
        reference=comparing.reference_rows(_fullest(results)),
        level_names=view.level_names,
    )


def _best(view: View, complete: Mapping[str, dict[str, Any]]) -> Mapping[str, tuple[str, bool]]:
    """Who is best in each metric; nothing is clear before the intervals are there."""
    if not all(any(result["intervals"].values()) for result in complete.values()):
        return comparing.best(complete)
    runs = [run for run in view.runs if view.names[run.id] in complete]
    return comparing.best(complete, _to_the_best(view, tuple(run.id for run in runs), view.key(*runs)))


@st.cache_data(max_entries=32, show_spinner=False)
def _to_the_best(_view: View, run_ids: tuple[str, ...], key: tuple[Any, ...]) -> Any:
    tables = {_view.names[run.id]: labelled(_view.rows(run)) for run in _view.runs if run.id in run_ids}
    columns = ("level", "score", "subset", "image_id")
    measured = {name: by_subset(*(rows[c] for c in columns), groups=groups_of(rows)) for name, rows in tables.items()}
    return every_to_the_best(measured)


def _notes(view: View, partial: Mapping[str, str]) -> dict[str, str]:
    """Under each run's name: whether it is partial, which labels it owes its scores to, and what people note."""
    notes = {}
    for run in view.runs:
        name = view.names[run.id]
        facts = [entry.facts for entry in engine.store().run_subsets(run.id)]
        notes[name] = " · ".join(filter(None, (partial.get(name), supervision_note(run, facts), run.note)))
    return notes


def _same_images(results: Sequence[dict[str, Any]]) -> bool:
    """Whether the runs were asked for equally many images of each level."""
    return all(metrics["levels"] == results[0]["levels"] for metrics in results)


def _fullest(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return max(results, key=lambda metrics: metrics["n_scored"])


def _in_words(view: View, results: Sequence[dict[str, Any]]) -> None:
    average = "Averages over the subsets; raw scores of different subsets are never pooled. " if not view.subset else ""
    st.caption(
        f"{average}Under each value its 95 % interval. **Bold**: better than every other run by paired differences on "
        "the same images, widened for the number of runs. Underlined: highest, but not clearly. Partial runs are never "
        f"marked. {BELOW}: below chance. Where a run owes its scores to severity labels or to a general model, its "
        "name says so; the others learned from training normals alone."
    )
    if not _same_images(results):
        st.caption(
            "The runs were asked for different images, so none is marked as best. Below, two runs are compared on the "
            "images that both scored."
        )
    with st.expander("What these numbers say", expanded=True, icon=":material/notes:"):
        st.markdown(plain(comparing.reference_in_words(_fullest(results))))
        if fractions := comparing.levels_in_words(_fullest(results)):
            st.markdown(plain(fractions))
        lines = [
            f"- **{plain(view.names[run.id])}**: {plain(' '.join(sentences))}"
            for run, metrics in zip(view.runs, results, strict=True)
            if (sentences := comparing.in_words(metrics))
        ]
        st.markdown("\n".join(lines))


def export(view: View) -> None:
    with st.container(horizontal=True):
        download("Metrics as CSV", "metrics.csv", lambda: _metrics_csv(view))
        download("Scores side by side as CSV", "scores-side-by-side.csv", lambda: _scores_csv(view))
        report_download(view.report)
        how_to_read(comparing.READ_METRICS, "the table")
        with st.popover("What the columns mean", type="tertiary"):
            columns = (*metric_names.METRICS, metric_names.COVERAGE)
            st.markdown("\n".join(f"- **{column.title}**: {plain(column.read)}" for column in columns))


def _metrics_csv(view: View) -> str:
    rows = []
    for run in view.runs:
        subsets = [view.subset] if view.subset else [None, *(run.subsets if len(run.subsets) > 1 else ())]
        for subset in subsets:
            label = subset or "average over subsets"
            rows.append(
                (run.id, view.names[run.id], label, audited_labels.metrics(run, subset, draws_of(run), view.audited))
            )
    return metrics_csv(rows)


def _scores_csv(view: View) -> str:
    return scores_side_by_side_csv(_side_by_side(view), {run.id: view.names[run.id] for run in view.runs})


def _side_by_side(view: View) -> pd.DataFrame:
    return side_by_side({run.id: view.rows(run) for run in view.runs})
