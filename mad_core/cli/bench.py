"""Commands of the benchmark: the table of scorers by subsets, and result files in and out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.cli.terminal import (
    AsJson,
    Device,
    Draws,
    GroupFromName,
    Ignore,
    Pages,
    PlanFile,
    Policy,
    Seed,
    Windows,
    checked_parameters,
    finish_run,
    named_device,
    named_scorer,
    one_of,
    open_store,
    print_answer,
    stored_dataset,
    storing,
)
from mad_core.errors import InputError, WorkError
from mad_core.settings import Settings

FORMATS = ("text", "csv", "latex")
MAPS = ("all", "none", "on demand")
TABLE_FILES = {"text": "bench-table.txt", "csv": "bench-table.csv", "latex": "bench-table.tex"}
LISTED = 20
"""Mismatches of each kind that are printed; ``--json`` has all."""


def bench_table(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="The benchmark's folder, any dataset, or demo.")],
    scorers: Annotated[
        list[str] | None, typer.Option(help="Ids of scorers, with commas between; may be given again.")
    ] = None,
    subset: Annotated[list[str] | None, typer.Option(help="Only this subset; may be given again.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Test images a subset, levels in their shares.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A scorer's parameter, scorer.name=value; may be given again.")
    ] = None,
    with_: Annotated[
        list[str] | None, typer.Option("--with", help="A stored run beside these, as run:ID; may be given again.")
    ] = None,
    published: Annotated[
        list[Path] | None, typer.Option(help="Figures typed from a paper, CSV or YAML; may be given again.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the table and the result files.")] = None,
    format_: Annotated[str, typer.Option("--format", help="What is printed: text, csv or latex.")] = "text",
    device: Device = None,
    seed: Seed = 0,
    draws: Draws = 1000,
    maps: Annotated[str, typer.Option(help="Keep anomaly maps: all, none or 'on demand'.")] = "all",
    policy: Policy = None,
    plan: PlanFile = None,
    window: Windows = None,
    ignore: Ignore = None,
    pages: Pages = "",
    group_from_name: GroupFromName = "",
    as_json: AsJson = False,
) -> None:
    """Scorers by subsets in one table: metrics with intervals, macro averages, coverage, time, memory; resumable."""
    from mad_core.bench import matrix as benchmarking
    from mad_core.bench.latex import bench_latex
    from mad_core.bench.published import read_published
    from mad_core.bench.table import SCORED, bench_csv, bench_text, long_rows, measured_subsets
    from mad_core.runs.results import run_table

    one_of(format_, FORMATS, "--format")
    one_of(maps, MAPS, "--maps")
    wanted = _wanted(scorers or [], param or [])
    if not wanted and not with_:
        raise typer.BadParameter("name at least one scorer, or a stored run with --with.", param_hint="--scorers")
    asked = _stored_ids(with_ or [])
    device = named_device(device or Settings.from_environment().device)
    for path in published or []:
        read_published(path, ())  # a file that cannot be read is said before the work
    if out is not None:
        _make_folder(out)
    store, dataset_id = stored_dataset(
        root, policy, plan, group_from_name=group_from_name, windows=window or (), ignore=ignore or (), pages=pages
    )
    beside = [_run_on(store, run_id, dataset_id) for run_id in asked]
    matrix = benchmarking.Matrix(dataset_id, wanted, tuple(subset or ()), limit, seed, device, maps)
    outcomes = benchmarking.run_matrix(store, matrix, lambda run: finish_run(store, run))
    runs = {o.run.id: o.run for o in outcomes if o.run is not None} | {run.id: run for run in beside}

    def measured(run: Any) -> tuple[Any, Mapping[str, Any]]:
        rows = run_table(store, run.id)
        return rows, measured_subsets(rows, draws=draws)

    with storing() as progress:
        progress("measuring")
        table = benchmarking.table_of_runs(
            store,
            dataset_id,
            list(runs.values()),
            measured,
            further=[benchmarking.not_run(o.info, o.why) for o in outcomes if o.run is None],
            published=lambda places: [entry for path in published or [] for entry in read_published(path, places)],
            subsets=subset or (),
        )
    writers = {"text": bench_text, "csv": bench_csv, "latex": bench_latex}
    files = _write(store, table, runs, out, writers) if out is not None else []
    data = {
        "dataset": table.title,
        "scorers": [_entry_json(entry) for entry in table.entries],
        "rows": long_rows(table),
        "notes": list(table.notes),
        "files": [str(path) for path in files],
    }
    print_answer(data, as_json, lambda: [writers[format_](table).rstrip("\n")])
    for outcome in outcomes:
        if outcome.why:
            typer.echo(f"{outcome.info.id}: {outcome.why}", err=True)
    if wanted and not any(e.kind == SCORED and any(m.n_scored for m in e.measured.values()) for e in table.entries):
        raise WorkError("None of the scorers gave a score.")


def export_results(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Stored runs, as `runs` lists them.")],
    out: Annotated[Path, typer.Option(help="The folder to write below.")],
    name: Annotated[str, typer.Option(help="What the model is called in the files; by default the scorer's id.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write runs as result files in the published naming: <model>/<model>_<dataset>_<subset>.csv."""
    from mad_core.runs.result_files import export_run

    if name and len(runs) > 1:
        raise typer.BadParameter("one name is for one run.", param_hint="--name")
    store = open_store()
    names = _model_names(store, [store.run(run.removeprefix("run:")) for run in runs])
    _make_folder(out)
    data = [
        {
            "run": run_id,
            "model": name or model,
            "files": [str(p) for p in export_run(store, run_id, out, name or model)],
        }
        for run_id, model in names.items()
    ]
    print_answer(data, as_json, lambda: [path for entry in data for path in entry["files"]])


def import_results(
    places: Annotated[list[Path], typer.Argument(metavar="FOLDER_OR_FILE…", help="Result files, or folders of them.")],
    dataset: Annotated[str, typer.Option(help="The dataset they are of: its path, demo, or a stored one's id.")],
    title: Annotated[str, typer.Option(help="What the run is called; by default as the model.")] = "",
    note: Annotated[str, typer.Option(help="Where the scores come from.")] = "",
    policy: Policy = None,
    plan: PlanFile = None,
    window: Windows = None,
    ignore: Ignore = None,
    pages: Pages = "",
    group_from_name: GroupFromName = "",
    as_json: AsJson = False,
) -> None:
    """Keep scores made elsewhere as runs, matched by path and marked as imported; what does not fit is listed."""
    from mad_core.runs.imported_scores import import_results as keep

    store, dataset_id = stored_dataset(
        dataset, policy, plan, group_from_name=group_from_name, windows=window or (), ignore=ignore or (), pages=pages
    )
    kept = keep(store, dataset_id, places, title=title, note=note)
    data = [_imported_json(store, one) for one in kept]
    print_answer(data if len(data) > 1 else data[0], as_json, lambda: [line for d in data for line in _import_lines(d)])


COMMANDS: Mapping[str, Callable[..., None]] = {
    "bench-table": bench_table,
    "export-results": export_results,
    "import-results": import_results,
}
"""What the command line calls these."""


# -- what was asked for ---------------------------------------------------------------------------


def _wanted(scorers: Iterable[str], params: Iterable[str]) -> list[tuple[Any, dict[str, Any]]]:
    """The scorers with their checked parameters, each once, in the order in which they were named."""
    ids = list(dict.fromkeys(name.strip() for text in scorers for name in text.split(",") if name.strip()))
    infos = {name: named_scorer(name, "--scorers") for name in ids}
    given: dict[str, list[str]] = {name: [] for name in ids}
    for text in params:
        scorer_id, dot, rest = text.partition(".")
        if not dot or "=" not in rest:
            raise typer.BadParameter(f"'{text}' is not of the form scorer.name=value.", param_hint="--param")
        if scorer_id not in given:
            raise typer.BadParameter(
                f"'{scorer_id}' is not among the scorers ({', '.join(ids)}).", param_hint="--param"
            )
        given[scorer_id].append(rest)
    return [(info, checked_parameters(info, given[name])) for name, info in infos.items()]


def _stored_ids(names: Iterable[str]) -> list[str]:
    bare = [name for name in names if not name.startswith("run:")]
    if bare:
        raise typer.BadParameter(f"'{bare[0]}' is no stored run; say run:ID.", param_hint="--with")
    return [name.removeprefix("run:") for name in names]


def _run_on(store: Any, run_id: str, dataset_id: str) -> Any:
    """A stored run, which must be on this dataset.

    Raises
    ------
    InputError
    """
    run, info = store.run(run_id), store.dataset_info(dataset_id)
    if run.dataset_version != info.version:
        raise InputError(f"Run '{run.title}' is on another dataset (or another version of it) than '{info.name}'.")
    return run


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from None


# -- what is written ------------------------------------------------------------------------------


def _write(
    store: Any, table: Any, runs: Mapping[str, Any], folder: Path, writers: Mapping[str, Callable[[Any], str]]
) -> list[Path]:
    """The table in every format, and the result files of every run that has scores."""
    from mad_core.runs.result_files import export_run
    from mad_core.scorefiles import write_text

    files = []
    for name, make in writers.items():
        path = folder / TABLE_FILES[name]
        write_text(path, make(table))
        files.append(path)
    for run_id, model in _model_names(store, [run for run in runs.values() if run.done]).items():
        files += export_run(store, run_id, folder, model)
    return files


def _model_names(store: Any, runs: Sequence[Any]) -> dict[str, str]:
    """What the files of each run are called; runs of the same scorer are told apart by their ids."""
    from mad_core.runs.result_files import model_name

    names = {run.id: model_name(run) for run in runs}
    often = [name for name in names.values() if list(names.values()).count(name) > 1]
    return {run_id: f"{name}-{run_id}" if name in often else name for run_id, name in names.items()}


def _entry_json(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "run": entry.run or None,
        "failed": dict(entry.failed),
        "notes": list(entry.notes),
    }


def _imported_json(store: Any, one: Any) -> dict[str, Any]:
    run, facts = one.run, one.run.record["imported"]
    return {
        "run": run.id,
        "title": run.title,
        "dataset": store.dataset_info(run.dataset_id).name,
        "subsets": list(run.subsets),
        "n": run.total,
        "n_scored": sum(entry["scored"] for entry in facts["files"]),
        "files": facts["files"],
        "mismatches": [mismatch.to_json() for mismatch in one.mismatches],
        "notes": list(one.notes),
    }


def _import_lines(data: Mapping[str, Any]) -> Iterable[str]:
    from mad_core.runs.imported_scores import KINDS, mismatch_lines

    scored = f"{data['n_scored']} of {data['n']} images of {data['dataset']} have a score"
    yield f"{data['title']}: {scored}; run {data['run']}"
    for kind in KINDS:
        of_kind = [m for m in data["mismatches"] if m["kind"] == kind]
        if of_kind:
            yield f"  {mismatch_lines({kind: len(of_kind)})[0]}"
            yield from (f"    {m['file']}: {m['path']}: {m['message']}" for m in of_kind[:LISTED])
        if len(of_kind) > LISTED:
            yield f"    … {len(of_kind) - LISTED} more; --json lists all"
    yield from (f"  note: {note}" for note in data["notes"])
