"""The metric table: scorers or subsets in rows, metrics with their intervals in columns."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mad_core.metrics.comparing import Flat, flat
from mad_core.palette import chrome
from pages.ui.charts import theme
from pages.ui.text import number

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
    levels = sorted({level for _, found in rows for level in found["auroc"] if level != "whole"}, key=float)
    columns = [
        *(f"auroc_{level}" for level in ("whole", *levels)),
        *("c_index", "kendall_tau_b", "abnormal_c_index", "abnormal_kendall_tau_b", "tied_pairs"),
    ]
    scored = [_row(name, found, columns, (notes or {}).get(name, ""), best or {}) for name, found in rows]
    made_up = [_reference_row(name, values, columns) for name, values in (reference or {}).items()]
    tones, label = chrome(theme()), f"Metrics by {html.escape(first.lower())}"
    style = _STYLE.format(page=tones.page, ink=tones.ink, muted=tones.muted, line=tones.line)
    st.html(
        f'<style>{style}</style><div class="mad-metrics" role="region" tabindex="0" aria-label="{label}">'
        f"<table><caption>{label}, with 95 % intervals</caption>{_head(first, levels, level_names or {})}"
        f'<tbody>{"".join(scored)}</tbody><tbody class="reference">{"".join(made_up)}</tbody></table></div>'
    )


def _head(first: str, levels: Sequence[str], level_names: Mapping[float, str]) -> str:
    names = [_small(level_names.get(float(level), "")) for level in levels]
    under = [f"L{level}{name}" for level, name in zip(levels, names, strict=True)]
    under = ["all levels", *under, "C-index", "tau-b", "C-index", "tau-b"]
    second = "".join(f'<th scope="col">{label}</th>' for label in under)
    return (
        f'<thead><tr><th class="name" rowspan="2" scope="col">{html.escape(first)}</th>'
        '<th rowspan="2" scope="col">images</th>'
        f'<th colspan="{len(levels) + 1}" scope="colgroup"><span>AUROC, normal against</span></th>'
        '<th colspan="2" scope="colgroup"><span>Severity, all images</span></th>'
        '<th colspan="2" scope="colgroup"><span>Severity, abnormal only</span></th>'
        '<th rowspan="2" scope="col">tied<br>pairs</th></tr>'
        f"<tr>{second}</tr></thead>"
    )


def _row(
    name: str, found: Mapping[str, Any], columns: Sequence[str], note: str, best: Mapping[str, tuple[str, bool]]
) -> str:
    values = flat(found)
    cells = []
    for column in columns:
        winner, clear = best.get(column, ("", False))
        cells.append(_cell(column, values.get(column), found["intervals"].get(column), winner == name, clear))
    images = f"{found['n']:,}" if found["n_scored"] == found["n"] else f"{found['n_scored']:,} of {found['n']:,}"
    head = f'<th class="name" scope="row">{html.escape(name)}{_small(note)}</th>'
    return f"<tr>{head}<td>{images}</td>{''.join(cells)}</tr>"


def _cell(column: str, value: float | None, interval: list[float] | None, is_best: bool, clear: bool) -> str:
    text = _text(column, value)
    if is_best:
        text = f"<b>{text}</b>" if clear else f"<u>{text}</u>"
    between = f"{number(interval[0])} to {number(interval[1])}" if interval else ""
    return f"<td>{text}{_small(between)}</td>"


def _reference_row(name: str, values: Flat, columns: Sequence[str]) -> str:
    cells = "".join(f"<td>{_text(column, values.get(column))}</td>" for column in columns)
    return f'<tr><th class="name" scope="row">{html.escape(name)}</th><td></td>{cells}</tr>'


def _text(column: str, value: float | None) -> str:
    return f"{100 * value:.1f}\u00a0%" if column == "tied_pairs" and value is not None else number(value)


def _small(text: str) -> str:
    return f"<small>{html.escape(text)}</small>" if text else ""
