"""What a report says of the runs of one dataset: metrics, figures, strips, studies, commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core import figures as draw
from mad_core.datasets.dataset import Card
from mad_core.metrics import comparing
from mad_core.palette import Theme
from mad_core.runs.comparing import distinct_names, ranks_within_subsets, side_by_side
from mad_core.runs.results import run_table
from mad_core.runs.store import DatasetInfo, Run, Store

STRIP = 6
DIFFERENCES = {"c_index": "C-index", "kendall_tau_b": "Kendall's tau-b", "auroc_whole": "AUROC, all levels"}


@dataclass(frozen=True)
class Part:
    """The runs of one dataset, measured."""

    info: DatasetInfo
    runs: Sequence[Run]
    names: dict[str, str]
    tables: dict[str, pd.DataFrame]
    founds: dict[str, dict[str, Any]]
    draws: int
    seed: int


def gather(store: Store, run_ids: Sequence[str], draws: int, seed: int) -> list[Part]:
    """The runs by dataset, in the order given, with their metrics.

    Raises
    ------
    NotFoundError
        If a run is not in the store.
    """
    by_dataset: dict[str, list[Run]] = {}
    for run in (store.run(run_id) for run_id in dict.fromkeys(run_ids)):
        by_dataset.setdefault(run.dataset_id, []).append(run)
    return [_part(store, dataset_id, runs, draws, seed) for dataset_id, runs in by_dataset.items()]


def _part(store: Store, dataset_id: str, runs: Sequence[Run], draws: int, seed: int) -> Part:
    tables = {run.id: run_table(store, run.id) for run in runs}
    founds = {
        run_id: comparing.summarize(t["level"], t["score"], t["subset"], draws=draws, seed=seed)
        for run_id, t in tables.items()
    }
    return Part(store.dataset_info(dataset_id), runs, distinct_names(runs), tables, founds, draws, seed)


def level_names(card: Card, subsets: Sequence[str]) -> dict[float, str]:
    """Names of the levels on which the subsets agree."""
    known = [{float(k): m.name for k, m in card.subset(s).levels.items() if m.name} for s in subsets]
    first = known[0] if known else {}
    return {level: name for level, name in first.items() if all(k.get(level) == name for k in known)}


Drawn = tuple[str, str, go.Figure, str]
"""Name of its teaching text, title, figure, the same in words."""


def figures_of(part: Part, theme: Theme) -> Iterator[Drawn]:
    """The figures of a dataset's runs."""
    for run in part.runs:
        yield from _of_run(part, run, theme)
    if len(part.runs) > 1:
        for run in part.runs[1:]:
            yield from _of_pair(part, part.runs[0], run, theme)


def _of_run(part: Part, run: Run, theme: Theme) -> Iterator[Drawn]:
    rows, name = part.tables[run.id], part.names[run.id]
    names = level_names(part.info.card, run.subsets)
    scores, label = rows["score"], "anomaly score"
    if len(run.subsets) > 1:
        scores, label = ranks_within_subsets(rows, "score"), "percentile rank within its subset"
    cloud = draw.raincloud(
        rows["level"],
        scores,
        rows["image_id"].tolist(),
        level_names=names,
        theme=theme,
        score_label=label,
        hover=rows["path"].tolist(),
    )
    said = draw.describe_raincloud(rows["level"], scores, level_names=names, score_label=label)
    yield "raincloud", f"{name}: score against severity level", cloud, said
    matrix, levels, counts = comparing.mean_inversion_matrix(rows["level"], rows["score"], rows["subset"])
    figure = draw.inversion_matrix(matrix, levels, counts=counts, level_names={}, theme=theme)
    said = draw.describe_inversion_matrix(matrix, levels, counts=counts, level_names=names)
    yield "matrix", f"{name}: pairs of levels", figure, said


def paired(part: Part, first: str, second: str) -> pd.DataFrame:
    """Images that both runs scored, with ``rank_a`` and ``rank_b`` within their subsets."""
    table: Any = side_by_side({first: part.tables[first], second: part.tables[second]})
    table = table[table[first].notna() & table[second].notna()]
    return table.assign(rank_a=ranks_within_subsets(table, first), rank_b=ranks_within_subsets(table, second))


def _of_pair(part: Part, a: Run, b: Run, theme: Theme) -> Iterator[Drawn]:
    table = paired(part, a.id, b.id)
    names: dict[str, Any] = {"name_a": part.names[a.id], "name_b": part.names[b.id]}
    if table.empty:
        return
    figure = draw.rank_scatter(
        table["rank_a"],
        table["rank_b"],
        table["level"],
        table["image_id"].tolist(),
        level_names=level_names(part.info.card, a.subsets),
        theme=theme,
        hover=table["path"].tolist(),
        **names,
    )
    title = f"{part.names[a.id]} against {part.names[b.id]}"
    yield "ranks", f"{title}: ranks", figure, draw.describe_rank_scatter(table["rank_a"], table["rank_b"], **names)
    _, found = comparing.differences(
        table["level"], table[a.id], table[b.id], table["subset"], draws=part.draws, seed=part.seed
    )
    rows = [
        {"name": label, "estimate": found[m][0], "low": (found[m][1] or [None])[0], "high": (found[m][1] or [None])[-1]}
        for m, label in DIFFERENCES.items()
    ]
    facts: dict[str, Any] = {"reference": [("no difference", 0.0)], "x_title": "difference"}
    figure = draw.metric_intervals(rows, theme=theme, **facts)
    yield "difference", f"{title}: difference", figure, draw.describe_metric_intervals(rows, **facts)


def strips(part: Part) -> Iterator[tuple[str, Run, list[str]]]:
    """Titles, runs and image ids: best and worst of each run, and the most contested of each pair."""
    for run in part.runs:
        rows: Any = part.tables[run.id]
        rows = rows[rows["score"].notna()]
        gap = (ranks_within_subsets(rows, "score") - ranks_within_subsets(rows, "level")).abs()
        ordered = rows.assign(gap=gap).sort_values("gap", kind="stable")["image_id"].tolist()
        if ordered:
            yield f"{part.names[run.id]}: best", run, ordered[:STRIP]
            yield f"{part.names[run.id]}: worst", run, ordered[::-1][:STRIP]
    for run in part.runs[1:]:
        first = part.runs[0]
        table = paired(part, first.id, run.id)
        gap = (table["rank_a"] - table["rank_b"]).abs()
        ids = table.assign(gap=gap).sort_values("gap", ascending=False, kind="stable")["image_id"].tolist()
        if ids:
            yield f"Contested by {part.names[first.id]} and {part.names[run.id]}", run, ids[:STRIP]


def command(part: Part, run: Run) -> str:
    """The command that makes a run anew."""
    if run.imported:
        return "its scores were made elsewhere and imported"
    words = ["python", "-m", "mad_core", "score", part.info.source, "--scorer", run.scorer]
    for subset in run.subsets:
        words += ["--subset", subset]
    for name, value in run.parameters.items():
        words += ["--param", f"{name}={value}"]
    words += ["--limit", str(run.image_limit)] if run.image_limit else []
    words += ["--seed", str(run.seed), "--device", run.device, "--maps", run.map_policy, "--out", f"{run.id}.csv"]
    return shlex.join(words)
