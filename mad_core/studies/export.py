"""A finding as files: tables as CSV, figures as HTML that needs no network, and as pictures where that can be done."""

import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.errors import UnavailableError, WorkError
from mad_core.machine.browser import draw_figures
from mad_core.palette import Theme, chrome
from mad_core.scorefiles import csv_text, text_cell
from mad_core.studies.finding import Finding
from mad_core.studies.study import figures


def save_finding(finding: Finding, folder: Path, theme: Theme = "light") -> list[Path]:
    """Write a finding into a folder, which is made.

    ``<study>.json`` holds all of it, ``<study>-<table>.csv`` each table, ``<study>-<figure>.html`` each figure
    (with one ``plotly.min.js`` beside them) and, where a Chromium browser is on this machine, ``.svg`` and ``.png``.

    Returns
    -------
    list of Path
        What was written, in that order.

    Raises
    ------
    WorkError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return list(_written(finding, folder, theme))
    except OSError as error:
        raise WorkError(f"The study cannot be written to {folder}: {error.strerror or error}.") from error


def _written(finding: Finding, folder: Path, theme: Theme) -> Iterator[Path]:
    whole = folder / f"{finding.study}.json"
    whole.write_text(json.dumps(finding.to_json(), indent=1, allow_nan=False), encoding="utf-8")
    yield whole
    for name, table in finding.tables.items():
        path = folder / f"{finding.study}-{slug(name)}.csv"
        path.write_text(table_csv(table), encoding="utf-8")
        yield path
    drawn = {f"{finding.study}-{slug(p.title)}": opaque(p.figure, theme) for p in figures(finding, theme)}
    for name, figure in drawn.items():
        path = folder / f"{name}.html"
        figure.write_html(path, include_plotlyjs="directory", full_html=True)
        yield path
    with contextlib.suppress(UnavailableError):
        yield from write_pictures(drawn, folder)


def write_pictures(drawn: Mapping[str, go.Figure], folder: Path) -> Iterator[Path]:
    """Figures by name as ``<name>.svg`` and ``<name>.png``.

    Raises
    ------
    UnavailableError
        If no browser that could draw them is on this machine.
    WorkError
    """
    for name, kinds in draw_figures(drawn).items():
        for kind, content in kinds.items():
            path = folder / f"{name}.{kind}"
            path.write_bytes(content)
            yield path


def opaque(figure: go.Figure, theme: Theme) -> go.Figure:
    """The figure on the page's own tone, for showing it without a page around it."""
    return figure.update_layout(paper_bgcolor=chrome(theme).page)


def table_csv(table: pd.DataFrame) -> str:
    """A table as CSV, numbers in full precision; texts that a spreadsheet would run are made harmless."""
    safe = table.copy()
    for name in safe.columns:
        safe[name] = safe[name].map(lambda value: text_cell(value) if isinstance(value, str) else value)
    safe.columns = [text_cell(str(name)) for name in safe.columns]
    return csv_text(safe, float_format=lambda value: repr(float(value)))


def decimals(values: Iterable[Any]) -> int | None:
    """How many decimals all numbers of a column are written with, so that they stand under each other.

    Three digits or more of the largest one are shown. None where it has no fractions, or is no column of numbers.
    """
    numbers = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    if all(number.is_integer() for number in numbers):
        return None
    digits = math.floor(math.log10(max(map(abs, numbers))))
    return max(3 - digits, 1) if digits > 0 else 3 if digits == -1 or digits == 0 else min(2 - digits, 9)


def slug(text: str) -> str:
    """A title as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "untitled"
