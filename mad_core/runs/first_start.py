"""The first start: the demo dataset, and the default scorer at work on it."""

from mad_core.runs.jobs import ImportJob, submit
from mad_core.runs.request import request_run
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog

FIRST_SCORERS = (catalog.DEFAULT, "mllm")
"""Scorers that need nothing from the network and little time; queued on the demo at the first start where they run."""


def prepare_first_start(store: Store) -> None:
    """Import the demo and queue the first scorers on it, unless this store was used before."""
    if store.queue.any_job():
        return
    datasets = store.datasets()
    if not datasets:
        queue_demo(store)
    elif datasets[0].source == "demo":
        for scorer_id in ready_scorers():
            queue_default(store, datasets[0].id, scorer_id)


def queue_demo(store: Store) -> int:
    """Queue the import of the demo, with the first scorers after it; returns the job's id."""
    return submit(store.queue, ImportJob("demo", then=tuple(ready_scorers())))


def ready_scorers() -> list[str]:
    """Those of the first scorers that can run on this machine with their defaults, in order."""
    infos = [catalog.scorer(scorer_id) for scorer_id in FIRST_SCORERS]
    return [info.id for info in infos if info.why_not(info.defaults()) is None]


def queue_default(store: Store, dataset_id: str, scorer_id: str) -> str:
    """Queue a scorer with its default parameters on all subsets; returns the run's id.

    Raises
    ------
    MadError
        If the scorer cannot run here or the dataset has nothing to score.
    """
    return request_run(store, RunRequest(dataset_id, scorer_id, {})).id
