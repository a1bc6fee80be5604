"""The command of the studies: do one, or list them."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.cli.terminal import (
    AsJson,
    Device,
    Ignore,
    Pages,
    Parameters,
    PlanFile,
    Policy,
    Seed,
    Windows,
    checked_parameters,
    named_device,
    open_store,
    print_answer,
    stored_dataset,
    storing,
    working,
)
from mad_core.errors import CancelledError, MadError, NotFoundError
from mad_core.settings import Settings

LIST, ALL = "list", "all"


def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's id, or the word list, or all.")],
    source: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="The dataset: a path, demo, or a stored one's id.")
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option(help="Only this run; may be given again. Else all with scores.")
    ] = None,
    param: Parameters = None,
    quick: Annotated[
        bool, typer.Option("--quick/--full", help="A sample with levels in their shares, or every image.")
    ] = True,
    seed: Seed = 0,
    device: Device = None,
    force: Annotated[bool, typer.Option("--force", help="Do it again where its finding is stored.")] = False,
    out: Annotated[Path | None, typer.Option(help="A folder for tables (CSV) and figures (HTML, pictures).")] = None,
    policy: Policy = None,
    plan: PlanFile = None,
    window: Windows = None,
    ignore: Ignore = None,
    pages: Pages = "",
    as_json: AsJson = False,
) -> None:
    """Ask a question of scores that are there: a sentence with its interval, tables, figures; `list` says which."""
    if name == LIST:
        _list(as_json)
        return
    if name == ALL and param:
        raise typer.BadParameter("all studies are done with their defaults; name one to set its parameters.")
    info = None if name == ALL else _named(name)
    parameters = checked_parameters(info, param or []) if info else {}
    device = named_device(device or Settings.from_environment().device)
    store, dataset_id, runs = _asked(
        source,
        [text.removeprefix("run:") for text in run or []],
        policy,
        plan,
        windows=window or (),
        ignore=ignore or (),
        pages=pages,
    )
    from mad_core.studies.record import StudyRequest
    from mad_core.studies.study import studies

    requests = [
        StudyRequest(dataset_id, each.id, tuple(runs), parameters, quick, seed)
        for each in ([info] if info else studies())
    ]
    if info:
        data = _done(store, requests[0], device, force, out)
        print_answer(data, as_json, lambda: _lines(data))
        return
    answers = [_attempted(store, request, device, force, out) for request in requests]
    print_answer(answers, as_json, lambda: (line for answer in answers for line in _in_short(answer)))
    if not any(answer["status"] == "done" for answer in answers):
        raise typer.Exit(1)


COMMANDS: Mapping[str, Callable[..., None]] = {"study": study}
"""What the command line calls these."""


def _named(name: str) -> Any:
    from mad_core.studies import study as catalogue

    try:
        return catalogue.study(name)
    except NotFoundError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None


def _done(store: Any, request: Any, device: str, force: bool, out: Path | None) -> dict[str, Any]:
    """The finding of one study, made now or found again, as JSON."""
    from mad_core.studies.record import read_study, request_study

    record = request_study(store, request, force=force, device=device)
    job = store.queue.active_for(record.job_key)
    if job is not None:
        from mad_core.runs.in_process import do_here

        with storing() as progress:
            do_here(store, job.id, device, progress.job)
    finding = read_study(store, record.id).finding
    files, missing = _write(finding, out) if out is not None and finding is not None else ([], "")
    told = {"files": [str(path) for path in files], "missing": missing}
    return {"id": record.id, **(finding.to_json() if finding else {}), **told}


def _attempted(store: Any, request: Any, device: str, force: bool, out: Path | None) -> dict[str, Any]:
    """One of all studies in short: what it found, or why it was not done, with its title either way."""
    from mad_core.studies.study import study as catalogued

    info = catalogued(request.study)
    entry = {"study": info.id, "title": info.title}
    missing = info.missing([store.run(run_id) for run_id in request.runs])
    if missing:
        return {**entry, "status": "left out", "why": missing}
    try:
        done = _done(store, request, device, force, out)
    except CancelledError:
        raise
    except MadError as error:
        return {**entry, "status": "not done", "why": str(error)}
    told = {name: done[name] for name in ("id", "sentence", "caveat", "files", "missing")}
    return {**entry, "status": "done", **told}


def _in_short(answer: Mapping[str, Any]) -> Iterable[str]:
    yield f"{answer['title']}: {answer['status']}"
    yield f"  {answer.get('sentence') or answer['why']}"


def _asked(
    source: str | None, runs: list[str], policy: Path | None, plan: Path | None, **seen: Any
) -> tuple[Any, str, list[str]]:
    """The store, the dataset and the runs; without a path the dataset is that of the runs."""
    if source is not None:
        store, dataset_id = stored_dataset(source, policy, plan, **seen)
    elif runs:
        store = open_store()
        dataset_id = store.run(runs[0]).dataset_id
    else:
        raise typer.BadParameter("name a dataset (a path, or demo), or a run with --run.", param_hint="PATH")
    return store, dataset_id, runs or [each.id for each in store.runs(dataset_id) if each.done]


def _write(finding: Any, out: Path) -> tuple[list[Path], str]:
    """What was written, and what could not be, in a sentence."""
    from mad_core.machine.browser import NEEDS, find_browser
    from mad_core.studies.export import save_finding

    with working() as progress:
        progress("writing tables and figures")
        return save_finding(finding, out), "" if find_browser() else NEEDS


def _lines(data: Mapping[str, Any]) -> Iterable[str]:
    yield data["title"]
    yield f"  {data['sentence']}"
    yield f"  {data['caveat']}"
    yield from (f"  {path}" for path in data["files"])
    yield from ([f"  {data['missing']}"] if data["missing"] else [])


def _list(as_json: bool) -> None:
    from mad_core.studies.record import list_studies
    from mad_core.studies.study import studies

    stored = list_studies(open_store())
    data = [
        {
            "id": info.id,
            "title": info.title,
            "question": info.question,
            "needs": info.needs,
            "parameters": [parameter.to_json() for parameter in info.parameters],
            "stored": [
                {"id": record.id, "dataset": record.dataset_id, "status": record.status, "quick": record.quick}
                | {"runs": list(record.runs), "sentence": record.finding.sentence if record.finding else None}
                for record in stored
                if record.study == info.id
            ],
        }
        for info in studies()
    ]

    def lines() -> Iterable[str]:
        for entry in data:
            yield f"{entry['id']:<16}{entry['question']}"
            for record in entry["stored"]:
                yield f"    {record['id']}  {record['status']:<10}{record['sentence'] or ''}"

    print_answer(data, as_json, lines)
