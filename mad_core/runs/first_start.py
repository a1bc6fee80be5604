"""The first start: the demo dataset, and the default scorer at work on it."""

from collections.abc import Iterable, Mapping
from typing import Any

from mad_core.runs.jobs import ImportJob, submit
from mad_core.runs.request import request_run
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog

FIRST_SCORERS: Mapping[str, Mapping[str, Any]] = {catalog.DEFAULT: {}, "mllm": {"detector_first": "yes"}}
"""Scorers that need nothing from the network and little time, and what they are given beside their defaults; queued on
the demo at the first start where they run. The small model alone takes much that is normal there for a fault."""


def prepare_first_start(store: Store) -> None:
    """Import the demo and queue the first scorers on it, unless this store was used before."""
    if store.queue.any_job():
        return
    datasets = store.datasets()
    if not datasets:
        queue_demo(store)
    elif datasets[0].source == "demo":
        for scorer_id in ready_scorers():
            queue_first(store, datasets[0].id, scorer_id)


def queue_demo(store: Store) -> int:
    """Queue the import of the demo, with the first scorers after it; returns the job's id."""
    return queue_import(store, "demo", FIRST_SCORERS)


def queue_import(store: Store, source: str, scorer_ids: Iterable[str]) -> int:
    """Queue the import of a source, with those of these scorers after it that run here; returns the job's id."""
    return submit(store.queue, ImportJob(source, then=tuple(ready(scorer_ids))))


def ready_scorers() -> list[str]:
    """Those of the first scorers that can run on this machine with their defaults, in order."""
    return ready(FIRST_SCORERS)


def ready(scorer_ids: Iterable[str]) -> list[str]:
    """Those of these scorers that can run on this machine with their defaults, in order."""
    infos = [catalog.scorer(scorer_id) for scorer_id in scorer_ids]
    return [info.id for info in infos if info.why_not(info.defaults()) is None]


def queue_first(store: Store, dataset_id: str, scorer_id: str) -> str:
    """Queue one of the first scorers as the first start does; returns the run's id.

    Raises
    ------
    MadError
        As :func:`queue_default`.
    """
    return request_run(store, RunRequest(dataset_id, scorer_id, FIRST_SCORERS.get(scorer_id, {}))).id


def queue_default(store: Store, dataset_id: str, scorer_id: str) -> str:
    """Queue a scorer with its default parameters on all subsets; returns the run's id.

    Raises
    ------
    MadError
        If the scorer cannot run here or the dataset has nothing to score.
    """
    return request_run(store, RunRequest(dataset_id, scorer_id, {})).id
