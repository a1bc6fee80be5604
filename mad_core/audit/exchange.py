"""Audits in and out: corrected templates in the benchmark's format, and the record of events as CSV and JSON.

Events keep their ids, and know their images by content and path, so a record that is read into another database (or
back into its own) neither loses nor doubles anything (:meth:`mad_core.audit.labels.AuditStore.merge`).
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.audit.events import FIELDS, Event, event_from_json
from mad_core.datasets.dataset import Dataset
from mad_core.datasets.madbench import recognise
from mad_core.errors import InputError, WorkError
from mad_core.runs.uploads import safe_name
from mad_core.scorefiles import result_csv, text_cell, write_text
from mad_core.tables import MAX_BYTES, text_of_cell

FORMAT = "mad-inspector-audit"
VERSION = 1
_OPTIONAL = ("before", "after", "region", "other", "undoes")
_NUMBERS = ("before", "after", "seconds", "time")


# -- corrected templates ------------------------------------------------------------------------


def template_name(dataset: Dataset, subset: str) -> str:
    """What the benchmark calls a subset's template: ``mvtec_bottle_template.csv``."""
    recognised = recognise(subset, dataset.card.subset(subset))
    called = recognised.benchmark.subset_name(recognised.part) if recognised else subset
    return f"{safe_name(called).replace(' ', '-')}_template.csv"


def template_csv(
    dataset: Dataset, audited: pd.DataFrame, subset: str, scores: Mapping[str, float] | None = None
) -> str:
    """One subset's template with audited severities: ``Path,Severity,Anomaly Score``.

    Scores are empty where none are given. It lists the test images, those that were set aside for calibration included.

    Parameters
    ----------
    audited : DataFrame
        As :func:`mad_core.audit.consensus.consensus` gives it.
    scores : mapping of image id to score, optional
        A run's, so that ``evaluate`` measures it on the audited labels.

    Raises
    ------
    NotFoundError
        If the subset is not in the dataset.
    """
    rows: Any = dataset.select(subset=subset)
    rows = rows[rows["split"] != "train"]
    levels = dict(zip(audited["image_id"], audited["audited"], strict=True))
    scores_given = scores or {}
    table = pd.DataFrame(
        {
            "path": rows["template_path"].to_numpy(),
            "level": [levels.get(i, level) for i, level in zip(rows["image_id"], rows["level"], strict=True)],
            "score": [scores_given.get(i, float("nan")) for i in rows["image_id"]],
        }
    )
    return result_csv(table)


def template_files(
    dataset: Dataset, audited: pd.DataFrame, scores: Mapping[str, float] | None = None
) -> dict[str, str]:
    """Every subset's template by file name, in the order of the subsets.

    Put into the dataset's folder, or into its ``template`` folder, they stand in place of the levels that the
    folders' names say.

    Raises
    ------
    InputError
        If two subsets would get the same file.
    """
    files: dict[str, str] = {}
    for subset in dataset.subsets:
        name = template_name(dataset, subset)
        if name in files:
            raise InputError(f"Two subsets would both be written to {name}; rename one.")
        files[name] = template_csv(dataset, audited, subset, scores)
    return files


def write_templates(
    dataset: Dataset, audited: pd.DataFrame, folder: Path, scores: Mapping[str, float] | None = None
) -> list[Path]:
    """Write :func:`template_files` into a folder, which is made.

    Raises
    ------
    InputError
    WorkError
        If a file cannot be written.
    """
    files = template_files(dataset, audited, scores)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]


def zipped(files: Mapping[str, str]) -> bytes:
    """Files of text as one archive; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text.encode(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


# -- the record of events -----------------------------------------------------------------------


def events_json(events: Iterable[Event]) -> str:
    """Events as one JSON document."""
    rows = [event.to_json() for event in events]
    return json.dumps({"format": FORMAT, "version": VERSION, "events": rows}, indent=1, allow_nan=False)


def events_csv(events: Iterable[Event]) -> str:
    """Events as CSV, one a row, every field a column.

    No cell can be taken for a formula: text that begins like one gets a quote before it, which
    :func:`events_from_text` takes away again.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(FIELDS)
    for event in events:
        writer.writerow([_cell(value) for value in event.to_json().values()])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return repr(float(value))
    return text_cell(value if isinstance(value, str) else json.dumps(value))


def read_events(path: Path) -> list[Event]:
    """Read a file of events, CSV or JSON.

    Raises
    ------
    InputError
        If it cannot be read or holds no events; the sentence names the row.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES / 1e6:.0f} MB; split it.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text in UTF-8; export the events again.") from None
    return events_from_text(text, str(path))


def events_from_text(text: str, name: str = "The file") -> list[Event]:
    """Events as :func:`events_csv` or :func:`events_json` wrote them; which of both is seen from the text.

    Raises
    ------
    InputError
    """
    rows = _json_rows(text, name) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text, name)
    events = []
    for number, row in enumerate(rows, start=1):
        try:
            events.append(event_from_json(row))
        except InputError as error:
            raise InputError(f"{name}, event {number}: {error}") from None
        except (TypeError, ValueError):
            raise InputError(f"{name}, event {number} is damaged.") from None
    return events


def _json_rows(text: str, name: str) -> Sequence[Mapping[str, Any]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{name} is not readable as JSON; export the events again.") from None
    if isinstance(data, dict):
        if data.get("format") != FORMAT:
            raise InputError(f"{name} is no record of an audit; it must be what `labels export --what events` wrote.")
        if data.get("version") != VERSION:
            raise InputError(f"{name} was written by a newer version; install that one.")
        data = data.get("events")
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise InputError(f"{name} must hold a list of events.")
    return data


def _csv_rows(text: str, name: str) -> list[dict[str, Any]]:
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)  # a spreadsheet may have saved it with another one
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"{name} is not a table: {error}.") from None
    if not rows or not {"id", "kind", "image_id"} <= set(rows[0]):
        raise InputError(f"{name} is no record of an audit; it must be what `labels export --what events` wrote.")
    records = []
    for number, row in enumerate(rows[1:], start=1):
        if not row:
            continue
        if len(row) != len(rows[0]):
            raise InputError(f"{name}, event {number} has {len(row)} cells instead of {len(rows[0])}.")
        records.append(
            {key: _value(key, cell, f"{name}, event {number}") for key, cell in zip(rows[0], row, strict=True)}
        )
    return records


def _value(key: str, cell: str, where: str) -> Any:
    text = text_of_cell(cell)
    if not text and key in _OPTIONAL:
        return None
    if key == "scores_visible":
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        if key in _NUMBERS:
            return float(text)
        if key == "region":
            return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{where}: '{text[:40]}' is no {key}.") from None
    return text
