"""The command ``report``: runs as one HTML file, their tables as CSV and their figures as pictures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.errors import InputError, WorkError
from mad_core.terminal import AsJson, Draws, Seed, open_store, print_answer, working

KINDS = ("svg", "png")
NO_PICTURES = (
    "PNG and SVG of the figures were not written: they need the package kaleido and a Chromium browser "
    "(pip install kaleido). The HTML report shows every figure without them."
)


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Stored runs, as `runs` lists them.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    figures: Annotated[Path | None, typer.Option(help="A folder for the figures and the tables as CSV.")] = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """One self-contained HTML file of any runs: metrics, plots, images, studies, audit, and how to repeat it."""
    from mad_core.report import report_html

    if out.is_dir() or not out.absolute().parent.is_dir():
        raise InputError(f"{out} cannot be written: name a file in a folder that exists.")
    store = open_store()
    ids = [run.removeprefix("run:") for run in runs]
    with working() as progress:
        progress("writing the report")
        text = report_html(store, ids, draws=draws, seed=seed)
    out.write_text(text, encoding="utf-8")
    files, missing = _further(store, ids, figures, draws, seed) if figures is not None else ([], "")
    data = {"out": str(out), "bytes": len(text.encode()), "files": [str(path) for path in files], "missing": missing}
    print_answer(data, as_json, lambda: [str(out), *data["files"], *([missing] if missing else [])])


def _further(store: Any, ids: list[str], folder: Path, draws: int, seed: int) -> tuple[list[Path], str]:
    """Tables and pictures in a folder; what could not be made, in a sentence."""
    from mad_core.report.contents import figures_of, gather
    from mad_core.runs.comparing import metrics_csv, scores_side_by_side_csv, side_by_side
    from mad_core.studies.saving import opaque, slug

    parts, files, missing = gather(store, ids, draws, seed), [], ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in parts:
            at = f"{slug(part.info.name)}-{part.info.id[:6]}"
            rows = [
                (run.id, part.names[run.id], subset or "average over subsets", found)
                for run in part.runs
                for subset, found in [(None, part.founds[run.id]), *part.founds[run.id]["subsets"].items()]
            ]
            texts = {
                f"{at}-metrics.csv": metrics_csv(rows),
                f"{at}-scores.csv": scores_side_by_side_csv(side_by_side(part.tables), part.names),
            }
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8")
                files.append(folder / name)
            for number, (_, title, figure, _) in enumerate(figures_of(part, "light"), start=1):
                if missing or importlib.util.find_spec("kaleido") is None:
                    missing = NO_PICTURES
                    break
                for kind in KINDS:
                    target = folder / f"{at}-{number:02d}-{slug(title)[:60]}.{kind}"
                    try:
                        opaque(figure, "light").write_image(target)
                    except (ValueError, RuntimeError):
                        missing = NO_PICTURES
                        break
                    files.append(target)
    except OSError as error:
        raise WorkError(f"The figures cannot be written to {folder}: {error.strerror or error}.") from error
    return files, missing


COMMANDS = {"report": report}
