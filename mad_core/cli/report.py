"""The command ``report``: runs as one HTML file, their tables as CSV and their figures as pictures."""

from pathlib import Path
from typing import Annotated

import typer

from mad_core.cli.terminal import AsJson, Draws, Seed, one_of, open_store, print_answer, working
from mad_core.errors import InputError

ORIGINAL = "original"


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Stored runs, as `runs` lists them.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="A folder for the figures as SVG and PNG and the tables as CSV.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Only this subset.")] = None,
    labels: Annotated[
        str, typer.Option(help="original, or audited labels by the rule majority, median or adjudicator.")
    ] = ORIGINAL,
    draws: Draws = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """One self-contained HTML file of any runs: metrics, plots, images, studies, audit, and how to repeat it."""
    from mad_core.audit.consensus import RULES
    from mad_core.report.contents import ReportRequest, Steps, gather, steps_of
    from mad_core.report.export import save_figures, write_report

    one_of(labels, (ORIGINAL, *RULES), "--labels")
    if (out.exists() and not out.is_file()) or not out.absolute().parent.is_dir():
        raise InputError(f"{out} cannot be written: name a file in a folder that exists.")
    store = open_store()
    ids = tuple(run.removeprefix("run:") for run in runs)
    request = ReportRequest(ids, subset, None if labels == ORIGINAL else labels, draws, seed)
    files, missing = [], ""
    with working() as progress:
        steps = Steps(progress.counted("writing the report"), steps_of(request))
        parts = gather(store, request, steps)
        write_report(store, parts, out, steps)
        if figures is not None:
            progress("drawing the figures")
            files, missing = save_figures(parts, figures)
    names = [str(path) for path in files]
    data = {"out": str(out), "bytes": out.stat().st_size, "files": names, "missing": missing}
    print_answer(data, as_json, lambda: [str(out), *names, *([missing] if missing else [])])


COMMANDS = {"report": report}
