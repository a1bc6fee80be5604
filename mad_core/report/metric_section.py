"""The metrics of a report: one table of the runs beside reference points, and what they say."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from mad_core.labelled import labelled
from mad_core.metrics import comparing
from mad_core.metrics import names as metric_names
from mad_core.metrics.differences import by_subset, every_to_the_best
from mad_core.metrics.names import COVERAGE, Metric
from mad_core.metrics.units import groups_of
from mad_core.report.contents import ReportPart
from mad_core.report.html import folded, how_to_read, table, take_away
from mad_core.runs.comparing import metrics_csv, scores_side_by_side_csv, side_by_side, supervision_note
from mad_core.runs.store import Run, Store
from mad_core.studies.export import slug


def metrics_html(store: Store, part: ReportPart) -> Iterator[str]:
    """The table, its notes, the subsets, and the same as CSV."""
    complete = {part.names[run.id]: part.metrics[run.id] for run in part.runs if not waiting(part, run)}
    best = comparing.best(complete, _to_the_best(part, complete)) if _same_images(part) else {}
    rows = [_row(part.names[run.id], part.metrics[run.id], best, _note(store, part, run)) for run in part.runs]
    fullest = max(part.metrics.values(), key=lambda result: result["n_scored"])
    for name, values in comparing.reference_rows(fullest).items():
        cells = [f"<i>{metric.text(values.get(metric.id))}</i>" for metric in metric_names.METRICS]
        rows.append([f"<i>{escape(name)}</i>", "", *cells])
    yield how_to_read(comparing.READ_METRICS)
    heads = ["Run", COVERAGE.short, *(metric.short for metric in metric_names.METRICS)]
    yield table(heads, rows, made=True)
    yield "<p class=note>Below each value its 95 % interval. Bold: better than every other run by paired differences "
    yield "on the same images, widened for the number of runs. In italics what made-up scorers would reach.</p>"
    if not _same_images(part):
        yield "<p class=note>The runs were asked for different images, so none is marked as best.</p>"
    yield f"<p>{escape(comparing.reference_in_words(fullest))}</p>"
    if fractions := comparing.levels_in_words(fullest):
        yield f"<p>{escape(fractions)}</p>"
    subsets = [
        _row(f"{part.names[run.id]}, {subset}", result, {}, "")
        for run in part.runs
        for subset, result in part.metrics[run.id]["subsets"].items()
    ]
    if subsets:
        yield folded("Each subset", table(heads, subsets, made=True), rows=len(subsets))
    for name, text in csv_files(part).items():
        yield take_away(name, text)


def _to_the_best(part: ReportPart, complete: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Differences of the finished runs to the best of them, by metric; nothing without intervals."""
    if not part.request.draws:
        return {}
    tables = {part.names[run.id]: labelled(part.tables[run.id]) for run in part.runs}
    columns = ("level", "score", "subset", "image_id")
    measured = {
        name: by_subset(*(tables[name][column] for column in columns), groups=groups_of(tables[name]))
        for name in complete
    }
    return every_to_the_best(measured)


def in_short(part: ReportPart) -> Iterator[str]:
    """What the runs are worth, a sentence or two each."""
    for run in part.runs:
        sentences = " ".join(comparing.in_words(part.metrics[run.id]))
        if sentences:
            yield f"<li><b>{escape(part.names[run.id])}</b>: {escape(sentences)}</li>"


def csv_files(part: ReportPart) -> dict[str, str]:
    """The tables of a part as CSV, by file name."""
    at = f"{slug(part.info.name)}-{part.info.id[:6]}"
    rows = [
        (run.id, part.names[run.id], subset or part.request.subset or "average over subsets", result)
        for run in part.runs
        for subset, result in [(None, part.metrics[run.id]), *part.metrics[run.id]["subsets"].items()]
    ]
    scores = scores_side_by_side_csv(side_by_side(part.tables), part.names)
    return {f"{at}-metrics.csv": metrics_csv(rows), f"{at}-scores.csv": scores}


def waiting(part: ReportPart, run: Run) -> int:
    """Images in the report that the run has not come to."""
    return int((part.tables[run.id]["status"] == "waiting").to_numpy().sum())


def _row(name: str, result: Mapping[str, Any], best: Mapping[str, tuple[str, bool]], note: str) -> Sequence[str]:
    cells = []
    for metric in metric_names.METRICS:
        text = metric_cell(metric, result)
        cells.append(f"<b>{text}</b>" if best.get(metric.id) == (name, True) else text)
    head = escape(name) + (f"<small>{escape(note)}</small>" if note else "")
    return [head, f"{result['n_scored']:,} of {result['n']:,}", *cells]


def metric_cell(metric: Metric, result: Mapping[str, Any]) -> str:
    """A value and, below it, its interval; HTML."""
    interval = metric.interval(result)
    between = f"<small>{metric.text(interval[0])} to {metric.text(interval[1])}</small>" if interval else ""
    return metric.text(metric.value(result)) + between


def _note(store: Store, part: ReportPart, run: Run) -> str:
    left = waiting(part, run)
    partial = f"partial: {left:,} images still wait" if left else ""
    owed = supervision_note(run, [entry.facts for entry in store.run_subsets(run.id)])
    return " · ".join(note for note in (partial, owed, run.note) if note)


def _same_images(part: ReportPart) -> bool:
    first, *others = (part.metrics[run.id]["levels"] for run in part.runs)
    return all(levels == first for levels in others)
