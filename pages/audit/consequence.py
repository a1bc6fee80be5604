"""The Consequence section of the Audit page: what the corrections do to the metrics of each run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.audit.consensus import consensus_of, corrections
from mad_core.audit.consequence import Consequence, consequence
from mad_core.figures import describe_metric_intervals, interval_row, metric_intervals
from mad_core.metrics.names import C_INDEX, TAU, Metric, judged
from mad_core.palette import chrome
from mad_core.runs.comparing import distinct_names
from mad_core.runs.results import run_table
from mad_core.runs.store import Run
from pages.audit.context import Audit, records
from pages.audit.review_queue import scored_runs
from pages.ui import charts, engine
from pages.ui.audited_labels import corrections_in_words, digest_of, rule_choice
from pages.ui.reading import how_to_read
from pages.ui.text import plain
from pages.ui.widgets import pick_several

MOST_RUNS = 4
DRAWS = 1000
READ_CONSEQUENCE = (
    "Two rows a metric: the scorer on the original labels, and on the audited ones. To the right is better; lines are "
    "95 % intervals. Both rows rest on the same images, so even a small step is due to the corrected labels alone. "
    "But labels that scorers contradict were looked at first, and that favours these scorers: images reviewed in "
    "random order are the fair check."
)


def consequence_section(audit: Audit) -> None:
    """Metrics on original and audited labels side by side, and what each correction moved."""
    runs = {run.id: run for run in scored_runs(audit)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = rule_choice()
        names = distinct_names(list(runs.values()))
        newest = list(runs)[-MOST_RUNS:]
        chosen = pick_several("Runs", "weighed", list(runs), names, newest, max_selections=MOST_RUNS)
    audited = consensus_of(records(), audit.info.id, rule)
    st.markdown(plain(corrections_in_words(audited)))
    moved = corrections(audited)
    if not runs:
        st.info("No run on this dataset has a score yet, so there is no metric to compare.", icon=":material/info:")
        st.page_link("pages/score/page.py", label="Choose scorers", icon=":material/play_arrow:")
    elif moved.empty:
        st.info("As long as no label moves, every metric stays as it is.", icon=":material/info:")
    else:
        how_to_read(READ_CONSEQUENCE, "the metrics on both labels")
        for run_id in chosen:
            _run(audit, runs[run_id], names[run_id], audited)


@st.cache_data(max_entries=32, show_spinner="Computing the intervals on both labels")
def _consequence(_audited: pd.DataFrame, run_id: str, title: str, state: tuple[Any, ...]) -> Consequence:
    return consequence(run_table(engine.store(), run_id), _audited, run_id, title, draws=DRAWS)


def _run(audit: Audit, run: Run, name: str, audited: pd.DataFrame) -> None:
    digest = digest_of(audited)
    consequence = _consequence(audited, run.id, name, (run.done, run.status, run.finished, digest))
    st.header(plain(name), anchor=False)
    st.markdown(plain(_in_words(consequence)))
    rows = _rows(consequence)
    figure = metric_intervals(rows, theme=charts.theme(), width=760, x_title="value")
    charts.show(figure, f"{name}: {describe_metric_intervals(rows, x_title='value')}", f"audit_metrics_{run.id}")
    if len(consequence.subsets) > 1:
        st.caption("Averages over the subsets, which are never pooled.")
        with st.expander("Each subset"):
            st.dataframe(_subsets(consequence), hide_index=True, alt=f"Metrics of {name} in each subset on both labels")
    with st.expander(f"What each of {len(consequence.corrections):,} corrections moved", expanded=True):
        st.dataframe(
            _corrections(audit, consequence),
            hide_index=True,
            width="stretch",
            alt=f"Corrections and what each of them moved in the metrics of {name}",
        )
        st.caption(
            "The metric on all audited labels, less the metric with this one correction undone. Corrections act "
            "together, so their parts do not add up to the whole."
        )


def _in_words(consequence: Consequence) -> str:
    return " ".join(_moved(consequence, metric) for metric in (C_INDEX, TAU))


def _moved(consequence: Consequence, metric: Metric) -> str:
    difference = consequence.difference(metric.id)
    if difference is None:
        return f"{metric.title} cannot be computed on one of both labels."
    before, after = (metric.text(labels.values[metric.id]) for labels in (consequence.original, consequence.audited))
    if abs(difference) < 0.0005:
        return f"{metric.title} stays at {after}."
    return f"{metric.title} {'rises' if difference > 0 else 'falls'} from {before} to {after}."


def _rows(consequence: Consequence) -> list[dict[str, Any]]:
    tones = chrome(charts.theme())
    rows = []
    for metric in judged():
        for kind, labels, colour in (
            (consequence.original, "original", tones.muted),
            (consequence.audited, "audited", tones.accent),
        ):
            value, interval = kind.values.get(metric.id), kind.intervals.get(metric.id)
            rows.append(interval_row(f"{metric.short}, {labels}", value, interval, colour=colour))
    return rows


def _subsets(consequence: Consequence) -> pd.DataFrame:
    rows = []
    for name, (old, new) in consequence.subsets.items():
        cells: dict[str, str] = {"Subset": name}
        for metric in judged():
            before, after = (metric.text(measured.values.get(metric.id)) for measured in (old, new))
            cells[metric.title] = f"{before} → {after}"
        rows.append(cells)
    return pd.DataFrame(rows)


def _corrections(audit: Audit, consequence: Consequence) -> pd.DataFrame:
    rows = consequence.corrections
    words = {
        column: [audit.level(i, level) for i, level in zip(rows["image_id"], rows[column], strict=True)]
        for column in ("label", "audited")
    }
    table = pd.DataFrame(
        {
            "Image": rows["subset"].astype(str) + "/" + rows["path"].astype(str),
            "Label": words["label"],
            "Audited": words["audited"],
            "By": rows["by"],
        }
    )
    for metric in judged():
        table[metric.title] = _signed(rows[metric.id].tolist())
    return table


def _signed(values: Sequence[float]) -> list[str]:
    return ["–" if not np.isfinite(v) else f"{v:+.4f}" for v in values]
