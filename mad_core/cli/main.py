"""The command line: ``python -m mad_core …``, also ``mad …``.

With ``--json`` a command prints one JSON document on standard output and nothing else there;
progress goes to standard error. Exit status: 0 done, 1 the work failed (a sentence on standard
error), 2 wrong usage; 130 when Ctrl-C came before there was work to stop.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.cli import backup, bench, labels, studies
from mad_core.cli import report as cli_report
from mad_core.cli.terminal import (
    AsJson,
    Calibrate,
    Device,
    Draws,
    Parameters,
    Policy,
    RunId,
    Seed,
    Source,
    checked_parameters,
    counted,
    finish_run,
    named_device,
    named_scorer,
    open_store,
    print_answer,
    read_dataset,
    working,
)
from mad_core.errors import InputError, MadError, UnavailableError
from mad_core.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="MAD Inspector: how severe an anomaly is, not only whether there is one.",
)


def main() -> None:
    """Run a command; errors meant for the user end in their sentence and exit status 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        app()
    except MadError as error:
        sentence = str(error)
    except OSError as error:  # a disk that is full, a folder of somebody else
        sentence = f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
    else:
        return
    typer.echo(sentence, err=True)
    sys.exit(1)


# -- datasets -----------------------------------------------------------------------------------


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Make the demo dataset (once) and say where it lies."""
    imported = read_dataset("demo")
    data = {
        "path": str(Settings.from_environment().home / "demo"),
        "dataset": open_store().add_dataset(imported),
        "version": imported.dataset.card.version,
        "images": len(imported.dataset.table),
    }
    print_answer(data, as_json, lambda: [data["path"]])


@app.command()
def check(source: Source, policy: Policy = None, as_json: AsJson = False) -> None:
    """Import a dataset and report counts, every problem, and what of the published benchmark is missing."""
    from mad_core.datasets.importing import check_report

    imported = read_dataset(source, policy)
    report = check_report(imported)
    print_answer(report, as_json, lambda: [*_check_lines(report), *_published_lines(imported)])
    if imported.dataset.table.empty:
        raise MadError(f"Nothing usable is in {source}.")


def _check_lines(report: Mapping[str, Any]) -> Iterable[str]:
    yield report["name"]
    for entry in report["subsets"]:
        yield f"  {entry['subset']} ({entry['domain']}), {entry['masks']} masks"
        for split in ("train", "calibration", "test"):
            if entry.get(split):
                levels = "  ".join(f"L{level}: {n}" for level, n in entry[split].items())
                yield f"    {split:<12}{levels}"
    kinds = Counter(problem["kind"] for problem in report["problems"])
    by_kind = f" ({', '.join(f'{n} {kind}' for kind, n in kinds.most_common())})" if len(kinds) > 1 else ""
    yield (
        f"{counted(kinds.total(), 'problem')}{by_kind}; headers and digests were checked, pixels are decoded when they "
        "are needed"
    )
    for problem in report["problems"]:
        yield f"  {problem['kind']}: {problem['path']}: {problem['message']}"


def _published_lines(imported: Any) -> Iterable[str]:
    from mad_core.datasets.completeness import against_published, in_short, table_lines

    entries = against_published(imported.dataset)
    if entries:
        yield "the published benchmark"
        yield from (f"  {line}" for line in (*table_lines(entries), in_short(entries)))


@app.command()
def fetch(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="What to download: madbench.")],
    only: Annotated[
        list[str] | None,
        typer.Option(help="Datasets and subsets alone, such as mvtec,visa/pcb1,covid19; may be given again."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The folder to write into; by default in MAD_HOME.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download the published benchmark; needs the network, and goes on where an earlier fetch stopped."""
    from mad_core.datasets.fetching import parse_selection
    from mad_core.runs.fetch_job import queue_fetch
    from mad_core.runs.in_process import do_here

    if benchmark != "madbench":
        raise typer.BadParameter(f"'{benchmark}' is not known; say madbench.", param_hint="BENCHMARK")
    wanted = ",".join(only or ())
    try:
        parse_selection([wanted])
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None
    store = open_store()
    folder = (to or Settings.from_environment().home / "madbench").expanduser().absolute()
    job = queue_fetch(store, wanted, folder)
    with working() as progress:
        data = dict(do_here(store, job, "cpu", progress.job).result or {})
    data.pop("job", None)
    for refused in data["refused"]:
        typer.echo(f"not written: {refused}", err=True)

    def lines() -> Iterable[str]:
        megabytes = f"{data['bytes'] / 1e6:.0f} MB downloaded"
        written = counted(data["images"], "image")
        yield f"{written} written, {data['kept']} there already, {megabytes}: {data['folder']}"
        yield f"python -m mad_core check {shlex.quote(data['folder'])} says what is complete."

    print_answer(data, as_json, lines)


# -- scorers ------------------------------------------------------------------------------------


@app.command("scorers")
def list_scorers(as_json: AsJson = False) -> None:
    """List the scorers: what they are, what they need, whether they can run here."""
    from mad_core.scorers import catalog

    entries = [info.to_json() for info in catalog.scorers()]

    def lines() -> Iterable[str]:
        for entry in entries:
            yield f"{entry['id']:<22}{entry['family']:<24}{'ready' if entry['available'] else 'not ready'}"
            yield f"    {entry['title']} - {entry['paper']}"
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
    if not os.access(folder, os.W_OK):
        raise InputError(f"The folder {folder} cannot be written; choose another with --out.")


@app.command()
def score(
    source: Source,
    scorer: Annotated[str, typer.Option(help="The scorer's id, as `scorers` lists it.")] = "filterbank",
    out: Annotated[Path, typer.Option(help="Where the scores go, as CSV.")] = Path("scores.csv"),
    subset: Annotated[list[str] | None, typer.Option(help="Only this subset; may be given again.")] = None,
    param: Parameters = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Test images a subset, stratified by level.")] = None,
    device: Device = None,
    seed: Seed = 0,
    maps: Annotated[str, typer.Option(help="Keep anomaly maps: all, none or 'on demand'.")] = "all",
    policy: Policy = None,
    calibrate: Calibrate = None,
    force: Annotated[bool, typer.Option("--force", help="Score again, even what is stored.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a scorer on each subset's normals and score its test images; resumable."""
    from mad_core.runs.parts import settle_parts
    from mad_core.runs.results import write_run_scores
    from mad_core.runs.store import RunRequest

    info = named_scorer(scorer)
    parameters = checked_parameters(info, param or [])
    if maps not in ("all", "none", "on demand"):
        raise typer.BadParameter("say all, none or 'on demand'.", param_hint="--maps")
    device = named_device(device or Settings.from_environment().device)
    missing = info.why_not(parameters)
    if missing:
        raise UnavailableError(missing)
    _check_out(out)
    imported = read_dataset(source, policy)
    if imported.dataset.table.empty:
        raise InputError(f"Nothing usable is in {source}; `check {source}` says why.")
    if imported.problems:
        found = counted(len(imported.problems), "problem")
        typer.echo(f"{found} met while reading; `check {source}` lists them.", err=True)
    if calibrate is not None:
        imported = replace(imported, dataset=imported.dataset.with_calibration(calibrate))
    store = open_store()
    dataset_id = store.add_dataset(imported)
    request = RunRequest(
        dataset_id,
        info.id,
        settle_parts(store, info, parameters, imported.dataset, subset or ()),
        tuple(subset or ()),
        limit,
        seed,
        device,
        maps,
        title=info.title,
    )
    run = store.request_run(request, force=force)
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
    }


def _summary_line(data: Mapping[str, Any]) -> str:
    return (
        f"{data['n_scored']} of {data['n']} images scored by {data['scorer']} on {data['device']}: "
        f"fit {data['seconds_fit']:.1f} s, score {data['seconds_score']:.1f} s; run {data['run']}, {data['out']}"
    )


@app.command()
def evaluate(
    files: Annotated[list[str], typer.Argument(metavar="SCORES…", help="Score files, or stored runs as run:ID.")],
    draws: Draws = 1000,
    seed: Seed = 0,
    reduction: Annotated[
        str | None,
        typer.Option(
            help="Reduce stored maps anew: max, top1, top5, top10, top25, mean, rms, area, mass, regions; all: a table."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The metrics of score files or stored runs: AUROC, C-index, tau-b, intervals, reference points."""
    _check_reduction(reduction, files)
    if reduction == "all":
        _evaluate_reductions(files, draws, seed, as_json)
        return
    results = [_evaluate_one(name, draws, seed, reduction) for name in files]

    def lines() -> Iterable[str]:
        for name, result in zip(files, results, strict=True):
            yield from _metric_lines(name, result)

    print_answer(results[0] if len(results) == 1 else results, as_json, lines)


def _check_reduction(reduction: str | None, files: list[str]) -> None:
    from mad_core.scorers.reductions import ALL

    if reduction is not None and reduction not in (*ALL, "all"):
        raise typer.BadParameter(f"'{reduction}' is none of {', '.join(ALL)}, all.", param_hint="--reduction")
    bare = [name for name in files if not name.startswith("run:")]
    if reduction is not None and bare:
        raise typer.BadParameter(f"{bare[0]} holds no maps; name a stored run as run:ID.", param_hint="--reduction")


def _evaluate_one(name: str, draws: int, seed: int, reduction: str | None) -> dict[str, Any]:
    from mad_core.metrics.summary import evaluate as evaluate_arrays
    from mad_core.runs.map_reductions import reduced_table
    from mad_core.runs.results import run_table
    from mad_core.scorefiles import read_scores

    if reduction is not None:
        table, said = reduced_table(open_store(), name.removeprefix("run:"), reduction)
        notes = (f"Scores are the reduction '{reduction}' of the stored maps, not the run's own.", *said)
    elif name.startswith("run:"):
        table, notes = run_table(open_store(), name.removeprefix("run:")), ()
    else:
        file = read_scores(Path(name))
        table, notes = file.table, file.notes
    result = evaluate_arrays(table["level"], table["score"], table["subset"], draws=draws, seed=seed)
    result["notes"] = [*notes, *result["notes"]]
    return result


def _evaluate_reductions(files: list[str], draws: int, seed: int, as_json: bool) -> None:
    """Every reduction of the stored maps of some runs, as one table a run."""
    from mad_core.runs.map_reductions import compare_reductions

    store, found = open_store(), {}
    with working() as progress:
        for name in files:
            step = progress.counted(f"{name}: reductions")
            found[name] = compare_reductions(store, name.removeprefix("run:"), draws=draws, seed=seed, step=step)
    answers = [{"run": name.removeprefix("run:"), **one.to_json()} for name, one in found.items()]

    def lines() -> Iterable[str]:
        for name, one in found.items():
            yield from _reduction_lines(name, one)

    print_answer(answers[0] if len(answers) == 1 else answers, as_json, lines)


def _reduction_lines(name: str, compared: Any) -> Iterable[str]:
    heads = ("reduction", "C-index", "C-index, abnormal only", "Kendall tau-b", "rank correlation with area")
    rows: list[tuple[str, ...]] = [heads]
    for reduction, found in compared.founds.items():
        between = found["intervals"]
        cells = [
            _number(found["c_index"], between["c_index"]),
            _number(found["abnormal_only"]["c_index"], between["abnormal_c_index"]),
            _number(found["kendall_tau_b"], between["kendall_tau_b"]),
            _number(found["area"]["rank_correlation"], found["area"]["interval"]),
        ]
        rows.append(("own score" if reduction == "score" else reduction, *cells))
    yield name
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield f"  area: {compared.area}"
    yield from (f"  threshold, {subset}: {found.in_words()}" for subset, found in compared.thresholds.items())
    yield from (f"  {sentence}" for sentence in compared.said)
    yield from (f"  note: {note}" for note in compared.notes)


def _number(value: float | None, interval: Any = None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" + (f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


def _metric_lines(name: str, result: Mapping[str, Any]) -> Iterable[str]:
    number = _number
    intervals, reference = result["intervals"] or {}, result["reference"]
    yield f"{name}: {result['n_scored']} of {result['n']} images scored"
    yield f"  AUROC whole        {number(result['auroc']['whole'], intervals.get('auroc_whole'))}"
    for level, value in result["auroc"].items():
        if level != "whole":
            yield f"  AUROC L0 to L{level:<5}  {number(value)}"
    yield f"  C-index            {number(result['c_index'], intervals.get('c_index'))}"
    yield f"    abnormal only    {number(result['abnormal_only']['c_index'])}"
    yield f"    random severity  {number(reference['c_index_random_severity'])}"
    yield f"  Kendall tau-b      {number(result['kendall_tau_b'], intervals.get('kendall_tau_b'))}"
    yield f"    abnormal only    {number(result['abnormal_only']['kendall_tau_b'])}"
    yield f"    random severity  {number(reference['kendall_tau_b_random_severity'])}"
    yield f"    untied ceiling   {number(reference['kendall_tau_b_max_untied'])}"
    for subset, entry in result["subsets"].items():
        yield f"  {subset}: C-index {number(entry['c_index'])}, tau-b {number(entry['kendall_tau_b'])}, " + (
            f"AUROC {number(entry['auroc']['whole'])}, n {entry['n_scored']}"
        )
    for note in result["notes"]:
        yield f"  note: {note}"


# -- the store ----------------------------------------------------------------------------------


def _run_json(store: Any, run: Any) -> dict[str, Any]:
    return {
        "run": run.id,
        "title": run.title,
        "dataset": store.dataset_info(run.dataset_id).name,
        "scorer": run.scorer,
        "parameters": dict(run.parameters),
        "subsets": list(run.subsets),
        "limit": run.image_limit,
        "seed": run.seed,
        "status": run.status,
        "done": run.done,
        "total": run.total,
        "error": run.error,
        "map_bytes": store.maps.disk_use(run.id),
    }


@app.command()
def runs(as_json: AsJson = False) -> None:
    """List the runs in the store."""
    store = open_store()
    entries = [_run_json(store, run) for run in store.runs()]

    def lines() -> Iterable[str]:
        for e in entries:
            yield f"{e['run']}  {e['status']:<10}{e['done']}/{e['total']}  {e['dataset']}  {e['title']}"

    print_answer(entries, as_json, lines)


@app.command()
def show(run: RunId, as_json: AsJson = False) -> None:
    """Show one run: its request, its progress and what is needed to repeat it."""
    from mad_core.runs.token_usage import run_usage

    store = open_store()
    found = store.run(run)
    data = _run_json(store, found) | {"device": found.device, "record": dict(found.record)}
    used = run_usage(store, run)
    data["usage"] = used.to_json() if used else None
    data["fits"] = [
        {"subset": e.subset, "fit": e.fit, "seconds_fit": e.seconds_fit, "seconds_score": e.seconds_score}
        | {"facts": dict(e.facts)}
        for e in store.run_subsets(run)
    ]
    print_answer(data, as_json, lambda: [f"{k}: {v}" for k, v in data.items()])


@app.command()
def cancel(run: RunId, as_json: AsJson = False) -> None:
    """Stop a run after its current batch; what it scored is kept."""
    store = open_store()
    store.cancel_run(run)
    data = _run_json(store, store.run(run))
    stops = data["status"] == "running"
    print_answer(
        data, as_json, lambda: [f"{run} stops after its current batch." if stops else f"{run} is {data['status']}."]
    )


@app.command()
def resume(
    run: RunId,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Score failed images again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a run at the first image without a score; find the threshold of its maps where it has none."""
    from mad_core.runs.map_reductions import can_find_threshold

    store = open_store()
    found = store.run(run)
    if retry_failed or found.done < found.total or found.status != "done" or can_find_threshold(store, found):
        named_device(found.device)
        store.resume_run(run, retry_failed=retry_failed)
    finish_run(store, found)
    data = _run_json(store, store.run(run))
    print_answer(data, as_json, lambda: [f"{run}: {data['done']}/{data['total']} images, {data['status']}"])


@app.command()
def delete(run: RunId, as_json: AsJson = False) -> None:
    """Delete a run with its scores and maps."""
    open_store().delete_run(run)
    print_answer({"deleted": run}, as_json, lambda: [f"{run} is deleted."])


# -- the machine --------------------------------------------------------------------------------


@app.command()
def worker(
    device: Device = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Leave when idle and this process is gone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a worker: it takes jobs from the queue until it is stopped."""
    import logging

    from mad_core.runs.worker import run_worker

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = Settings.from_environment()
    device = named_device(device or settings.device)
    with contextlib.redirect_stdout(sys.stderr):
        if not run_worker(settings, device, parent):
            raise MadError(f"Device {device} already has a worker.")
    print_answer({"device": device}, as_json, lambda: ["The worker has stopped."])


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can do and what is missing."""
    from mad_core.runs.doctor import examine

    report = examine(Settings.from_environment())

    def lines() -> Iterable[str]:
        yield f"Python {report['python']}, {report['device']['name']} ({report['device']['id']})"
        yield report["device"]["sentence"]
        yield f"store: {report['store']['home']}, {report['store']['free_bytes'] / 1e9:.0f} GB free"
        for entry in report["scorers"]:
            yield f"  {entry['id']:<22}{'ready' if entry['available'] else 'not ready'}"
        for model in report["models"]:
            fits = f"fits in {model['fits']}" if model["fits"] else f"needs {model['need_gb']['4bit']:g} GB in 4bit"
            here = "on disk" if model["on_disk"] else "to be fetched"
            yield f"  model {model['id']:<16}{fits:<26}{here:<15}{model['licence']}"
        yield from (f"missing: {sentence}" for sentence in report["missing"])

    print_answer(report, as_json, lines)


@app.command()
def warm(
    scorers: Annotated[list[str] | None, typer.Argument(help="Scorers whose weights to fetch; all if none.")] = None,
    param: Parameters = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the weights and models that scorers need ahead of time; needs the network."""
    from mad_core.scorers import catalog
    from mad_core.scorers.features import weights
    from mad_core.scorers.multimodal import models

    infos = (
        [named_scorer(s, "SCORERS") for s in scorers] if scorers else [i for i in catalog.scorers() if i.needs_weights]
    )
    given = [text.partition("=")[0] for text in param or []]
    wanted = [
        (info.id, name)
        for info in infos
        for name in weights.worth_fetching(info.id, checked_parameters(info, param or []), given)
    ]
    chosen = [
        (info.id, model) for info in infos for model in models.needed(info.id, checked_parameters(info, param or []))
    ]
    folder, fetched = Settings.from_environment().weights, []
    with working() as progress:
        for scorer_id, model in chosen:
            path = models.fetch(model, progress.counted(f"fetching {model}"))
            fetched.append({"scorer": scorer_id, "weights": model, "path": str(path)})
        for scorer_id, name in wanted:
            path = weights.fetch(name, folder, progress.counted(f"fetching {name}"))
            fetched.append({"scorer": scorer_id, "weights": name, "path": str(path)})

    def lines() -> Iterable[str]:
        yield from (f"{f['scorer']}: {f['weights']} in {f['path']}" for f in fetched)
        if not fetched:
            yield "Nothing to fetch: no weights from the network are needed."

    print_answer(fetched, as_json, lines)


# -- the benchmark ------------------------------------------------------------------------------

for _name, _command in bench.COMMANDS.items():
    app.command(_name)(_command)

# -- the studies ----------------------------------------------------------------------------------

for _name, _command in studies.COMMANDS.items():
    app.command(_name)(_command)

# -- the report ---------------------------------------------------------------------------------

for _name, _command in cli_report.COMMANDS.items():
    app.command(_name)(_command)

# -- the store as a whole -------------------------------------------------------------------------

for _name, _command in backup.COMMANDS.items():
    app.command(_name)(_command)

# -- the audit of labels ------------------------------------------------------------------------

app.add_typer(labels.labels, name="labels")
