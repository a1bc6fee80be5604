"""The benchmark table: scorers by subsets, with macro averages, intervals, coverage, time and memory.

Macro averages give every subset the same weight, in a dataset, in a domain and overall alike. How their
intervals are made is said in :mod:`mad_core.metrics.macro`: every subset is resampled for itself (drawn within
its levels, seeded by its name, so that all scorers see the same resampled images), the draws are averaged over
the subsets one by one, and the 2.5th and 97.5th percentile of these averages are the interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mad_core.datasets.dataset import DOMAINS, Card
from mad_core.datasets.madbench import recognise
from mad_core.metrics.macro import Macro, Measured, macro, measure
from mad_core.metrics.names import COVERAGE, headline, metric_of
from mad_core.scorefiles import csv_text, text_cell

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
    """An entry at a place; ``found`` and ``cost`` are None where there is nothing."""

    entry: Entry
    place: Scope
    found: Macro | None
    cost: Cost | None
    remark: str = ""

    def value(self, metric: str) -> float | None:
        return self.found.values.get(metric) if self.found else None

    def interval(self, metric: str) -> list[float] | None:
        return self.found.intervals.get(metric) if self.found else None


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
            known = rows.get(id(row.entry))
            if known is None or known.found is None:
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
        known = recognise(name, card.subset(name))
        domains.setdefault(known.benchmark.domain if known else card.subset(name).domain, []).append(name)
        key = (known.benchmark.key, known.benchmark.title, len(known.benchmark.subsets)) if known else None
        datasets.setdefault(key or (dataset, dataset, None), []).append(name)
    found = [Scope("overall", "overall", "Overall", tuple(names))]
    found += [Scope("domain", d, d.capitalize(), tuple(domains[d])) for d in DOMAINS if d in domains]
    found += [Scope("dataset", key, title, tuple(of), count) for (key, title, count), of in datasets.items()]
    return (*found, *(Scope("subset", name, name, (name,)) for name in names))


def measured_subsets(table: pd.DataFrame, *, draws: int = 1000, seed: int = 0) -> dict[str, Measured]:
    """Each subset of a run's table (:func:`mad_core.runs.results.run_table`) measured for itself."""
    return {
        str(subset): measure(rows["level"], rows["score"], str(subset), draws=draws, seed=seed)
        for subset, rows in table.groupby("subset")
    }


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
    """The row of a block that is clearly best: its interval lies beyond every other row's interval.

    Only rows with an interval on the same images can win, and only against another such row. Others (figures as
    published, rows that lack images or subsets) count as their interval or bare value: they can prevent a
    winner, not be one.
    """
    intervals = [
        (row, row.interval(metric) or [value, value]) for row in rows if (value := row.value(metric)) is not None
    ]
    whole = [row for row, _ in intervals if row.interval(metric) and row.found and _is_whole(row.found)]
    if len(whole) < 2 or len({row.found.n for row in whole if row.found}) > 1:
        return None
    for winner, own in intervals:
        others = [interval for row, interval in intervals if row is not winner]
        if winner in whole and all(metric_of(metric).is_beyond(own, interval) for interval in others):
            return winner
    return None


def _is_whole(found: Macro) -> bool:
    return found.complete and found.n_scored == found.n


def total_cost(costs: Iterable[Cost]) -> Cost | None:
    """Times added up, the highest memory; None without any."""
    known = list(costs)
    if not known:
        return None
    memory = {name: [v for c in known if (v := getattr(c, name)) is not None] for name in ("rss", "cuda")}
    return Cost(
        sum(c.images for c in known),
        sum(c.seconds_fit for c in known),
        sum(c.seconds_score for c in known),
        max(memory["rss"], default=None),
        max(memory["cuda"], default=None),
    )


def _row(entry: Entry, place: Scope) -> BenchRow | None:
    if entry.kind == PUBLISHED:
        figures = entry.figures.get((place.kind, place.name))
        if figures is None:
            return None
        found = Macro(0, 0, len(place.subsets), len(place.subsets), dict(figures), {})
        return BenchRow(entry, place, found, None, "as published")
    if entry.kind == NOT_RUN:
        return BenchRow(entry, place, None, None, "not run")
    found = macro([entry.measured.get(name) for name in place.subsets])
    cost = total_cost(entry.costs[name] for name in place.subsets if name in entry.costs)
    failed = [name for name in place.subsets if name in entry.failed]
    if not found.n_scored:
        return BenchRow(entry, place, None, cost, f"failed on {', '.join(failed)}" if failed else "no scores")
    return BenchRow(entry, place, found, cost, "" if found.complete else f"over {found.subsets} of {found.of} subsets")


def _general(rows: Sequence[BenchRow]) -> list[str]:
    """What the rows as a whole ask to be said."""
    said = []
    if any(row.interval(metric.id) for row in rows for metric in headline()):
        said.append(
            "In brackets 95 % bootstrap intervals: images drawn within levels, every subset for itself; those of "
            "macro averages from the averages of the subsets' draws."
        )
    if any(len(row.place.subsets) > 1 for row in rows):
        said.append("Macro averages give every subset the same weight; raw scores of different subsets are not pooled.")
    lacking = {row.place for row in rows if row.place.published and row.place.published > len(row.place.subsets)}
    for place in sorted(lacking, key=lambda p: p.name):
        said.append(f"{place.title} has {place.published} subsets as published, {len(place.subsets)} of them are here.")
    if any(row.entry.kind == PUBLISHED for row in rows):
        said.append("Figures as published are of the source named, without intervals; they were not computed here.")
    return said


# -- long form ------------------------------------------------------------------------------------


_TEXTS = ("scorer", "name", "note")
_COUNTS = ("subsets", "subsets_wanted", "n", "n_scored", "peak_rss_bytes", "peak_cuda_bytes")


def long_rows(table: BenchTable) -> list[dict[str, Any]]:
    """A row per scorer and place, fractions and bytes, None where there is nothing; JSON-able."""
    return [_long(row) for row in table.rows]


def bench_csv(table: BenchTable) -> str:
    """:func:`long_rows` as CSV, in full precision."""
    rows = pd.DataFrame(long_rows(table))
    for name in rows.columns:
        if name in _COUNTS:
            rows[name] = rows[name].astype("Int64")
        elif name in _TEXTS:
            rows[name] = rows[name].map(text_cell)
    return csv_text(rows, float_format=lambda value: repr(float(value)))


def _long(row: BenchRow) -> dict[str, Any]:
    cost, entry = row.cost, row.entry
    found = None if entry.kind == PUBLISHED else row.found
    facts: dict[str, Any] = {
        "scorer": entry.name,
        "kind": entry.kind,
        "place": row.place.kind,
        "name": row.place.name,
        "subsets": found.subsets if found else None,
        "subsets_wanted": len(row.place.subsets),
        "n": found.n if found else None,
        "n_scored": found.n_scored if found else None,
        "coverage": found.coverage if found else None,
    }
    for metric in headline():
        low, high = row.interval(metric.id) or (None, None)
        facts |= {metric.id: row.value(metric.id), f"{metric.id}_low": low, f"{metric.id}_high": high}
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
    if row.found is None or row.entry.kind == PUBLISHED:
        return row.remark
    found = row.found
    images = f"{found.n_scored:,}" if found.n_scored == found.n else f"{found.n_scored:,} of {found.n:,}"
    share = f"{100 * (found.coverage or 0):.1f} % ({images})"
    return f"{share}, {row.remark}" if row.remark else share


def cost_rows(table: BenchTable) -> list[tuple[Entry, Cost]]:
    """Time and memory of each entry that has any, over all its subsets."""
    found = [(entry, total_cost(entry.costs.values())) for entry in table.entries]
    return [(entry, cost) for entry, cost in found if cost is not None]


COSTS = ("Fit s", "Scoring s", "Images/s", "Peak memory", "Peak GPU memory")


def cost_texts(cost: Cost) -> list[str]:
    """One text for each of :data:`COSTS`."""
    rate = "-" if cost.rate is None else f"{cost.rate:.1f}"
    return [f"{cost.seconds_fit:.1f}", f"{cost.seconds_score:.1f}", rate, _gigabytes(cost.rss), _gigabytes(cost.cuda)]


def entry_notes(table: BenchTable) -> list[str]:
    """Sentences on single entries: why one has no figures, what failed, what it owes its scores to."""
    said = []
    for entry in table.entries:
        said += [f"{entry.name}: {note}" for note in entry.notes]
        said += [f"{entry.name}: failed on {subset}: {why}" for subset, why in entry.failed.items()]
    return said


def bench_text(table: BenchTable) -> str:
    """The table as aligned text, values times 100; blocks of macro averages, then of subsets, then the costs."""
    header = ["", *(metric.title for metric in headline()), COVERAGE.title]
    lines: list[list[str]] = []
    for places, rows in table.blocks():
        lines.append([heading(places)])
        lines += [
            [f"  {row.entry.name}", *(_with_interval(row, m.id) for m in headline()), coverage_text(row)]
            for row in rows
        ]
    text = [f"{table.title} (x100)", *_aligned([header, *lines])]
    costs = [[f"  {entry.name}", *cost_texts(cost)] for entry, cost in cost_rows(table)]
    if costs:
        text += ["", *_aligned([["Time and memory", *COSTS], *costs])]
    notes = [*table.notes, *entry_notes(table)]
    return "\n".join([*text, *([""] if notes else []), *(f"note: {note}" for note in notes)]) + "\n"


def _with_interval(row: BenchRow, metric: str) -> str:
    interval = row.interval(metric)
    between = f" [{hundredfold(interval[0])}, {hundredfold(interval[1])}]" if interval else ""
    return hundredfold(row.value(metric)) + between


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first ones to the left; a line of one cell is a heading."""
    full = [line for line in lines if len(line) > 1]
    widths = [max(len(line[i]) for line in full) for i in range(len(full[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines]


def _gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e9:.2f} GB"
