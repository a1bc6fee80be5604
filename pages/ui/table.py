"""The metric table: scorers or subsets in rows, metrics with their intervals in columns."""

import html
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from mad_core.metrics import names as metric_names
from mad_core.metrics.names import COVERAGE, Flat, Metric, flat
from mad_core.palette import chrome
from pages.ui.charts import theme

BELOW = "\u25be"
"""Stands before a value that is below chance."""
_STYLE = """
.mad-metrics {{ overflow-x: auto; font-variant-numeric: tabular-nums; line-height: 1.3; }}
.mad-metrics table {{ border-collapse: collapse; width: 100%; font-size: 0.9rem; margin: 0; }}
.mad-metrics caption {{ position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }}
.mad-metrics :is(th, td) {{ padding: 0.4rem 0.5rem; text-align: right; vertical-align: top; white-space: nowrap;
  border: 0; border-bottom: 1px solid {line}; font-weight: 400; color: {ink}; }}
.mad-metrics thead th {{ color: {muted}; font-size: 0.8rem; vertical-align: bottom; }}
.mad-metrics thead th[colspan] {{ text-align: center; border-bottom: 0; padding-bottom: 0; }}
.mad-metrics thead th[colspan] span {{ display: block; border-bottom: 1px solid {line}; padding-bottom: 0.2rem; }}
.mad-metrics .name {{ text-align: left; position: sticky; left: 0; background: {page}; z-index: 1; white-space: normal;
  min-width: 7rem; max-width: 17rem; overflow-wrap: anywhere; }}
.mad-metrics tbody .name {{ font-weight: 600; }}
.mad-metrics small {{ display: block; color: {muted}; font-size: 0.75rem; font-weight: 400; }}
.mad-metrics span {{ color: {muted}; }}
.mad-metrics a {{ color: {accent}; }}
.mad-metrics b {{ font-weight: 700; }}
.mad-metrics u {{ text-decoration: underline; text-decoration-thickness: 1px; text-underline-offset: 3px; }}
.mad-metrics .reference :is(th, td) {{ color: {muted}; font-weight: 400; border-bottom-style: dotted; }}
.mad-metrics .reference tr:first-child :is(th, td) {{ border-top: 2px solid {line}; }}
"""


def metric_table(
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    first: str = "Run",
    notes: Mapping[str, str] | None = None,
    best: Mapping[str, tuple[str, bool]] | None = None,
    reference: Mapping[str, Flat] | None = None,
    level_names: Mapping[float, str] | None = None,
) -> None:
    """Draw the table.

    Parameters
    ----------
    rows : sequence of (name, metrics)
        Metrics as from ``evaluate``; names are unique.
    first : str
        What the rows are.
    notes : mapping of name to str
        A remark under a name, such as ``at work, partial``.
    best : mapping
        From :func:`mad_core.metrics.comparing.best`; nothing is marked without it.
    reference : mapping
        From :func:`mad_core.metrics.comparing.reference_rows`, drawn below the rows.
    level_names : mapping of level to name
    """
    levels = sorted({level for _, result in rows for level in result["auroc"] if level != "whole"}, key=float)
    columns = [(column, metric) for metric in metric_names.METRICS for column in _columns(metric, levels)]
    scored = [_row(name, result, columns, (notes or {}).get(name, ""), best or {}) for name, result in rows]
    made_up = [_reference_row(name, values, columns) for name, values in (reference or {}).items()]
    label = f"Metrics by {html.escape(first.lower())}"
    st.html(
        f'<style>{_style()}</style><div class="mad-metrics" role="region" tabindex="0" aria-label="{label}">'
        f"<table><caption>{label}, with 95 % intervals</caption>{_head(first, levels, level_names or {})}"
        f'<tbody>{"".join(scored)}</tbody><tbody class="reference">{"".join(made_up)}</tbody></table></div>'
    )


def number_links(
    label: str, rows: Sequence[str], columns: Sequence[str], cell: Callable[[int, int], tuple[int, str]]
) -> None:
    """A table of numbers, each a link to what it counts; 0 is none.

    Parameters
    ----------
    label : str
        What the table is, for those who do not see it.
    rows, columns : sequence of str
    cell : callable(row, column) -> (number, address)
    """

    def text(number: int, address: str) -> str:
        link = f'<a href="{html.escape(address, quote=True)}" target="_self">{number:,}</a>'
        return f"<td>{link if number else 0}</td>"

    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th class="name" scope="row">{html.escape(name)}</th>'
        f"{''.join(text(*cell(row, column)) for column in range(len(columns)))}</tr>"
        for row, name in enumerate(rows)
    )
    name = html.escape(label, quote=True)
    st.html(
        f'<style>{_style()}</style><div class="mad-metrics" role="region" tabindex="0" aria-label="{name}">'
        f'<table><caption>{name}</caption><thead><tr><th class="name"></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _style() -> str:
    tones = chrome(theme())
    return _STYLE.format(page=tones.page, ink=tones.ink, muted=tones.muted, line=tones.line, accent=tones.accent)


def _columns(metric: Metric, levels: Sequence[str]) -> list[str]:
    return [metric.id, *(f"{metric.place[0]}_{level}" for level in levels if metric.by_level)]


def _head(first: str, levels: Sequence[str], level_names: Mapping[float, str]) -> str:
    """Two lines: groups of metrics over their own names; what is in no group stands over both."""
    above, below = "", ""
    for group, metrics in itertools.groupby(metric_names.METRICS, key=lambda metric: metric.group or metric.id):
        heads = []
        for metric in metrics:
            heads.append(html.escape(metric.head or metric.short))
            heads += [f"L{v}{_small(level_names.get(float(v), ''))}" for v in levels if metric.by_level]
        if metric.group:
            above += f'<th colspan="{len(heads)}" scope="colgroup"><span>{html.escape(group)}</span></th>'
            below += "".join(f'<th scope="col">{head}</th>' for head in heads)
        else:
            above += f'<th rowspan="2" scope="col">{"<br>".join(heads[0].split())}</th>'
    return (
        f'<thead><tr><th class="name" rowspan="2" scope="col">{html.escape(first)}</th>'
        f'<th rowspan="2" scope="col">{COVERAGE.short}</th>{above}</tr><tr>{below}</tr></thead>'
    )


def _row(
    name: str,
    result: Mapping[str, Any],
    columns: Sequence[tuple[str, Metric]],
    note: str,
    best: Mapping[str, tuple[str, bool]],
) -> str:
    values, cells = flat(result), []
    for column, metric in columns:
        winner, clear = best.get(column, ("", False))
        value = values.get(column)
        text = metric.text(value)
        if metric.is_below_chance(value):
            mark = f'title="Below chance, {metric.chance:g}" role="img" aria-label="below chance"'
            text = f"<span {mark}>{BELOW}</span> {text}"
        if winner == name:
            text = f"<b>{text}</b>" if clear else f"<u>{text}</u>"
        interval = result["intervals"].get(column)
        between = f"{metric.text(interval[0])} to {metric.text(interval[1])}" if interval else ""
        cells.append(f"<td>{text}{_small(between)}</td>")
    images = f"{result['n']:,}" if result["n_scored"] == result["n"] else f"{result['n_scored']:,} of {result['n']:,}"
    head = f'<th class="name" scope="row">{html.escape(name)}{_small(note)}</th>'
    return f"<tr>{head}<td>{images}</td>{''.join(cells)}</tr>"


def _reference_row(name: str, values: Flat, columns: Sequence[tuple[str, Metric]]) -> str:
    cells = "".join(f"<td>{metric.text(values.get(column))}</td>" for column, metric in columns)
    return f'<tr><th class="name" scope="row">{html.escape(name)}</th><td></td>{cells}</tr>'


def _small(text: str) -> str:
    return f"<small>{html.escape(text)}</small>" if text else ""
