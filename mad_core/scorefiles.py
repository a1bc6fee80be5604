"""Score files in the benchmark's result format: ``Path,Severity,Anomaly Score`` and further columns.

Files made elsewhere are read by the rules of all tables (:mod:`mad_core.tables`): separators, encodings, workbooks,
names of columns, decimal commas, ``L2``.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mad_core.datasets.level_cells import levels_of
from mad_core.errors import InputError, WorkError
from mad_core.paths import put_whole
from mad_core.tables import (
    RISKY,
    also_meant,
    columns_in_words,
    is_blank,
    numbers,
    plain_name,
    printable,
    read_table,
    resolve_columns,
)

_USUAL = frozenset(
    {"path", "imagepath", "imagepathraw", "image", "file", "filename", "filepath", "relativepath"}
    | {"severity", "level", "severitylevel", "area", "anomalyscore", "score"}
)
"""Names of columns that need no word, as :func:`mad_core.tables.plain_name` gives them."""
_UNREAD = 5
"""Scores that are no numbers and are quoted in a sentence."""


@dataclass(frozen=True)
class ScoreFile:
    """A score file as read.

    Parameters
    ----------
    path : Path
    table : DataFrame
        Columns ``path``, ``level`` (float64), ``score`` (float64, NaN = unscored), ``subset``; ``group`` (text, None
        where nothing says it) if there is such a column.
    notes : tuple of str
        What readers of the numbers should know (unreadable scores, repeated rows).
    """

    path: Path
    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_scores(path: Path) -> ScoreFile:
    """Read a score file; empty and unreadable scores are unscored, and the notes say how many.

    Raises
    ------
    InputError
        If a needed column is missing, a severity is no level from 0 up, an image is named twice, or no score is a
        number.
    """
    rows, notes = read_rows(path)
    check_severities(path, rows)
    check_scores(path, rows)
    table: Any = rows[[name for name in ("path", "level", "score", "subset", "group") if name in rows]]
    unreadable = int(_unreadable(rows).sum())
    if unreadable:
        notes = (*notes, f"{unreadable} scores are not numbers and count as unscored.")
    repeated = table.loc[table.duplicated(["subset", "path"]), "path"]
    if len(repeated):
        first = printable(repeated.iloc[0][:200])
        raise InputError(f"{path} names {len(repeated)} images more than once, first {first}; keep one row an image.")
    return ScoreFile(path, table, notes)


def check_severities(path: Path, rows: pd.DataFrame) -> None:
    """See that rows have a severity; an empty cell among others is an image that nobody has graded.

    Raises
    ------
    InputError
        If there is no such column, or a cell in it is no level.
    """
    if len(rows) and not np.any(rows["has_severity"]):
        raise InputError(
            f"{path} has no column 'Severity', so that nothing says the levels. Add one, or name the dataset that "
            "knows them: --dataset DATASET."
        )
    absent = rows["level"].isna().to_numpy()
    unlabelled = rows["severity"].map(is_blank).to_numpy(dtype=bool) & ~absent.all()
    bad = np.flatnonzero(absent & ~unlabelled)
    if len(bad):
        value, line = rows["severity"].iloc[bad[0]], rows["line"].iloc[bad[0]]
        raise InputError(f"{path}, line {line}: the severity '{printable(value)[:40]}' is not a number from 0 up.")


def check_scores(path: Path, rows: pd.DataFrame) -> None:
    """See that something was scored: a file in which no score is a number is none.

    Raises
    ------
    InputError
        If no score is a number.
    """
    unread = rows.loc[_unreadable(rows), "written"]
    if len(unread) and not np.isfinite(rows["score"].to_numpy()).any():
        examples = ", ".join(f"'{printable(v)[:30]}'" for v in dict.fromkeys(unread.iloc[:_UNREAD]))
        raise InputError(f"{path}: none of the {len(unread):,} scores is a number: {examples}.")


def _unreadable(rows: pd.DataFrame) -> np.ndarray:
    """Rows whose score is written, but is no number."""
    return np.isnan(rows["score"].to_numpy()) & ~rows["written"].map(is_blank).to_numpy(dtype=bool)


def read_rows(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of a score file as they stand there, whatever is wrong with single ones, and how they were read.

    Returns
    -------
    rows : DataFrame
        Columns ``line`` (in the file), ``path``, ``severity`` (text), ``has_severity`` (whether there is such a
        column), ``level`` (float64, NaN where that is no level from 0 up), ``written`` (text), ``score`` (float64, NaN
        where that is no number), ``subset``, and ``group`` (text, None where a cell is
        empty) if there is such a column.
    notes : tuple of str

    Raises
    ------
    InputError
        If it is no table or has no column for path or score.
    """
    raw = read_table(path)
    columns = resolve_columns(raw.columns)
    for needed, name in (("path", "Path"), ("score", "Anomaly Score")):
        if needed not in columns:
            raise InputError(f"{path} has no column '{name}'; its columns are {columns_in_words(raw.columns)}.")
    raw, separator = raw.astype("str"), raw.attrs.get("separator", "")
    written: Any = raw[columns["score"]].str.strip()
    severity: Any = raw[columns["level"]].str.strip() if "level" in columns else pd.Series("", raw.index, dtype="str")
    scores, levels = numbers(written, separator), levels_of(severity.unique(), separator)
    rows = pd.DataFrame(
        {
            "line": raw.index.to_numpy(),
            "path": raw[columns["path"]].to_numpy(),
            "severity": severity.to_numpy(),
            "has_severity": "level" in columns,
            "level": severity.map(levels).to_numpy(dtype=np.float64),
            "written": written.to_numpy(),
            "score": scores.values,
            "subset": raw[columns["subset"]].to_numpy() if "subset" in columns else "",
        }
    )
    if "group" in columns:
        rows["group"] = [None if is_blank(v) else v for v in raw[columns["group"]]]
    notes = (*raw.attrs.get("notes", ()), *_columns_taken(columns), *also_meant(raw, columns), *scores.notes)
    return rows, notes


def _columns_taken(columns: Mapping[str, str]) -> list[str]:
    """Which column is which, where a name is not one of the benchmark's own."""
    taken = {ours: columns[ours] for ours in ("path", "level", "score") if ours in columns}
    if all(plain_name(name) in _USUAL for name in taken.values()):
        return []
    return [f"Columns: {', '.join(f'{printable(name)[:40]} is the {ours}' for ours, name in taken.items())}."]


def scores_csv(table: pd.DataFrame) -> str:
    """A score file's text.

    Parameters
    ----------
    table : DataFrame
        Columns ``path``, ``level``, ``score`` (NaN = failed: the row stays, the score is empty),
        ``subset``, ``status``, ``reason``; ``group`` is written where one is known.
    """
    further = {
        "Subset": [text_cell(v) for v in table["subset"]],
        "Status": table["status"],
        "Reason": [text_cell(v) for v in table["reason"]],
    }
    if "group" in table and bool(table["group"].notna().to_numpy().any()):
        further["Group"] = [text_cell(v) for v in table["group"]]
    return csv_text(_published(table).assign(**further))


def result_csv(table: pd.DataFrame) -> str:
    """The text of one subset's result file as published: ``Path,Severity,Anomaly Score`` and nothing else.

    Parameters
    ----------
    table : DataFrame
        Columns ``path``, ``level``, ``score`` (NaN = failed: the row stays, the score is empty).
    """
    return csv_text(_published(table))


def _severity(level: float) -> str:
    """A level as published files write it; empty where there is none."""
    if math.isnan(level):
        return ""
    return format(float(level), "g") if level % 1 else f"{level:.1f}"


def _published(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Path": [text_cell(v) for v in table["path"]],
            "Severity": [_severity(v) for v in table["level"]],
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
    try:
        with put_whole(path) as building:
            building.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise WorkError(f"{path} cannot be written: {error.strerror}.") from None


def csv_text(table: pd.DataFrame, **options: Any) -> str:
    """A table as CSV; where a text holds a carriage return every cell is quoted, else readers would end the row there.

    ``options`` go to :meth:`pandas.DataFrame.to_csv`. Texts are to be made safe by :func:`text_cell` before.
    """
    text: str = table.to_csv(index=False, **options)
    return table.to_csv(index=False, quoting=csv.QUOTE_ALL, **options) if "\r" in text else text


def safe_texts(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts went through :func:`text_cell`; numbers stay."""
    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(text_cell) for name in texts})


def text_cell(value: object) -> str:
    """A text that a spreadsheet cannot take for a formula: a quote goes before one that begins like it.

    :func:`text_of_cell` takes it away again; every table that is written holds its texts so.
    """
    text = value if isinstance(value, str) else ""
    return f"'{text}" if text.startswith(RISKY) else text
