"""A finding as files: tables as CSV, figures as HTML that needs no network, and as pictures where that can be done."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from mad_core.errors import WorkError
from mad_core.palette import Theme, chrome
from mad_core.scorefiles import text_cell
from mad_core.studies.drawing import figures
from mad_core.studies.finding import Finding

PICTURES = ("svg", "png")


def save_finding(finding: Finding, folder: Path, theme: Theme = "light") -> list[Path]:
    """Write a finding into a folder, which is made.

    ``<study>.json`` holds all of it, ``<study>-<table>.csv`` each table, ``<study>-<figure>.html`` each figure
    (with one ``plotly.min.js`` beside them) and, where the package kaleido is installed, ``.svg`` and ``.png``.

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
    for title, (figure, _) in figures(finding, theme).items():
        path = folder / f"{finding.study}-{slug(title)}.html"
        opaque(figure, theme).write_html(path, include_plotlyjs="directory", full_html=True)
        yield path
        yield from _pictures(figure, path)


def _pictures(figure: go.Figure, path: Path) -> Iterator[Path]:
    """The figure as pictures; none where kaleido, or the browser that it needs, is not on this machine."""
    if importlib.util.find_spec("kaleido") is None:
        return
    for kind in PICTURES:
        target = path.with_suffix(f".{kind}")
        try:
            figure.write_image(target)
        except (ValueError, RuntimeError):
            return
        yield target


def opaque(figure: go.Figure, theme: Theme) -> go.Figure:
    """The figure on the page's own tone, for showing it without a page around it."""
    return figure.update_layout(paper_bgcolor=chrome(theme).page)


def table_csv(table: pd.DataFrame) -> str:
    """A table as CSV, numbers in full precision; texts that a spreadsheet would run are made harmless."""
    safe = table.copy()
    for name in safe.columns:
        safe[name] = safe[name].map(lambda value: text_cell(value) if isinstance(value, str) else value)
    return safe.to_csv(index=False, float_format=lambda value: repr(float(value)))


def slug(text: str) -> str:
    """A title as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "untitled"
