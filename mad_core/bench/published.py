"""Figures typed from a paper: a small CSV or YAML file that stands beside our own figures, marked as such."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.bench.table import PUBLISHED, Entry, Scope
from mad_core.datasets import plain_yaml
from mad_core.datasets.madbench import Identity, identify
from mad_core.datasets.naming import plain
from mad_core.errors import InputError
from mad_core.metrics.names import Metric, headline
from mad_core.tables import read_table

MAX_BYTES = 1_000_000
_NAMES: Mapping[str, tuple[str, ...]] = {
    "scorer": ("scorer", "model", "method"),
    "place": ("datasetsubset", "place", "subset", "dataset", "name"),
    "source": ("source", "paper"),
}
"""Our names and how a file may write them, as :func:`_bare` leaves them."""
HOW_TO = "its columns are scorer, dataset/subset, auroc, c_index, kendall_tau_b, source"


def read_published(path: Path, places: Sequence[Scope]) -> list[Entry]:
    """The figures of a file, an entry for each scorer and source.

    Figures are fractions, or times 100 where any of the file lies beyond 1 (or -1); one way for a whole file. A
    place is named as here (``mvtec``, ``mvtec_bottle``), as ``mvtec/bottle``, or as a domain or ``overall``; one
    that is not among ``places`` stays with the entry and is named by the table's notes.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, names a place twice, or holds something that is no figure.
    """
    rows = [_resolved(row, path) for row in _rows(path)]
    figures_of_rows = [
        {metric.id: value for metric in headline() if (value := _number(row, metric.id, path)) is not None}
        for row in rows
    ]
    numbers = [value for figures in figures_of_rows for value in figures.values()]
    if not numbers:
        raise InputError(f"{path} holds no figure; {HOW_TO}.")
    scale = 100.0 if any(abs(value) > 1 for value in numbers) else 1.0
    beyond = [value for value in numbers if abs(value) > scale]
    if beyond:
        raise InputError(f"{path}: {beyond[0]:g} is no share; figures are fractions or percent, one way for all.")
    entries: dict[tuple[str, str], dict[tuple[str, str], dict[str, float]]] = {}
    for row, figures in zip(rows, figures_of_rows, strict=True):
        place = _place(row["place"], places)
        entry = entries.setdefault((row["scorer"], row["source"]), {})
        if place in entry:
            raise InputError(f"{path} has two rows of {row['scorer']} on {row['place']} from {row['source']}.")
        entry[place] = {name: value / scale for name, value in figures.items()}
    return [
        Entry(f"{scorer} (as published: {source})", PUBLISHED, figures=figures)
        for (scorer, source), figures in entries.items()
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV table, or of a YAML list of mappings, as texts."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        return [{str(k): str(v) for k, v in row.items()} for row in read_table(path).to_dict("records")]
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES // 1_000_000} MB, too much for typed figures.")
        data = plain_yaml.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except plain_yaml.ERRORS as error:
        raise InputError(f"{path}{plain_yaml.why(error)}") from None
    if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
        raise InputError(f"{path} must hold a list of entries, each with scorer, dataset/subset, figures and source.")
    return [{str(k): "" if v is None else str(v) for k, v in row.items()} for row in data]


def _resolved(row: Mapping[str, str], path: Path) -> dict[str, str]:
    """A row under our names.

    Raises
    ------
    InputError
        If scorer, place or source is missing.
    """
    given = {_bare(key): value.strip() for key, value in row.items()}
    names = {**_NAMES, **{metric.id: _spellings(metric) for metric in headline()}}
    resolved = {ours: next((given[s] for s in spellings if given.get(s)), "") for ours, spellings in names.items()}
    if given.get("dataset") and given.get("subset"):
        resolved["place"] = f"{given['dataset']}/{given['subset']}"
    missing = [name for name in _NAMES if not resolved[name]]
    if missing:
        what = {"place": "dataset or subset"}.get(missing[0], missing[0])
        raise InputError(f"{path}: a row has no {what}; {HOW_TO}.")
    return resolved


def _bare(name: str) -> str:
    """A name in lower case, without blanks, underscores, slashes and other signs."""
    return re.sub(r"[\W_]+", "", name).lower()


def _spellings(metric: Metric) -> list[str]:
    return [*map(_bare, (metric.title, metric.id, metric.short)), *metric.spellings]


def _number(row: Mapping[str, Any], name: str, path: Path) -> float | None:
    text = str(row[name])
    if text in ("", "-", "--", "–"):
        return None
    value: Any = pd.to_numeric(text, errors="coerce")
    if not abs(value) <= 100:
        raise InputError(f"{path}: '{text[:40]}' of {row['scorer']} on {row['place']} is no figure.")
    return float(value)


def _place(text: str, places: Sequence[Scope]) -> tuple[str, str]:
    """The kind and name of the place that is meant; kind ``"unknown"`` where it is none of these."""
    for place in places:
        if plain(text) in (plain(place.name), plain(place.title)):
            return place.kind, place.name
    asked = identify(tuple(text.split("/")))
    for place in places if asked else ():
        if _same(asked, place):
            return place.kind, place.name
    return "unknown", text


def _same(asked: Identity | None, place: Scope) -> bool:
    """Whether a place is what the benchmark calls so: a dataset where no part is named, else that subset."""
    if asked is None or place.kind not in ("dataset", "subset"):
        return False
    if place.kind == "dataset":
        return not asked.part and place.name == asked.benchmark.key
    names: Iterable[str] = (asked.benchmark.subset_name(asked.part), asked.part)
    return bool(asked.part) and plain(place.name) in {plain(name) for name in names}
