"""A toy study for tests of the frame, a folder as every study is; and runs to ask it of."""

from __future__ import annotations

from functools import cache

import pytest

from mad_core.runs.store import Run, RunRequest, RunSubset, Store
from mad_core.scorers.contract import Scored
from mad_core.studies import study

done: list[str] = []
"""The device of each time it was done."""


def use_toy_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put its folder among the studies for one test."""
    monkeypatch.setattr(study, "_PLACES", (*study._PLACES, "tests.engine.toy_studies"))
    monkeypatch.setattr(study, "_catalogue", cache(study._catalogue.__wrapped__))
    done.clear()


def add_run(store: Store, dataset_id: str, title: str = "one", shift: float = 0.0, seconds: float = 1.0) -> Run:
    """A finished run whose scores are the images' levels and a little more, without a scorer."""
    run = store.request_run(RunRequest(dataset_id, "filterbank", {"title": title}, title=title))
    for subset in run.subsets:
        rows = store.test_images(store.dataset(dataset_id), [subset])
        results = [
            (Scored(row.image_id, row.level + shift + 0.01 * place), None)
            for place, row in enumerate(rows.itertuples())
        ]
        store.add_scores(run.id, subset, results)
        store.save_run_subset(run.id, RunSubset(subset, None, seconds, seconds, {}))
    for job in store.queue.active():
        store.queue.request_cancel(job.id)
    store.update_run(run.id, status="done", finished=1.0)
    return store.run(run.id)
