"""What an audit does to the metrics: original and audited labels side by side, and what each correction moved.

A correction's part is the metric on all audited labels less the metric with this correction alone undone. Parts do
not add up to the whole difference, since corrections act together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.audit.consensus import corrections
from mad_core.labelled import labelled
from mad_core.metrics.macro import Macro, Measured, macro, measure
from mad_core.metrics.names import judged
from mad_core.metrics.ranking import (
    PairCounts,
    aurocs,
    c_index,
    counts_of_table,
    kendall_tau_b,
    score_table,
    told_apart,
)
from mad_core.metrics.summary import ordered
from mad_core.metrics.units import groups_of
from mad_core.runs.results import run_table
from mad_core.runs.store import Store


@dataclass(frozen=True, eq=False)
class Consequence:
    """One run on original and on audited labels.

    Parameters
    ----------
    run_id, title : str
    original, audited : Macro
        Macro averages over the run's subsets.
    subsets : mapping of subset to (original, audited)
    corrections : DataFrame
        One row for each corrected image of the run: ``image_id``, ``path``, ``subset``, ``label``, ``audited``,
        ``by``, ``score`` (NaN: it has none, so it moves nothing) and for each of
        :func:`mad_core.metrics.names.judged` what the correction moved in the macro average (NaN where the
        metric is missing with it or without it); the largest move of the C-index first.
    """

    run_id: str
    title: str
    original: Macro
    audited: Macro
    subsets: Mapping[str, tuple[Measured, Measured]]
    corrections: pd.DataFrame

    def difference(self, metric: str) -> float | None:
        """Audited less original."""
        after, before = self.audited.values.get(metric), self.original.values.get(metric)
        return None if after is None or before is None else after - before

    def to_json(self) -> dict[str, Any]:
        moved: Any = self.corrections.astype(object).where(self.corrections.notna(), None)
        return {
            "run": self.run_id,
            "title": self.title,
            "metrics": {metric.id: self._metric(metric.id, self.original, self.audited) for metric in judged()},
            "subsets": {
                name: {
                    metric.id: {"original": old.values.get(metric.id), "audited": new.values.get(metric.id)}
                    for metric in judged()
                }
                for name, (old, new) in self.subsets.items()
            },
            "corrections": moved.to_dict("records"),
        }

    def _metric(self, metric: str, original: Macro, audited: Macro) -> dict[str, Any]:
        return {
            "original": original.values[metric],
            "original_interval": original.intervals[metric],
            "audited": audited.values[metric],
            "audited_interval": audited.intervals[metric],
            "difference": self.difference(metric),
        }


def with_audited(table: pd.DataFrame, audited: pd.DataFrame) -> pd.DataFrame:
    """A table of images (a run's, say) with the audited level in place of the label; other images keep theirs."""
    levels = dict(zip(audited["image_id"], audited["audited"], strict=True))
    return table.assign(
        level=[levels.get(image, level) for image, level in zip(table["image_id"], table["level"], strict=True)]
    )


def consequences(
    store: Store, run_ids: Sequence[str], audited: pd.DataFrame, *, draws: int = 1000, seed: int = 0
) -> list[Consequence]:
    """What the audit does to some runs of the dataset.

    Parameters
    ----------
    audited : DataFrame
        As :func:`mad_core.audit.consensus.consensus` gives it.
    draws : int
        0 leaves the 95 % intervals out; they need no draws, so any other number says the same.

    Raises
    ------
    NotFoundError
        If there is no such run.
    """
    return [
        consequence(run_table(store, run_id), audited, run_id, store.run(run_id).title, draws=draws, seed=seed)
        for run_id in run_ids
    ]


def consequence(
    table: pd.DataFrame, audited: pd.DataFrame, run_id: str = "", title: str = "", *, draws: int = 1000, seed: int = 0
) -> Consequence:
    """As :func:`consequences`, of one table as :func:`mad_core.runs.results.run_table` gives it."""
    table = labelled(table)
    after = with_audited(table, audited)
    subsets: dict[str, tuple[Measured, Measured]] = {}
    undone: dict[str, dict[str, dict[str, float | None]]] = {}
    for name, rows in table.groupby("subset", sort=True):
        subset, scores = str(name), rows["score"].to_numpy(dtype=np.float64)
        old = ordered(rows)[0]
        new = ordered(after.loc[rows.index])[0]
        told = {"with_intervals": bool(draws), "groups": groups_of(rows)}
        original = measure(old, scores, **told)
        same = np.array_equal(old, new)
        subsets[subset] = original, original if same else measure(new, scores, **told)
        changed = np.flatnonzero(old != new)
        images = rows["image_id"].to_numpy()[changed]
        undone[subset] = dict(zip(images, each_undone(old, new, scores, changed), strict=True))
    before, now = (macro([pair[place] for pair in subsets.values()]) for place in (0, 1))
    moved = _moves(table, audited, subsets, undone)
    return Consequence(run_id, title, before, now, subsets, moved)


def each_undone(
    old: np.ndarray, new: np.ndarray, scores: np.ndarray, changed: np.ndarray
) -> Iterator[dict[str, float | None]]:
    """The metrics of one subset on its new levels with one of the changed images put back, for each of them.

    O(L² U) each, for L levels and U distinct scores: the table of counts is made once.

    Parameters
    ----------
    old, new, scores : ndarray of shape (n,)
        Scores that are not finite do not enter.
    changed : ndarray of int
        Places of the images.
    """
    usable = np.isfinite(scores)
    before, after = told_apart(old), told_apart(new)
    levels = np.unique(np.concatenate([before, after]))
    values = np.unique(scores[usable])
    counts, present = score_table(after[usable], scores[usable])
    table = np.zeros((len(levels), len(values)), dtype=np.int64)
    table[np.searchsorted(levels, present)] = counts
    as_is = metrics_of(table, levels)
    for place in changed.tolist():
        if not usable[place] or before[place] == after[place]:
            yield as_is
            continue
        column = np.searchsorted(values, scores[place])
        rows = np.searchsorted(levels, [after[place], before[place]])
        table[rows, column] += (-1, 1)
        yield metrics_of(table, levels)
        table[rows, column] -= (-1, 1)


def metrics_of(table: np.ndarray, levels: np.ndarray) -> dict[str, float | None]:
    """The metrics of images given by how often each score occurs in each level (``score_table``)."""
    whole, abnormal = counts_of_table(table, levels), counts_of_table(table[levels > 0], levels[levels > 0])
    return {
        "auroc_whole": aurocs(whole)["whole"] if len(whole.levels) else None,
        **_order(whole, ""),
        **_order(abnormal, "abnormal_"),
    }


def _order(counts: PairCounts, prefix: str) -> dict[str, float | None]:
    return {f"{prefix}c_index": c_index(counts), f"{prefix}kendall_tau_b": kendall_tau_b(counts)}


def _moves(
    table: pd.DataFrame,
    audited: pd.DataFrame,
    subsets: Mapping[str, tuple[Measured, Measured]],
    undone: Mapping[str, Mapping[str, Mapping[str, float | None]]],
) -> pd.DataFrame:
    changed: Any = corrections(audited)[["image_id", "label", "audited", "by"]]
    rows: Any = changed.merge(table[["image_id", "path", "subset", "score"]], on="image_id", sort=False)
    now = {name: pair[1].values for name, pair in subsets.items()}
    for metric in judged():
        rows[metric.id] = np.array(
            [
                _moved(metric.id, now, subset, undone[subset].get(image, {}))
                for image, subset in zip(rows["image_id"], rows["subset"], strict=True)
            ],
            dtype=np.float64,
        )
    names = ["image_id", "path", "subset", "label", "audited", "by", "score", *(m.id for m in judged())]
    order = rows["c_index"].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    return rows.loc[order, names].reset_index(drop=True)


def _moved(
    metric: str, now: Mapping[str, Mapping[str, float | None]], subset: str, without: Mapping[str, float | None]
) -> float:
    """What a correction moved in the mean over the subsets."""
    with_it = _mean([values.get(metric) for values in now.values()])
    put_back = [without.get(metric) if name == subset else values.get(metric) for name, values in now.items()]
    without_it = _mean(put_back)
    return np.nan if with_it is None or without_it is None else with_it - without_it


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
