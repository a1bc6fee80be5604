"""Small pieces of the report's HTML; every text that comes in is escaped here."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

MOST_CSV = 2_000_000
"""Bytes of a table that stands in the file to be taken away."""
PRINTED_ROWS, PRINTED_COLUMNS = 15, 9
"""A folded table of so many rows and columns is unfolded on paper."""


def heading(level: int, text: str, anchor: str = "") -> str:
    """A heading; ``anchor`` is ours, so that it needs no escape."""
    place = f' id="{anchor}"' if anchor else ""
    return f"<h{level}{place}>{escape(text)}</h{level}>"


def facts(entries: Mapping[str, str]) -> str:
    """Names and values; empty values are left out."""
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in entries.items() if value)
    return f"<dl>{rows}</dl>" if rows else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int = 1, made: bool = False) -> str:
    """A table whose first column names the rows.

    Parameters
    ----------
    numbers_from : int
        The first column that is aligned as numbers are.
    made : bool
        Whether the cells are HTML already.
    """
    text = str if made else escape

    def row(cells: Sequence[str]) -> str:
        kinds = ["class=n" if place >= numbers_from else "" for place in range(len(cells))]
        rest = "".join(f"<td {kind}>{text(cell)}</td>" for kind, cell in zip(kinds[1:], cells[1:], strict=True))
        return f'<tr><th scope="row">{text(cells[0])}</th>{rest}</tr>'

    head = "".join(
        f'<th scope="col"{" class=n" if place >= numbers_from else ""}>{escape(name)}</th>'
        for place, name in enumerate(heads)
    )
    body = "".join(row(cells) for cells in rows)
    return f"<div class=wide tabindex=0><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def folded(title: str, inner: str, *, rows: int = 0, columns: int = 0) -> str:
    """Something behind a line that opens it; on paper it is open where it is small."""
    printed = " data-print" if rows <= PRINTED_ROWS and columns <= PRINTED_COLUMNS else ""
    return f"<details{printed}><summary>{escape(title)}</summary>{inner}</details>"


def kept_off_paper(title: str, inner: str) -> str:
    """Something behind a line that opens it, which stands in the file alone."""
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"


def how_to_read(text: str) -> str:
    """How to read something, folded away; empty where there is no text."""
    if not text:
        return ""
    return f"<details class=read><summary>How to read this</summary><p>{escape(text)}</p></details>"


def take_away(name: str, text: str) -> str:
    """A link that gives a CSV which stands in the file; a sentence where it would be too large for that."""
    data = text.encode()
    if len(data) > MOST_CSV:
        return f"<p class=note>{escape(name)} is left out for its size; the command `report` writes it (--figures).</p>"
    address = "data:text/csv;charset=utf-8;base64," + base64.b64encode(data).decode("ascii")
    return f'<p class=take><a download="{escape(name, quote=True)}" href="{address}">{escape(name)}</a></p>'


def in_line(value: float | None, interval: Sequence[float] | None) -> str:
    """A value and its interval in one line."""
    between = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval and value is not None else ""
    return number(value) + between


def estimate(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A value and, below it, its interval; HTML."""
    between = f"<small>{interval[0]:.3f} to {interval[1]:.3f}</small>" if interval and value is not None else ""
    return number(value) + between


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def cell(value: Any, digits: int | None) -> str:
    """A value of a study's table in a few characters, with as many decimals as its column has."""
    if value is None or value != value:
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if digits is None or not math.isfinite(value) else f"{value:.{digits}f}"
