"""A report as files: the document, and a folder of its figures as pictures and of its tables as CSV."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import plotly.graph_objects as go

from mad_core.errors import UnavailableError, WorkError
from mad_core.paths import put_whole
from mad_core.report.contents import ReportPart, Steps, figures_of
from mad_core.report.document import document, drawings
from mad_core.report.metric_section import csv_files
from mad_core.runs.store import Store
from mad_core.studies.export import opaque, slug, table_csv, write_pictures


def write_report(store: Store, parts: Sequence[ReportPart], out: Path, steps: Steps) -> None:
    """Write the document piece by piece, all of it or nothing.

    Raises
    ------
    WorkError
        If it cannot be written.
    """
    try:
        with put_whole(out) as building, building.open("w", encoding="utf-8") as file:
            for piece in document(store, parts, steps):
                file.write(piece + "\n")
    except OSError as error:
        raise WorkError(f"{out} cannot be written: {error.strerror or error}.") from None


def save_figures(parts: Sequence[ReportPart], folder: Path) -> tuple[list[Path], str]:
    """Tables and figures of what was gathered, those of studies too; nothing is measured again.

    Returns
    -------
    files : list of Path
    missing : str
        What could not be made, in a sentence; empty where nothing is missing.

    Raises
    ------
    WorkError
        If the folder cannot be written.
    """
    drawn: dict[str, go.Figure] = {}
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in parts:
            for name, text in _tables(part):
                (folder / name).write_text(text, encoding="utf-8", newline="")
                files.append(folder / name)
            drawn |= dict(_figures(part))
        return [*files, *write_pictures(drawn, folder)], ""
    except UnavailableError as error:
        return files, f"{error} The HTML report shows every figure without it."
    except OSError as error:
        raise WorkError(f"The figures cannot be written to {folder}: {error.strerror or error}.") from error


def _tables(part: ReportPart) -> Iterator[tuple[str, str]]:
    yield from csv_files(part).items()
    for record in part.studies:
        if record.finding is not None:
            for name, table in record.finding.tables.items():
                yield f"{_study(part, record.study, record.id)}-{slug(name)}.csv", table_csv(table)


def _figures(part: ReportPart) -> Iterator[tuple[str, go.Figure]]:
    at = f"{slug(part.info.name)}-{part.info.id[:6]}"
    for number, drawing in enumerate(figures_of(part), start=1):
        yield f"{at}-{number:02d}-{slug(drawing.title)[:60]}", opaque(drawing.draw("light"), "light")
    for record in part.studies:
        for drawing in drawings(record):
            name = f"{_study(part, record.study, record.id)}-{slug(drawing.title)[:60]}"
            yield name, opaque(drawing.draw("light"), "light")


def _study(part: ReportPart, study: str, study_id: str) -> str:
    """The same study may stand in a report twice, with other parameters."""
    return f"{slug(part.info.name)}-{part.info.id[:6]}-{study}-{study_id}"
