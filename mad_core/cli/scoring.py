"""Commands of scoring: the catalogue, and scores of a dataset."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.cli.terminal import (
    AsJson,
    Calibrate,
    Device,
    GroupFromName,
    Ignore,
    NormalsFrom,
    Pages,
    Parameters,
    PlanFile,
    Policy,
    Seed,
    Source,
    Unlabelled,
    Windows,
    checked_parameters,
    default_scorer,
    finish_run,
    is_default,
    named_device,
    named_scorer,
    open_store,
    print_answer,
    sight,
    usable_dataset,
)
from mad_core.errors import InputError
from mad_core.scorers.catalog import DEFAULT
from mad_core.settings import Settings


def list_scorers(as_json: AsJson = False) -> None:
    """List the scorers: what they are, what they need, whether they can run here."""
    from mad_core.scorers import catalog

    entries = [info.to_json() for info in catalog.scorers()]
    for plugin in catalog.plugins():
        if plugin.why_not:
            typer.echo(plugin.why_not, err=True)

    def lines() -> Iterable[str]:
        for entry in entries:
            yield f"{entry['id']:<22}{entry['family']:<24}{'ready' if entry['available'] else 'not ready'}"
            yield f"    {' - '.join(text for text in (entry['title'], entry['paper'], entry['package']) if text)}"
            if entry["why_not"]:
                yield f"    {entry['why_not']}"

    print_answer(entries, as_json, lines)


def _check_out(out: Path) -> None:
    """Find out before the work whether its result can be written."""
    folder = out.absolute().parent
    if not folder.is_dir():
        raise InputError(f"The folder {folder} does not exist; make it first.")
    if out.is_dir():
        raise InputError(f"{out} is a folder; name a file in it.")
    if out.exists() and not out.is_file():
        raise InputError(f"{out} cannot be written: it is no plain file.")
    if not os.access(folder, os.W_OK):
        raise InputError(f"The folder {folder} cannot be written; choose another with --out.")


def score(
    context: typer.Context,
    source: Source,
    scorer: Annotated[str, typer.Option(help="The scorer's id, as `scorers` lists it.")] = DEFAULT,
    out: Annotated[Path, typer.Option(help="Where the scores go, as CSV.")] = Path("scores.csv"),
    subset: Annotated[list[str] | None, typer.Option(help="Only this subset; may be given again.")] = None,
    param: Parameters = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Test images a subset, levels in their shares.")] = None,
    device: Device = None,
    seed: Seed = 0,
    maps: Annotated[str, typer.Option(help="Keep anomaly maps: all, none or 'on demand'.")] = "all",
    policy: Policy = None,
    plan: PlanFile = None,
    window: Windows = None,
    ignore: Ignore = None,
    pages: Pages = "",
    group_from_name: GroupFromName = "",
    unlabelled: Unlabelled = False,
    normals_from: NormalsFrom = "",
    calibrate: Calibrate = None,
    force: Annotated[bool, typer.Option("--force", help="Score again, even what is stored.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a scorer on each subset's normals and score its test images; resumable."""
    from mad_core.audit.grades import with_grades_asked
    from mad_core.runs.request import request_run, with_first_runs
    from mad_core.runs.results import write_run_scores
    from mad_core.runs.store import RunRequest

    info = default_scorer(param or []) if is_default(context, "scorer") else named_scorer(scorer)
    parameters = checked_parameters(info, param or [])
    if maps not in ("all", "none", "on demand"):
        raise typer.BadParameter("say all, none or 'on demand'.", param_hint="--maps")
    device = named_device(device or Settings.from_environment().device)
    info.check_available(parameters)  # before a dataset is read, which may take long
    _check_out(out)
    seen = sight(window, ignore, pages, unlabelled, normals_from)
    imported = usable_dataset(source, policy, plan, group_from_name=group_from_name, **seen)
    store = open_store()
    first = {}
    if info.starts_with:  # on the dataset as it is, so that its scores serve whatever is set aside
        asked = RunRequest(
            store.add_dataset(imported), info.id, parameters, tuple(subset or ()), limit, seed, device, maps
        )
        first = with_first_runs(store, asked, lambda before: finish_run(store, before)).parameters
    if calibrate is not None:
        imported = replace(imported, dataset=imported.dataset.with_calibration(calibrate))
    dataset_id = store.add_dataset(imported)
    request = RunRequest(dataset_id, info.id, {**parameters, **first}, tuple(subset or ()), limit, seed, device, maps)
    request = with_grades_asked(store, request)
    run = request_run(store, request, force=force)
    finish_run(store, run)
    write_run_scores(store, run.id, out)
    data = _score_summary(store, run.id, out)
    print_answer(data, as_json, lambda: [_summary_line(data)])


def _score_summary(store: Any, run_id: str, out: Path) -> dict[str, Any]:
    run, entries, table = store.run(run_id), store.run_subsets(run_id), store.scores(run_id)
    seconds = sum(e.seconds_score for e in entries)
    return {
        "run": run.id,
        "scorer": run.scorer,
        "n": len(table),
        "n_scored": int(table["score"].notna().sum()),
        "seconds_fit": round(sum(e.seconds_fit for e in entries), 3),
        "seconds_score": round(seconds, 3),
        "images_per_second": round(len(table) / seconds, 3) if seconds > 0 else None,
        "device": run.record.get("device", {}).get("id", run.device),
        "out": str(out),
        **({"grades": {e.subset: e.facts.get("grades", {}) for e in entries}} if run.scorer == "graded" else {}),
    }


def _summary_line(data: Mapping[str, Any]) -> str:
    return (
        f"{data['n_scored']} of {data['n']} images scored by {data['scorer']} on {data['device']}: "
        f"fit {data['seconds_fit']:.1f} s, score {data['seconds_score']:.1f} s; run {data['run']}, {data['out']}"
    )


COMMANDS: Mapping[str, Callable[..., None]] = {
    "scorers": list_scorers,
    "score": score,
}
"""What the command line calls these."""
