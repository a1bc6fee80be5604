"""A store with the demo dataset and two simulated runs on it, made without a worker: the audit tests begin there.

Five in a hundred images of each subset have a label that was moved by one or two levels, so that an audit has
something to find.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mad_core.datasets.importing import import_dataset
from mad_core.runs.store import RunRequest, RunSubset, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings

SCORERS = {"First scorer": 0.55, "Second scorer": 0.8}
"""Titles of the runs, and the spread of their scores about the true level."""
MOVED = 0.05


def scored_demo(home: Path, seed: int = 0) -> tuple[Store, str, dict[str, float]]:
    """Make the store.

    Returns
    -------
    store : Store
    dataset_id : str
    truth : dict
        The true level by image id; labels in the store differ for the moved ones.
    """
    settings = Settings.from_environment({"MAD_HOME": str(home)})
    store = Store(settings)
    imported = import_dataset("demo", settings)
    rng = np.random.default_rng(seed)
    table: pd.DataFrame = imported.dataset.table
    truth = dict(zip(table["image_id"], table["level"].tolist(), strict=True))
    tests = np.flatnonzero(table["split"].to_numpy() == "test")
    moved = rng.choice(tests, int(MOVED * len(tests)), replace=False)
    level = table["level"].to_numpy().copy()
    step = rng.choice([1, 2], len(moved))
    level[moved] = np.where(level[moved] + step <= 4, level[moved] + step, level[moved] - step)
    dataset = replace(imported.dataset, table=table.assign(level=level))
    dataset_id = store.add_dataset(replace(imported, dataset=dataset))
    for title, spread in SCORERS.items():
        _run(store, dataset_id, title, truth, spread, rng)
    return store, dataset_id, truth


def _run(
    store: Store, dataset_id: str, title: str, truth: dict[str, float], spread: float, rng: np.random.Generator
) -> None:
    run = store.request_run(RunRequest(dataset_id, "filterbank", {"title": title}, title=title, map_policy="none"))
    for subset in run.subsets:
        rows = store.dataset(dataset_id).select(split="test", subset=subset)
        scores = np.array([truth[i] for i in rows["image_id"]]) + rng.normal(0, spread, len(rows))
        scored = [Scored(i, float(s)) for i, s in zip(rows["image_id"], scores, strict=True)]
        store.add_scores(run.id, subset, [(one, None) for one in scored])
        store.save_run_subset(run.id, RunSubset(subset, None, 1.0, 2.0, {}))
    for job in store.queue.active():
        store.queue.request_cancel(job.id)
    store.update_run(run.id, status="done", finished=1.0)
