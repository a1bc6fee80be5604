"""The metrics: what each is called, where its value stands, and how it is read.

A metric is its computation in :mod:`mad_core.metrics.summary` and its record here. Tables, figures, reports, pages,
CSV, LaTeX and the command line go through :data:`METRICS` and take their words from it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Flat = dict[str, float | None]
"""Values by column: the id of each of :data:`METRICS`, and ``auroc_<level>`` for every level."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Parameters
    ----------
    id : str
        Its column in the flat form; its key among the intervals.
    title, short : str
        What it is called, and what where space is small.
    read : str
        How to read it, for people who meet it for the first time.
    place : tuple of str
        Keys to its value in the nested form, the JSON of ``evaluate``.
    chance : float
        The value of untied scores in an order at random.
    best : float or None
        The highest or lowest there is; None where nothing is best.
    higher_is_better : bool or None
        None where more is neither good nor bad: it has no winner, and two scorers have no difference in it.
    headline : bool
        Whether it stands where few metrics do, such as in the benchmark table.
    by_level : bool
        Whether values for each level stand beside it in the nested form.
    percent : bool
        Whether it is written in percent.
    group, head : str
        In a table whose head has two lines: what stands over several columns, and over its own (``short`` if empty).
    part_of : str
        Id of the metric of all images of which this one is on some images alone.
    references : mapping of str to str
        What a made-up scorer does, and the key of its value among the reference points.
    spellings : tuple of str
        How else files name it, in lower case without blanks and signs.
    """

    id: str
    title: str
    short: str
    read: str
    place: tuple[str, ...]
    chance: float = 0.0
    best: float | None = None
    higher_is_better: bool | None = True
    headline: bool = True
    by_level: bool = False
    percent: bool = False
    group: str = ""
    head: str = ""
    part_of: str = ""
    references: Mapping[str, str] = field(default_factory=dict, hash=False)
    spellings: tuple[str, ...] = ()

    def value(self, nested: Mapping[str, Any]) -> float | None:
        """Its value in the nested form."""
        node: Any = nested
        for key in self.place:
            node = node[key]
        return node

    def interval(self, nested: Mapping[str, Any]) -> list[float] | None:
        """Its 95 % interval in the nested form; None where it has none."""
        return (nested["intervals"] or {}).get(self.id)

    def columns(self, nested: Mapping[str, Any]) -> Flat:
        """Its values in the flat form: one, or with ``by_level`` one for all levels and one for each of them."""
        if not self.by_level:
            return {self.id: self.value(nested)}
        (family, _) = self.place
        return {f"{family}_{level}": value for level, value in nested[family].items()}

    def text(self, value: float | None) -> str:
        """A value as tables show it; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return "–"
        return f"{100 * value:.1f}\u00a0%" if self.percent else f"{value:.3f}"

    def is_below_chance(self, value: float | None) -> bool:
        """Whether a value is worse than chance."""
        if value is None or self.higher_is_better is None:
            return False
        return value < self.chance if self.higher_is_better else value > self.chance

    def best_of(self, values: Collection[float]) -> float:
        """The best of some values."""
        return min(values) if self.higher_is_better is False else max(values)

    def is_beyond(self, first: Sequence[float], second: Sequence[float]) -> bool:
        """Whether the first interval lies wholly on the better side of the second."""
        return first[1] < second[0] if self.higher_is_better is False else first[0] > second[1]


def _abnormal(whole: Metric, read: str, **changes: Any) -> Metric:
    """A metric on abnormal images alone."""
    return replace(
        whole,
        id=f"abnormal_{whole.id}",
        title=f"{whole.title}, abnormal only",
        short=f"{whole.short}, abnormal only",
        read=read,
        place=("abnormal_only", *whole.place),
        group="Severity, abnormal only",
        head=whole.short,
        part_of=whole.id,
        **{"references": {}, "spellings": (), **changes},
    )


AUROC = Metric(
    "auroc_whole",
    "AUROC",
    "AUROC",
    "How often an abnormal image scores above a normal one, ties counting half. 0.5 is chance, 1 is perfect detection.",
    place=("auroc", "whole"),
    chance=0.5,
    best=1.0,
    by_level=True,
    group="AUROC, normal against",
    head="all levels",
    spellings=("auc",),
)
C_INDEX = Metric(
    "c_index",
    "C-index",
    "C-index",
    "How often the more severe of two images of different levels scores higher, ties counting half. Compare it with "
    "the value that perfect detection with random severity would reach.",
    place=("c_index",),
    chance=0.5,
    best=1.0,
    group="Severity, all images",
    references={"random severity": "c_index_random_severity"},
    spellings=("c",),
)
TAU = Metric(
    "kendall_tau_b",
    "Kendall's tau-b",
    "tau-b",
    "Agreement of the order of scores with the order of levels, -1 to 1. Coarse scores are favoured: scores without "
    "ties cannot reach 1.",
    place=("kendall_tau_b",),
    best=1.0,
    group="Severity, all images",
    references={
        "random severity": "kendall_tau_b_random_severity",
        "untied ceiling": "kendall_tau_b_max_untied",
    },
    spellings=("kendall", "tau", "ken"),
)
ABNORMAL_C_INDEX = _abnormal(
    C_INDEX,
    "The C-index of abnormal images alone: what is left when telling normal from abnormal is taken out. 0.5 is chance.",
)
ABNORMAL_TAU = _abnormal(
    TAU,
    "Kendall's tau-b of abnormal images alone. 0 is chance; with ties among levels 1 is out of reach.",
    headline=False,
)
TIED_PAIRS = Metric(
    "tied_pairs",
    "Tied pairs",
    "Tied pairs",
    "Share of the pairs of different levels whose scores are equal. They count half in the C-index and flatter "
    "Kendall's tau-b.",
    place=("ties", "share_of_pairs"),
    higher_is_better=None,
    headline=False,
    percent=True,
)

METRICS = (AUROC, C_INDEX, TAU, ABNORMAL_C_INDEX, ABNORMAL_TAU, TIED_PAIRS)
"""Every metric, in the order of tables."""

COVERAGE = Metric(
    "coverage",
    "Images with a score",
    "Images",
    "Images that got a score. Failed images have none and never count as normal.",
    place=("coverage",),
    best=1.0,
    percent=True,
)
"""What a value of a metric is of; no metric itself."""


def metric_of(name: str) -> Metric:
    """The record of an id.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {record.id: record for record in METRICS}[name]


def headline() -> list[Metric]:
    """Those that stand where few do."""
    return [record for record in METRICS if record.headline]


def judged() -> list[Metric]:
    """Those by which one scorer can be better than another."""
    return [record for record in METRICS if record.higher_is_better is not None]


def nested(values: Mapping[Metric, float | None]) -> dict[str, Any]:
    """Values where their records place them."""
    result: dict[str, Any] = {}
    for record, value in values.items():
        at = result
        for key in record.place[:-1]:
            at = at.setdefault(key, {})
        at[record.place[-1]] = value
    return result


def flat(nested: Mapping[str, Any]) -> Flat:
    """The metrics of :func:`mad_core.metrics.summary.evaluate` as one row of numbers."""
    return {column: value for record in METRICS for column, value in record.columns(nested).items()}
