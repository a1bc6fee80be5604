"""The command of the metrics: of score files, of stored runs, of stored maps reduced anew."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.cli.terminal import AsJson, Draws, Seed, one_of, open_store, print_answer, stored_dataset, storing
from mad_core.metrics import names as metric_names
from mad_core.metrics.names import ABNORMAL_C_INDEX, C_INDEX, TAU, Metric

REDUCED = (C_INDEX, ABNORMAL_C_INDEX, TAU)
"""What the reductions of maps are measured by."""


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
    dataset: Annotated[
        str | None,
        typer.Option(help="Where levels are taken from: a dataset's path, demo, or a stored one's id."),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(help="as-is, or rounded-up: the benchmark's protocol, and the default for its data and files."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The metrics of score files or stored runs: AUROC, C-index, tau-b, intervals, reference points."""
    from mad_core.metrics.summary import ROUNDINGS

    _check_reduction(reduction, files)
    if levels is not None:
        one_of(levels, ROUNDINGS, "--levels")
    if reduction == "all":
        _evaluate_reductions(files, draws, seed, as_json)
        return
    levels_of = dataset and _dataset(dataset)
    results = [_evaluate_one(name, draws, seed, reduction, levels_of, levels) for name in files]

    def lines() -> Iterable[str]:
        for name, result in zip(files, results, strict=True):
            yield from _metric_lines(name, result)

    print_answer(results[0] if len(results) == 1 else results, as_json, lines)


def _check_reduction(reduction: str | None, files: list[str]) -> None:
    from mad_core.scorers.reductions import ALL

    if reduction is not None:
        one_of(reduction, (*ALL, "all"), "--reduction")
    bare = [name for name in files if not name.startswith("run:")]
    if reduction is not None and bare:
        raise typer.BadParameter(f"{bare[0]} holds no maps; name a stored run as run:ID.", param_hint="--reduction")


def _dataset(source: str) -> Any:
    """The dataset whose levels count."""
    store, dataset_id = stored_dataset(source, None)
    return store.dataset(dataset_id)


def _evaluate_one(
    name: str, draws: int, seed: int, reduction: str | None, dataset: Any = None, rounding: str | None = None
) -> dict[str, Any]:
    from mad_core.datasets.madbench import results_rounded_up, rounds_up
    from mad_core.runs.evaluating import evaluate_run, evaluate_table
    from mad_core.runs.imported_scores import joined_scores
    from mad_core.runs.map_reductions import reduced_table
    from mad_core.scorefiles import read_scores

    if name.startswith("run:") and reduction is None:
        run_id = name.removeprefix("run:")
        return evaluate_run(open_store(), run_id, draws=draws, seed=seed, rounding=rounding)
    if reduction is not None:
        table, remarks = reduced_table(open_store(), name.removeprefix("run:"), reduction)
        notes = (f"Scores are the reduction '{reduction}' of the stored maps, not the run's own.", *remarks)
    else:
        file = joined_scores(Path(name), dataset) if dataset else read_scores(Path(name))
        table, notes = file.table, file.notes
        of_dataset = rounds_up(dataset.subsets, dataset.card) if dataset else {}
        of_file = results_rounded_up(file.path, table["subset"])
        rounded = [of_dataset.get(of, by_name) for of, by_name in zip(table["subset"], of_file, strict=True)]
        table = table.assign(rounded_up=rounded)
    return evaluate_table(table, notes, draws=draws, seed=seed, rounding=rounding)


def _evaluate_reductions(files: list[str], draws: int, seed: int, as_json: bool) -> None:
    """Every reduction of the stored maps of some runs, as one table a run."""
    from mad_core.runs.map_reductions import compare_reductions

    store, by_name = open_store(), {}
    with storing() as progress:
        for name in files:
            step = progress.counted(f"{name}: reductions")
            by_name[name] = compare_reductions(store, name.removeprefix("run:"), draws=draws, seed=seed, step=step)
    answers = [{"run": name.removeprefix("run:"), **one.to_json()} for name, one in by_name.items()]

    def lines() -> Iterable[str]:
        for name, one in by_name.items():
            yield from _reduction_lines(name, one)

    print_answer(answers[0] if len(answers) == 1 else answers, as_json, lines)


def _reduction_lines(name: str, compared: Any) -> Iterable[str]:
    heads = ("reduction", *(metric.title for metric in REDUCED), "rank correlation with area")
    rows: list[tuple[str, ...]] = [heads]
    for reduction, result in compared.metrics.items():
        cells = [_number(metric.value(result), metric.interval(result)) for metric in REDUCED]
        cells.append(_number(result["area"]["rank_correlation"], result["area"]["interval"]))
        rows.append(("own score" if reduction == "score" else reduction, *cells))
    yield name
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield f"  area: {compared.area}"
    yield from (f"  threshold, {subset}: {threshold.in_words()}" for subset, threshold in compared.thresholds.items())
    yield from (f"  {sentence}" for sentence in compared.sentences)
    yield from (f"  note: {note}" for note in compared.notes)


def _number(value: float | None, interval: Any = None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" + (f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


def _metric_lines(name: str, result: Mapping[str, Any]) -> Iterable[str]:
    more = f"; of {result['n'] + result['unlabelled']} images, {result['n']} labelled" if "unlabelled" in result else ""
    yield f"{name}: {result['n_scored']} of {result['n']} images scored{more}"
    for metric in metric_names.METRICS:
        if not metric.part_of:
            yield f"  {metric.title:<18} {_number(metric.value(result), metric.interval(result))}"
            yield from (f"    {label:<16} {_number(*numbers)}" for label, *numbers in _lines_beneath(metric, result))
    for subset, entry in result["subsets"].items():
        metrics = [metric for metric in metric_names.headline() if not metric.part_of]
        values = (f"{m.short} {_number(m.value(entry))}" for m in sorted(metrics, key=lambda m: m.by_level))
        yield f"  {subset}: {', '.join(values)}, n {entry['n_scored']}"
    for note in result["notes"]:
        yield f"  note: {note}"


def _lines_beneath(metric: Metric, result: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """A metric of each level and on some images alone, and what made-up scorers reach: label, value, interval."""
    levels = result[metric.place[0]] if metric.by_level else {}
    yield from ((f"L0 to L{level}", value) for level, value in levels.items() if level != metric.place[1])
    for part in (part for part in metric_names.METRICS if part.part_of == metric.id):
        yield part.title.removeprefix(f"{metric.title}, "), part.value(result), part.interval(result)
    yield from ((label, result["reference"][key]) for label, key in metric.references.items())


COMMANDS: Mapping[str, Callable[..., None]] = {
    "evaluate": evaluate,
}
"""What the command line calls these."""
