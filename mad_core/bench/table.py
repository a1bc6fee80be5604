"""The benchmark table: scorers by subsets, with macro averages, intervals, coverage, time and memory.

Macro averages give every subset the same weight, in a dataset, in a domain and overall alike. How their intervals
are made is said in :mod:`mad_core.metrics.uncertainty`; who is best, and how far the others lie behind, in
:mod:`mad_core.metrics.differences`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mad_core.datasets.dataset import DOMAINS, Card
from mad_core.datasets.madbench import recognise
from mad_core.labelled import labelled
from mad_core.metrics.differences import Difference, by_subset, clear_best, to_the_best
from mad_core.metrics.macro import Macro, Measured, macro
from mad_core.metrics.names import C_INDEX, COVERAGE, headline, metric_of
from mad_core.metrics.summary import ordered
from mad_core.metrics.units import groups_of
from mad_core.scorefiles import csv_text, text_cell

HEADLINE, TO_BEST = C_INDEX.id, f"Difference to the best {C_INDEX.short}"
"""The metric whose difference to the best has a column, and the column's title; files hold that of every metric."""

SCORED, IMPORTED, PUBLISHED, NOT_RUN = "scored", "imported", "published", "not run"
"""What a row's figures are: made here, made elsewhere and imported, typed from a paper, or none."""


@dataclass(frozen=True)
class Scope:
    """What a row's figures are of: one subset, or a macro average over several.

    Parameters
    ----------
    kind : {"overall", "domain", "dataset", "subset"}
    name, title : str
        As files name it, and as readers see it.
    subsets : tuple of str
    published : int or None
        How many subsets the dataset has as published; None for other places and data.
    """

    kind: str
    name: str
    title: str
    subsets: tuple[str, ...]
    published: int | None = None


@dataclass(frozen=True)
class Cost:
    """Time and memory of a scorer on one or more subsets.

    ``rss`` and ``cuda`` are the highest use of main and GPU memory in bytes; None where not recorded.
    """

    images: int
    seconds_fit: float
    seconds_score: float
    rss: int | None = None
    cuda: int | None = None

    @property
    def rate(self) -> float | None:
        """Images scored a second."""
        return self.images / self.seconds_score if self.seconds_score > 0 else None


@dataclass(frozen=True, eq=False)
class Entry:
    """One scorer's contribution to the table.

    Parameters
    ----------
    name : str
        Unique within the table.
    kind : {"scored", "imported", "published", "not run"}
    measured : mapping of subset to Measured
    costs : mapping of subset to Cost
    failed : mapping of subset to sentence
        Subsets that it could not be run on, and why.
    figures : mapping of (place kind, place name) to metrics
        Of published entries: figures as they were typed, fractions.
    notes : tuple of str
        What readers of the figures should know.
    run : str
        Id of the stored run; empty without one.
    """

    name: str
    kind: str
    measured: Mapping[str, Measured] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    run: str = ""


@dataclass(frozen=True)
class BenchRow:
    """An entry at a place; ``summary`` and ``cost`` are None where there is nothing."""

    entry: Entry
    place: Scope
    summary: Macro | None
    cost: Cost | None
    remark: str = ""

    def value(self, metric: str) -> float | None:
        return self.summary.values.get(metric) if self.summary else None

    def interval(self, metric: str) -> list[float] | None:
        return self.summary.intervals.get(metric) if self.summary else None


@dataclass(frozen=True, eq=False)
class BenchTable:
    """The whole table; ``notes`` hold for all of it."""

    title: str
    places: tuple[Scope, ...]
    entries: tuple[Entry, ...]
    rows: tuple[BenchRow, ...]
    notes: tuple[str, ...] = ()

    def at(self, place: Scope) -> list[BenchRow]:
        """The rows of one place, in the order of the entries."""
        return [row for row in self.rows if row.place is place]

    def blocks(self) -> list[tuple[list[Scope], list[BenchRow]]]:
        """Places with their rows; places that hold the same subsets are one block."""
        grouped: dict[tuple[str, ...], list[Scope]] = {}
        for place in self.places:
            grouped.setdefault(place.subsets, []).append(place)
        return [(places, self._merged(places)) for places in grouped.values()]

    def _merged(self, places: Sequence[Scope]) -> list[BenchRow]:
        """One row an entry; figures as published stand at one of the places, the others may have none."""
        rows: dict[int, BenchRow] = {}
        for row in (row for place in places for row in self.at(place)):
            merged = rows.get(id(row.entry))
            if merged is None or merged.summary is None:
                rows[id(row.entry)] = row
        return [rows[id(entry)] for entry in self.entries if id(entry) in rows]


def places_of(subsets: Iterable[str], card: Card, dataset: str) -> tuple[Scope, ...]:
    """Overall, the domains, the datasets, the subsets.

    Parameters
    ----------
    subsets : iterable of str
    card : Card
        Says the domains; published subsets belong to their dataset of the benchmark.
    dataset : str
        What subsets that are none of the benchmark's belong to.
    """
    names = sorted(set(subsets))
    domains: dict[str, list[str]] = {}
    datasets: dict[tuple[str, str, int | None], list[str]] = {}
    for name in names:
        identity = recognise(name, card.subset(name))
        domains.setdefault(identity.benchmark.domain if identity else card.subset(name).domain, []).append(name)
        key = (identity.benchmark.key, identity.benchmark.title, len(identity.benchmark.subsets)) if identity else None
        datasets.setdefault(key or (dataset, dataset, None), []).append(name)
    averages = [Scope("overall", "overall", "Overall", tuple(names))]
    averages += [Scope("domain", d, d.capitalize(), tuple(domains[d])) for d in DOMAINS if d in domains]
    averages += [Scope("dataset", key, title, tuple(of), count) for (key, title, count), of in datasets.items()]
    return (*averages, *(Scope("subset", name, name, (name,)) for name in names))


def measured_subsets(table: pd.DataFrame, *, draws: int = 1000) -> dict[str, Measured]:
    """Each subset of a run's table (:func:`mad_core.runs.results.run_table`) for itself; 0 draws: no intervals."""
    table = labelled(table)
    columns = ordered(table)[0], table["score"], table["subset"], table.get("image_id")
    return by_subset(*columns, groups=groups_of(table), with_intervals=bool(draws))


def bench_table(title: str, places: Sequence[Scope], entries: Sequence[Entry], notes: Sequence[str] = ()) -> BenchTable:
    """Put entries at places.

    An entry that lacks some subsets of a macro average is averaged over those it has, and its row says over how
    many; such a row is not comparable and is never the best.
    """
    rows = [row for place in places for entry in entries if (row := _row(entry, place)) is not None]
    unplaced = [
        f"{entry.name}: the figures as published of {name} have no place here and are left out."
        for entry in entries
        for kind, name in entry.figures
        if not any((place.kind, place.name) == (kind, name) for place in places)
    ]
    return BenchTable(title, tuple(places), tuple(entries), tuple(rows), (*notes, *_general(rows), *unplaced))


def best(rows: Sequence[BenchRow], metric: str) -> BenchRow | None:
    """The row of a block that is clearly best: its paired difference to every other row lies on the better side of 0.

    Only rows with an interval on the same images can win, and only against another such row. Others (figures as
    published, rows that lack images or subsets) count as their interval or bare value: they can prevent a
    winner, not be one.
    """
    whole = _comparable(rows, metric)
    name = clear_best(_to_the_best(whole, metric)) if len(whole) > 1 else None
    if name is None:
        return None
    top, record = whole[name], metric_of(metric)
    others = [row for row in rows if row.value(metric) is not None and not any(row is one for one in whole.values())]
    own = top.interval(metric) or [math.nan, math.nan]
    return top if all(record.is_beyond(own, _reach(row, metric)) for row in others) else None


def _reach(row: BenchRow, metric: str) -> list[float]:
    """A row's interval, or its bare value."""
    value = row.value(metric)
    return row.interval(metric) or [math.nan if value is None else value] * 2


def to_best(rows: Sequence[BenchRow], metric: str) -> dict[str, Difference]:
    """How far each comparable row of a block lies behind the highest of them, by the name of its entry.

    Intervals are paired, and widened for the number of rivals, so that all of them hold together with 95 %. The
    highest itself has a difference of 0 and no interval.
    """
    differences = _to_the_best(_comparable(rows, metric), metric)
    return {name: gap for name, gap in differences.items() if gap is not None} if len(differences) > 1 else {}


def _to_the_best(rows: Mapping[str, BenchRow], metric: str) -> dict[str, Difference | None]:
    parts = {
        name: {subset: row.entry.measured[subset] for subset in row.place.subsets if subset in row.entry.measured}
        for name, row in rows.items()
    }
    return to_the_best(parts, metric)


def _comparable(rows: Sequence[BenchRow], metric: str) -> dict[str, BenchRow]:
    """Rows with an interval that have every subset and image, all of them as many images; else nothing."""
    whole = [row for row in rows if row.interval(metric) and row.summary and _is_whole(row.summary)]
    alike = len({row.summary.n for row in whole if row.summary}) == 1
    return {row.entry.name: row for row in whole} if alike else {}


def _is_whole(summary: Macro) -> bool:
    return summary.complete and summary.n_scored == summary.n


def total_cost(costs: Iterable[Cost]) -> Cost | None:
    """Times added up, the highest memory; None without any."""
    parts = list(costs)
    if not parts:
        return None
    memory = {name: [v for c in parts if (v := getattr(c, name)) is not None] for name in ("rss", "cuda")}
    return Cost(
        sum(c.images for c in parts),
        sum(c.seconds_fit for c in parts),
        sum(c.seconds_score for c in parts),
        max(memory["rss"], default=None),
        max(memory["cuda"], default=None),
    )


def _row(entry: Entry, place: Scope) -> BenchRow | None:
    if entry.kind == PUBLISHED:
        figures = entry.figures.get((place.kind, place.name))
        if figures is None:
            return None
        summary = Macro(0, 0, len(place.subsets), len(place.subsets), dict(figures), {})
        return BenchRow(entry, place, summary, None, "as published")
    if entry.kind == NOT_RUN:
        return BenchRow(entry, place, None, None, "not run")
    summary = macro([entry.measured.get(name) for name in place.subsets])
    cost = total_cost(entry.costs[name] for name in place.subsets if name in entry.costs)
    failed = [name for name in place.subsets if name in entry.failed]
    if not summary.n_scored:
        return BenchRow(entry, place, None, cost, f"failed on {', '.join(failed)}" if failed else "no scores")
    return BenchRow(
        entry, place, summary, cost, "" if summary.complete else f"over {summary.subsets} of {summary.of} subsets"
    )


def _general(rows: Sequence[BenchRow]) -> list[str]:
    """What readers of all the rows should know."""
    notes = []
    if any(row.interval(metric.id) for row in rows for metric in headline()):
        notes.append(
            "In brackets 95 % intervals, for other images of the same levels; of a difference to the best they are "
            "paired and widened for the number of rivals."
        )
    if any(len(row.place.subsets) > 1 for row in rows):
        notes.append(
            "Macro averages give every subset the same weight; raw scores of different subsets are not pooled."
        )
    lacking = {row.place for row in rows if row.place.published and row.place.published > len(row.place.subsets)}
    for place in sorted(lacking, key=lambda p: p.name):
        notes.append(
            f"{place.title} has {place.published} subsets as published, {len(place.subsets)} of them are here."
        )
    if any(row.entry.kind == PUBLISHED for row in rows):
        notes.append("Figures as published are of the source named, without intervals; they were not computed here.")
    return notes


# -- long form ------------------------------------------------------------------------------------


_TEXTS = ("scorer", "name", "note")
_COUNTS = ("subsets", "subsets_wanted", "n", "n_scored", "peak_rss_bytes", "peak_cuda_bytes")


def long_rows(table: BenchTable) -> list[dict[str, Any]]:
    """A row per scorer and place, fractions and bytes, None where there is nothing; JSON-able."""
    records = []
    for place in table.places:
        rows = table.at(place)
        gaps = {metric.id: to_best(rows, metric.id) for metric in headline()}
        records += [_long(row, {metric: own.get(row.entry.name) for metric, own in gaps.items()}) for row in rows]
    return records


def bench_csv(table: BenchTable) -> str:
    """:func:`long_rows` as CSV, in full precision."""
    rows = pd.DataFrame(long_rows(table))
    for name in rows.columns:
        if name in _COUNTS:
            rows[name] = rows[name].astype("Int64")
        elif name in _TEXTS:
            rows[name] = rows[name].map(text_cell)
    return csv_text(rows, float_format=lambda value: repr(float(value)))


def _long(row: BenchRow, gaps: Mapping[str, Difference | None]) -> dict[str, Any]:
    cost, entry = row.cost, row.entry
    summary = None if entry.kind == PUBLISHED else row.summary
    facts: dict[str, Any] = {
        "scorer": entry.name,
        "kind": entry.kind,
        "place": row.place.kind,
        "name": row.place.name,
        "subsets": summary.subsets if summary else None,
        "subsets_wanted": len(row.place.subsets),
        "n": summary.n if summary else None,
        "n_scored": summary.n_scored if summary else None,
        "coverage": summary.coverage if summary else None,
    }
    for metric in headline():
        low, high = row.interval(metric.id) or (None, None)
        facts |= {metric.id: row.value(metric.id), f"{metric.id}_low": low, f"{metric.id}_high": high}
    for metric, gap in gaps.items():
        low, high = (gap and gap.interval) or (None, None)
        facts |= {f"{metric}_to_best": gap and gap.value, f"{metric}_to_best_low": low, f"{metric}_to_best_high": high}
    facts |= {
        "seconds_fit": cost.seconds_fit if cost else None,
        "seconds_score": cost.seconds_score if cost else None,
        "images_per_second": cost.rate if cost else None,
        "peak_rss_bytes": cost.rss if cost else None,
        "peak_cuda_bytes": cost.cuda if cost else None,
        "run": entry.run,
    }
    return facts | {"note": "; ".join(part for part in (row.remark, *_reasons(row), *entry.notes) if part)}


def _reasons(row: BenchRow) -> list[str]:
    return [row.entry.failed[name] for name in row.place.subsets if name in row.entry.failed]


# -- text -----------------------------------------------------------------------------------------


def heading(places: Sequence[Scope]) -> str:
    """What a block of the table is of, in words."""
    names = " · ".join(dict.fromkeys(place.title for place in places))
    count = len(places[0].subsets)
    return names if count == 1 else f"{names}, macro average of {count} subsets"


def hundredfold(value: float | None) -> str:
    """A fraction as the benchmark's paper shows it: times 100, two decimals; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{100 * value:.2f}"


def coverage_text(row: BenchRow) -> str:
    """The images with a score, and over how many subsets where some are missing."""
    if row.summary is None or row.entry.kind == PUBLISHED:
        return row.remark
    summary = row.summary
    images = f"{summary.n_scored:,}" if summary.n_scored == summary.n else f"{summary.n_scored:,} of {summary.n:,}"
    share = f"{100 * (summary.coverage or 0):.1f} % ({images})"
    return f"{share}, {row.remark}" if row.remark else share


def cost_rows(table: BenchTable) -> list[tuple[Entry, Cost]]:
    """Time and memory of each entry that has any, over all its subsets."""
    costs = [(entry, total_cost(entry.costs.values())) for entry in table.entries]
    return [(entry, cost) for entry, cost in costs if cost is not None]


COSTS = ("Fit s", "Scoring s", "Images/s", "Peak memory", "Peak GPU memory")


def cost_texts(cost: Cost) -> list[str]:
    """One text for each of :data:`COSTS`."""
    rate = "-" if cost.rate is None else f"{cost.rate:.1f}"
    return [f"{cost.seconds_fit:.1f}", f"{cost.seconds_score:.1f}", rate, _gigabytes(cost.rss), _gigabytes(cost.cuda)]


def entry_notes(table: BenchTable) -> list[str]:
    """Sentences on single entries: why one has no figures, what failed, what it owes its scores to."""
    notes = []
    for entry in table.entries:
        notes += [f"{entry.name}: {note}" for note in entry.notes]
        notes += [f"{entry.name}: failed on {subset}: {why}" for subset, why in entry.failed.items()]
    return notes


def bench_text(table: BenchTable) -> str:
    """The table as aligned text, values times 100; blocks of macro averages, then of subsets, then the costs."""
    header = ["", *(metric.title for metric in headline()), TO_BEST, COVERAGE.title]
    lines: list[list[str]] = []
    for places, rows in table.blocks():
        lines.append([heading(places)])
        gaps = to_best(rows, HEADLINE)
        for row in rows:
            cells = (_with_interval(row.value(m.id), row.interval(m.id)) for m in headline())
            behind = gap_text(gaps.get(row.entry.name), _with_interval)
            lines.append([f"  {row.entry.name}", *cells, behind, coverage_text(row)])
    text = [f"{table.title} (x100)", *_aligned([header, *lines])]
    costs = [[f"  {entry.name}", *cost_texts(cost)] for entry, cost in cost_rows(table)]
    if costs:
        text += ["", *_aligned([["Time and memory", *COSTS], *costs])]
    notes = [*table.notes, *entry_notes(table)]
    return "\n".join([*text, *([""] if notes else []), *(f"note: {note}" for note in notes)]) + "\n"


def gap_text(gap: Difference | None, write: Callable[[float | None, list[float] | None], str]) -> str:
    """The difference to the best as a cell: empty where there is none, "highest" for the highest itself."""
    if gap is None:
        return ""
    return "highest" if gap.interval is None else write(gap.value, gap.interval)


def _with_interval(value: float | None, interval: list[float] | None) -> str:
    between = f" [{hundredfold(interval[0])}, {hundredfold(interval[1])}]" if interval else ""
    return hundredfold(value) + between


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first ones to the left; a line of one cell is a heading."""
    full = [line for line in lines if len(line) > 1]
    widths = [max(len(line[i]) for line in full) for i in range(len(full[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines]


def _gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e9:.2f} GB"
