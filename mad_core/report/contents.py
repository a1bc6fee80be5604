"""What a report says of the runs of one dataset, measured once: metrics, pairs of runs, studies, and their figures."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core import figures as draw
from mad_core.audit.consensus import RULES, consensus_of
from mad_core.audit.consequence import with_audited
from mad_core.audit.labels import AuditStore
from mad_core.errors import InputError
from mad_core.labelled import labelled
from mad_core.metrics import comparing
from mad_core.metrics.differences import differences
from mad_core.metrics.names import C_INDEX, judged
from mad_core.metrics.summary import ordered
from mad_core.palette import Theme
from mad_core.runs.comparing import distinct_names, ranks_within_subsets, side_by_side
from mad_core.runs.jobs import ReportRequest
from mad_core.runs.results import run_table
from mad_core.runs.store import DatasetInfo, Run, Store
from mad_core.studies.record import StudyRecord, list_studies

EVERY_PAIR = 3
"""Up to so many runs each pair of them is compared; of more the first one with each other."""
POINTS = 2800
"""Most points in a figure: as many are drawn as lines and shapes, which print well and need no WebGL."""


@dataclass(frozen=True)
class RunPair:
    """Two runs on the images that both scored.

    Parameters
    ----------
    table : DataFrame
        ``image_id``, ``path``, ``subset``, ``level``, and ``rank_a``, ``rank_b`` within their subsets.
    differences : mapping of metric to (first minus second, 95 % interval)
    """

    first: Run
    second: Run
    table: pd.DataFrame
    differences: Mapping[str, tuple[float | None, list[float] | None]]


@dataclass(frozen=True)
class ReportPart:
    """The runs of one dataset, measured.

    Parameters
    ----------
    tables : mapping of run id to DataFrame
        As :func:`mad_core.runs.results.run_table`, of the subset and with the labels asked for.
    originals : mapping of run id to DataFrame
        The same with the original labels.
    metrics : mapping of run id to metrics
        As :func:`mad_core.metrics.comparing.summarize`.
    studies : sequence of StudyRecord
        Those with a finding, of these runs alone or of images without runs.
    studies_of_others : int
        How many there are of other runs besides, and are left out.
    audited : bool
        Whether anybody rated an image of the dataset.
    """

    info: DatasetInfo
    request: ReportRequest
    runs: Sequence[Run]
    names: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame]
    originals: Mapping[str, pd.DataFrame]
    metrics: Mapping[str, dict[str, Any]]
    pairs: Sequence[RunPair] = ()
    studies: Sequence[StudyRecord] = ()
    studies_of_others: int = 0
    audited: bool = False

    @property
    def subsets(self) -> list[str]:
        return [self.request.subset] if self.request.subset else sorted({s for run in self.runs for s in run.subsets})


class Steps:
    """Counts what is done of a report; ``told(done, total)`` may raise to end the work."""

    def __init__(self, told: Callable[[int, int], None], total: int) -> None:
        self.told, self.done, self.total = told, 0, total
        told(0, total)

    def step(self) -> None:
        self.done += 1
        self.told(min(self.done, self.total), self.total)


def gather(store: Store, request: ReportRequest, steps: Steps) -> list[ReportPart]:
    """The runs by dataset, in the order given, with their metrics; a step a run and a pair of runs.

    Raises
    ------
    NotFoundError
        If a run is not in the store.
    InputError
        If there is no such rule, or none of the runs scored the subset.
    """
    if request.rule is not None and request.rule not in RULES:
        raise InputError(f"'{request.rule}' is no rule; there are {', '.join(RULES)}.")
    by_dataset: dict[str, list[Run]] = {}
    for run in (store.run(run_id) for run_id in dict.fromkeys(request.runs)):
        if request.subset is None or request.subset in run.subsets:
            by_dataset.setdefault(run.dataset_id, []).append(run)
    if not by_dataset:
        raise InputError(f"None of these runs scored '{request.subset}'." if request.subset else "Name a run or more.")
    return [_part(store, request, dataset_id, runs, steps) for dataset_id, runs in by_dataset.items()]


def steps_of(request: ReportRequest) -> int:
    """How many steps a report takes: a run is measured and drawn, a pair is compared."""
    return 2 * len(request.runs) + len(_places(len(request.runs)))


def _part(store: Store, request: ReportRequest, dataset_id: str, runs: Sequence[Run], steps: Steps) -> ReportPart:
    audit = AuditStore(store)
    audited = bool(audit.standing(dataset_id))
    originals = {run.id: _rows(store, run, request.subset) for run in runs}
    labels = consensus_of(audit, dataset_id, request.rule) if request.rule and audited else None
    tables = originals if labels is None else {run: with_audited(rows, labels) for run, rows in originals.items()}
    metrics = {}
    for run_id, rows in tables.items():
        metrics[run_id] = summarized(rows, request)
        steps.step()
    pairs = []
    for a, b in _places(len(runs)):
        pairs += _pair(runs[a], runs[b], tables, request)
        steps.step()
    ids = {run.id for run in runs}
    asked = [one for one in list_studies(store, dataset_id) if one.finding and (not one.runs or ids & set(one.runs))]
    studies = [one for one in asked if set(one.runs) <= ids]
    return ReportPart(
        store.dataset_info(dataset_id),
        request,
        runs,
        distinct_names(runs),
        tables,
        originals,
        metrics,
        pairs,
        newest(studies),
        len(asked) - len(studies),
        audited,
    )


def _rows(store: Store, run: Run, subset: str | None) -> pd.DataFrame:
    rows: Any = run_table(store, run.id)
    return rows if subset is None else rows[rows["subset"] == subset].reset_index(drop=True)


def summarized(rows: pd.DataFrame, request: ReportRequest) -> dict[str, Any]:
    """The metrics of a table of a run with their intervals."""
    return comparing.summarize_rows(rows, draws=request.draws, seed=request.seed)


def newest(studies: Sequence[StudyRecord]) -> list[StudyRecord]:
    """Of each question the newest answer; one on every image stands before one on a sample."""
    kept: dict[Any, StudyRecord] = {}
    for one in sorted(studies, key=lambda one: (not one.quick, one.finished or 0.0)):
        kept[one.study, repr(sorted(one.parameters.items())), one.runs] = one
    return sorted(kept.values(), key=lambda one: one.created)


def _places(count: int) -> list[tuple[int, int]]:
    """Which runs are compared with which."""
    every = itertools.combinations(range(count), 2)
    return list(every) if count <= EVERY_PAIR else [(0, place) for place in range(1, count)]


def _pair(a: Run, b: Run, tables: Mapping[str, pd.DataFrame], request: ReportRequest) -> list[RunPair]:
    """The pair; nothing where no image has a score of both."""
    table: Any = side_by_side({a.id: tables[a.id], b.id: tables[b.id]})
    table = labelled(table[table[a.id].notna() & table[b.id].notna()])
    if table.empty:
        return []
    columns = table["level"], table[a.id], table[b.id], table["subset"], table["group"]
    _, gaps = differences(*columns, with_intervals=bool(request.draws))
    ranks = {"rank_a": ranks_within_subsets(table, a.id), "rank_b": ranks_within_subsets(table, b.id)}
    return [RunPair(a, b, table.assign(**ranks), gaps)]


# -- figures --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn in either theme.

    Parameters
    ----------
    read : str
        How to read it, in words; empty where nothing is said.
    title, words : str
        ``words`` say the same to those who do not see it.
    draw : callable(theme) -> Figure
    wide : bool
        Whether it stands alone in its row.
    """

    read: str
    title: str
    words: str
    draw: Callable[[Theme], go.Figure] = field(repr=False)
    wide: bool = True


def figures_of(part: ReportPart) -> Iterator[Drawing]:
    """The figures of a dataset's runs."""
    if len(part.runs) > 1:
        yield _overview(part)
    for run in part.runs:
        yield from _of_run(part, run)
    for pair in part.pairs:
        yield from _of_pair(part, pair)


def _overview(part: ReportPart) -> Drawing:
    results = {part.names[run.id]: part.metrics[run.id] for run in part.runs}
    rows = [draw.interval_row(name, C_INDEX.value(one), C_INDEX.interval(one)) for name, one in results.items()]
    fullest = max(part.metrics.values(), key=lambda result: result["n_scored"])
    points = {name: fullest["reference"][key] for name, key in C_INDEX.references.items()}
    facts: dict[str, Any] = {"x_title": C_INDEX.title}
    facts["reference"] = [(name, value) for name, value in points.items() if value is not None]
    words = draw.describe_metric_intervals(rows, **facts)
    return Drawing(
        draw.READ_METRIC_INTERVALS,
        f"{C_INDEX.title} of each run",
        words,
        lambda theme: draw.metric_intervals(rows, theme=theme, **facts),
    )


def _of_run(part: ReportPart, run: Run) -> Iterator[Drawing]:
    rows, name = labelled(part.tables[run.id]), part.names[run.id]
    names = part.info.card.level_names(part.subsets)
    scores, label = rows["score"], "anomaly score"
    if len(part.subsets) > 1:
        scores, label = ranks_within_subsets(rows, "score"), "percentile rank within its subset"

    def cloud(theme: Theme) -> go.Figure:
        figure = draw.raincloud(
            ordered(rows)[0],
            scores,
            rows["image_id"].tolist(),
            level_names=names,
            theme=theme,
            score_label=label,
            hover=rows["path"].tolist(),
            width=520,
            points_a_level=_points(rows),
        )
        return without_ids(figure)

    description = draw.describe_raincloud(ordered(rows)[0], scores, level_names=names, score_label=label)
    yield Drawing(draw.READ_RAINCLOUD, f"{name}: score against severity level", description, cloud, wide=False)
    matrix, levels, counts = comparing.mean_inversion_matrix(ordered(rows)[0], rows["score"], rows["subset"])
    description = draw.describe_inversion_matrix(matrix, levels, counts=counts, level_names=names)
    shown = {"counts": counts, "level_names": {}, "width": 450}
    yield Drawing(
        draw.READ_INVERSION_MATRIX,
        f"{name}: pairs of levels",
        description,
        lambda theme: draw.inversion_matrix(matrix, levels, theme=theme, **shown),
        wide=False,
    )


def _of_pair(part: ReportPart, pair: RunPair) -> Iterator[Drawing]:
    table = pair.table
    names: dict[str, Any] = {"name_a": part.names[pair.first.id], "name_b": part.names[pair.second.id]}

    def ranks(theme: Theme) -> go.Figure:
        figure = draw.rank_scatter(
            table["rank_a"],
            table["rank_b"],
            table["level"],
            table["image_id"].tolist(),
            level_names=part.info.card.level_names(part.subsets),
            theme=theme,
            hover=table["path"].tolist(),
            points_a_level=_points(table),
            **names,
        )
        return without_ids(figure)

    title = f"{names['name_a']} against {names['name_b']}"
    description = draw.describe_rank_scatter(table["rank_a"], table["rank_b"], **names)
    yield Drawing(draw.READ_RANK_SCATTER, f"{title}: ranks", description, ranks, wide=False)
    rows = [draw.interval_row(metric.title, *pair.differences[metric.id]) for metric in judged()]
    facts: dict[str, Any] = {"reference": [("no difference", 0.0)], "x_title": "difference"}
    words = draw.describe_metric_intervals(rows, **facts)
    yield Drawing(
        draw.READ_METRIC_DIFFERENCES,
        f"{names['name_a']} minus {names['name_b']}",
        words,
        lambda theme: draw.metric_intervals(rows, theme=theme, width=450, **facts),
        wide=False,
    )


def _points(rows: pd.DataFrame) -> int:
    """Most points a level."""
    return POINTS // max(1, len(set(rows["level"].tolist())))


def without_ids(figure: go.Figure) -> go.Figure:
    """The figure without the ids of its images: nothing opens on a click in a report."""
    return figure.update_traces(customdata=None)
