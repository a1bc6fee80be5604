"""The benchmark table of the chosen runs, made when it is opened, to look at and to take away."""

import html
from collections.abc import Sequence
from typing import Any

import streamlit as st

from mad_core.bench.latex import bench_latex
from mad_core.bench.matrix import table_of_runs
from mad_core.bench.table import (
    COSTS,
    HEADLINE,
    TO_BEST,
    BenchRow,
    BenchTable,
    bench_csv,
    best,
    cost_rows,
    cost_texts,
    coverage_text,
    entry_notes,
    gap_text,
    heading,
    hundredfold,
    measured_subsets,
    to_best,
)
from mad_core.metrics.macro import Measured
from mad_core.metrics.names import COVERAGE, headline
from mad_core.palette import chrome
from mad_core.runs.store import DatasetInfo, Run
from pages.ui import engine
from pages.ui.charts import theme
from pages.ui.reading import how_to_read
from pages.ui.text import plain
from pages.ui.widgets import download

_STYLE = """
.mad-bench {{ overflow: auto; max-height: 40rem; font-variant-numeric: tabular-nums; line-height: 1.3; }}
.mad-bench table {{ border-collapse: collapse; width: 100%; font-size: 0.9rem; margin: 0 0 1rem; }}
.mad-bench caption {{ position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }}
.mad-bench :is(th, td) {{ padding: 0.3rem 0.6rem; text-align: right; vertical-align: top; border: 0; font-weight: 400;
  border-bottom: 1px solid {line}; color: {ink}; white-space: nowrap; }}
.mad-bench thead th {{ color: {muted}; font-size: 0.8rem; position: sticky; top: 0; background: {page}; }}
.mad-bench :is(tbody th, thead th:first-child) {{ text-align: left; white-space: normal; overflow-wrap: anywhere; }}
.mad-bench th[scope=rowgroup] {{ font-weight: 600; padding-top: 0.9rem; }}
.mad-bench td:last-child {{ color: {muted}; white-space: normal; }}
.mad-bench small {{ display: block; color: {muted}; font-size: 0.75rem; }}
.mad-bench b {{ font-weight: 700; }}
"""
READ_BENCH = (
    "One block for each subset and for each average over subsets; in a block one row a scorer, values times 100, "
    "their 95 % intervals below. Higher is better. An average gives each subset the same weight, however many images "
    "it has. A failed image has no score and enters no value, so look at the column of images with a score before you "
    "compare: rows on different images do not compare."
)


def bench_section(info: DatasetInfo, runs: Sequence[Run]) -> None:
    """A fold with the table of these runs over all their subsets, and its downloads."""
    box = st.expander("Benchmark table", icon=":material/table_chart:", key="bench_table", on_change="rerun")
    if not box.open:
        return
    with box:
        table = table_of_runs(engine.store(), info.id, runs, lambda run: (engine.table(run), _measured(run)))
        st.html(_html(table))
        with st.container(horizontal=True):
            download("Table as CSV", "bench-table.csv", lambda: bench_csv(table))
            download("Table as LaTeX", "bench-table.tex", lambda: bench_latex(table))
            how_to_read(READ_BENCH, "this table")
        st.caption(
            "Values times 100. **Bold**: better than all others by paired differences on the same images, widened "
            "for the number of rivals."
        )
        for note in (*table.notes, *entry_notes(table)):
            st.caption(plain(note))


def _measured(run: Run) -> dict[str, Measured]:
    """Each subset of a run measured, with intervals once the run has ended."""
    return _kept(run.id, not run.active, (run.done, run.status, run.finished))


@st.cache_data(max_entries=32, show_spinner="Measuring every subset")
def _kept(run_id: str, with_intervals: bool, state: tuple[Any, ...]) -> dict[str, Measured]:
    return measured_subsets(engine.table(engine.store().run(run_id)), draws=int(with_intervals))


def _html(table: BenchTable) -> str:
    tones = chrome(theme())
    style = _STYLE.format(ink=tones.ink, muted=tones.muted, line=tones.line, page=tones.page)
    titles = ["Scorer", *(metric.title for metric in headline()), TO_BEST, COVERAGE.title]
    body = "".join(_block(heading(places), rows) for places, rows in table.blocks())
    costs = "".join(_cells(entry.name, cost_texts(cost)) for entry, cost in cost_rows(table))
    label = f"Benchmark table of {html.escape(table.title)}"
    regions = _region(label, _table(f"{label}, with 95 % intervals", titles, body))
    if costs:
        label = f"{label}: time and memory"
        regions += _region(label, _table(label, ["Time and memory", *COSTS], f"<tbody>{costs}</tbody>"))
    return f"<style>{style}</style>{regions}"


def _region(label: str, table: str) -> str:
    """A table that scrolls by itself where it is larger than its room."""
    return f'<div class="mad-bench" role="region" tabindex="0" aria-label="{label}">{table}</div>'


def _table(caption: str, titles: Sequence[str], body: str) -> str:
    head = "".join(f'<th scope="col">{html.escape(title)}</th>' for title in titles)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>{body}</table>"


def _block(title: str, rows: Sequence[BenchRow]) -> str:
    winners = [(metric.id, best(rows, metric.id)) for metric in headline()]
    gaps = to_best(rows, HEADLINE)
    lines = "".join(
        _cells(
            row.entry.name,
            [
                *(_value(row, metric, winner is row) for metric, winner in winners),
                gap_text(gaps.get(row.entry.name), _estimate),
            ],
            coverage_text(row),
        )
        for row in rows
    )
    head = f'<tr><th scope="rowgroup" colspan="{len(winners) + 3}">{html.escape(title)}</th></tr>'
    return f"<tbody>{head}{lines}</tbody>"


def _cells(name: str, made: Sequence[str], *texts: str) -> str:
    """A row: its name, cells that are HTML already or plain figures, and texts."""
    cells = "".join(f"<td>{cell}</td>" for cell in (*made, *map(html.escape, texts)))
    return f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>'


def _value(row: BenchRow, metric: str, is_best: bool) -> str:
    text = _estimate(row.value(metric), None)
    return (f"<b>{text}</b>" if is_best else text) + _between(row.interval(metric))


def _estimate(value: float | None, interval: list[float] | None) -> str:
    return ("–" if value is None else hundredfold(value)) + _between(interval)


def _between(interval: list[float] | None) -> str:
    return f"<small>{hundredfold(interval[0])} to {hundredfold(interval[1])}</small>" if interval else ""
