"""Score files in the benchmark's result format: ``Path,Severity,Anomaly Score`` and further columns.

Files made elsewhere spell their columns in many ways; :func:`resolve_columns` knows them.
"""

import csv
import io
import math
import re
import secrets
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError, WorkError

_GROUPS = ("group", "patient", "subject", "case", "person", "part", "serial", "specimen", "wafer", "panel", "board")
_GROUPS += ("lot", "batch", "camera", "device", "site", "line")

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "imagepathraw", "imagepath", "image", "file", "filename", "relativepath", "filepath"),
    "level": ("severity", "level", "severitylevel", "area", "label"),
    "score": ("anomalyscore", "score", "predscore"),
    "subset": ("subset", "category", "product"),
    "status": ("status",),
    "reason": ("reason",),
    "split": ("split",),
    "defect": ("defect", "defecttype"),
    "mask": ("mask", "maskpath", "groundtruth"),
    "group": tuple(f"{word}{end}" for word in _GROUPS for end in ("", "id", "no", "nr", "number", "name")),
}
"""Names of columns in lower case without blanks, underscores and hyphens; the first match counts."""

MAX_BYTES = 500_000_000
MOST_ROWS, MOST_COLUMNS = 5_000_000, 1_000
_RISKY = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'")
"""What a cell must not begin with: a spreadsheet would take it for a formula, or eat the quote that prevents it."""


@dataclass(frozen=True)
class ScoreFile:
    """A score file as read.

    Parameters
    ----------
    path : Path
    table : DataFrame
        Columns ``path``, ``level`` (float64), ``score`` (float64, NaN = unscored), ``subset``.
    notes : tuple of str
        What readers of the numbers should know (unreadable scores, repeated rows).
    """

    path: Path
    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def resolve_columns(header: Iterable[str]) -> dict[str, str]:
    """Which column of a file is which: our name to the file's name, for those that are there.

    Raises
    ------
    InputError
        If a name stands twice in the header.
    """
    names = [str(h) for h in header]
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        raise InputError(f"The column '{sorted(repeated)[0]}' stands twice in the header; name each column once.")
    plain = {re.sub(r"[\s_\-]+", "", name.replace("\ufeff", "")).lower(): name for name in reversed(names)}
    found = {}
    for ours, spellings in SPELLINGS.items():
        spelling = next((s for s in spellings if s in plain), None)
        if spelling is not None:
            found[ours] = plain[spelling]
    return found


def columns_in_words(columns: Iterable[Any]) -> str:
    """The names of a table's columns for a sentence, however many and long they are."""
    names = [name if len(name) <= 40 else f"{name[:39]}…" for name in map(str, columns)]
    return ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file of texts: comma, semicolon or tab; UTF-8 with or without BOM, else Latin-1.

    A quote that :func:`text_cell` put before a text is taken away.

    Raises
    ------
    InputError
        If it is missing, too large, empty or no table.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES / 1e6:.0f} MB; split it.")
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    first = text.lstrip("\r\n").partition("\n")[0]
    if not first.strip() or "\0" in first:
        raise InputError(f"{path} is empty or is not a table of text.")
    separator = max(",;\t", key=first.count)
    columns = first.rstrip("\r").split(separator)
    if len(columns) > MOST_COLUMNS or text.count("\n") > MOST_ROWS:
        raise InputError(f"{path} has more than {MOST_COLUMNS:,} columns or {MOST_ROWS:,} rows; split it.")
    try:
        resolve_columns(c.strip().strip('"') for c in columns)  # pandas would rename repeated columns silently
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    options: Any = {"sep": separator, "dtype": str, "keep_default_na": False, "skipinitialspace": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows that are longer than the header
            table = pd.read_csv(io.StringIO(text), index_col=False, **options)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        raise InputError(f"{path} is not a table with one header line: {str(error).strip()}.") from None
    table.columns = [str(c).strip() for c in table.columns]
    for name in table.columns:
        column: Any = table[name]
        if column.str.startswith("'").any():
            table[name] = column.map(text_of_cell)
    return table


def read_scores(path: Path) -> ScoreFile:
    """Read a score file; empty and unreadable scores are unscored, and the notes say how many.

    Raises
    ------
    InputError
        If a needed column is missing or a severity is negative or not a number.
    """
    rows = read_rows(path)
    levels = rows["level"].to_numpy()
    bad = np.flatnonzero(~(np.isfinite(levels) & (levels >= 0)))
    if len(bad):
        value, line = rows["severity"].iloc[bad[0]], rows["line"].iloc[bad[0]]
        raise InputError(f"{path}, line {line}: the severity '{str(value)[:40]}' is not a number from 0 up.")
    table: Any = rows[["path", "level", "score", "subset"]]
    notes = []
    no_number = np.isnan(rows["score"].to_numpy()) & ~rows["written"].map(is_blank).to_numpy(dtype=bool)
    unreadable = int(no_number.sum())
    if unreadable:
        notes.append(f"{unreadable} scores are not numbers and count as unscored.")
    repeated = table.loc[table.duplicated(["subset", "path"]), "path"]
    if len(repeated):
        first = repeated.iloc[0][:200]
        raise InputError(f"{path} names {len(repeated)} images more than once, first {first}; keep one row an image.")
    return ScoreFile(path, table, tuple(notes))


def read_rows(path: Path) -> pd.DataFrame:
    """The rows of a score file as they stand there, whatever is wrong with single ones.

    Returns
    -------
    DataFrame
        Columns ``line`` (from 2), ``path``, ``severity`` (text), ``level`` (float64, NaN where that is no
        number), ``written`` (text), ``score`` (float64, NaN where that is no number), ``subset``.

    Raises
    ------
    InputError
        If it is no table or a needed column is missing.
    """
    raw = read_table(path)
    columns = resolve_columns(raw.columns)
    for needed, name in (("path", "Path"), ("level", "Severity"), ("score", "Anomaly Score")):
        if needed not in columns:
            raise InputError(f"{path} has no column '{name}'; its columns are {columns_in_words(raw.columns)}.")
    written = raw[columns["score"]].str.strip()
    return pd.DataFrame(
        {
            "line": np.arange(2, len(raw) + 2),
            "path": raw[columns["path"]],
            "severity": raw[columns["level"]],
            "level": _numbers(raw[columns["level"]]),
            "written": written,
            "score": _numbers(written),
            "subset": raw[columns["subset"]] if "subset" in columns else "",
        }
    )


def is_blank(written: str) -> bool:
    """Whether a score is left out: nothing, or NaN."""
    return written.strip().lower() in ("", "nan")


def _numbers(column: Any) -> np.ndarray:
    """The column as float64, NaN where it is no number."""
    numbers: Any = pd.to_numeric(column, errors="coerce")
    return numbers.to_numpy(dtype=np.float64)


def scores_csv(table: pd.DataFrame) -> str:
    """A score file's text.

    Parameters
    ----------
    table : DataFrame
        Columns ``path``, ``level``, ``score`` (NaN = failed: the row stays, the score is empty),
        ``subset``, ``status``, ``reason``.
    """
    further = {
        "Subset": [text_cell(v) for v in table["subset"]],
        "Status": table["status"],
        "Reason": [text_cell(v) for v in table["reason"]],
    }
    return csv_text(_published(table).assign(**further))


def result_csv(table: pd.DataFrame) -> str:
    """The text of one subset's result file as published: ``Path,Severity,Anomaly Score`` and nothing else.

    Parameters
    ----------
    table : DataFrame
        Columns ``path``, ``level``, ``score`` (NaN = failed: the row stays, the score is empty).
    """
    return csv_text(_published(table))


def _published(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Path": [text_cell(v) for v in table["path"]],
            "Severity": [format(float(v), "g") if v % 1 else f"{v:.1f}" for v in table["level"]],
            "Anomaly Score": ["" if not math.isfinite(v) else repr(float(v)) for v in table["score"]],
        }
    )


def write_scores(path: Path, table: pd.DataFrame) -> None:
    """Write a score file (see :func:`scores_csv`), all of it or nothing.

    Raises
    ------
    WorkError
        If the file cannot be written.
    """
    write_text(path, scores_csv(table))


def write_text(path: Path, text: str) -> None:
    """Write a file of text in UTF-8, all of it or nothing.

    Raises
    ------
    WorkError
        If it cannot be written.
    """
    building = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        building.write_text(text, encoding="utf-8", newline="")
        building.replace(path)
    except OSError as error:
        raise WorkError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        building.unlink(missing_ok=True)


def csv_text(table: pd.DataFrame, **options: Any) -> str:
    """A table as CSV; where a text holds a carriage return every cell is quoted, else readers would end the row there.

    ``options`` go to :meth:`pandas.DataFrame.to_csv`. Texts are to be made safe by :func:`text_cell` before.
    """
    text: str = table.to_csv(index=False, **options)
    return table.to_csv(index=False, quoting=csv.QUOTE_ALL, **options) if "\r" in text else text


def text_cell(value: object) -> str:
    """A text that a spreadsheet cannot take for a formula: a quote goes before one that begins like it.

    :func:`text_of_cell` takes it away again; every table that is written holds its texts so.
    """
    text = value if isinstance(value, str) else ""
    return f"'{text}" if text.startswith(_RISKY) else text


def text_of_cell(cell: str) -> str:
    """The inverse of :func:`text_cell`; other cells, quotes included, stay as they are."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_RISKY) else cell
