"""Runs asked for, kept, resumed and cancelled: rows, scores and the queue move together."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mad_core.errors import InputError
from mad_core.runs.database.engine import Database
from mad_core.runs.jobs import RunJob, submit
from mad_core.runs.queue import IN_PROCESS, Queue
from mad_core.runs.store.datasets import DatasetStore
from mad_core.runs.store.records import Run, RunRequest
from mad_core.runs.store.retention import Retention
from mad_core.runs.store.runs import RunStore
from mad_core.runs.store.sampling import sample_test_images
from mad_core.runs.store.scores import ScoreStore, delete_failed
from mad_core.runs.store.usage import keep_dropped
from mad_core.scorers import catalog
from mad_core.scorers.contract import Scored

KEEP_ROWS = 500


class Lifecycle:
    """What may happen to a run between its request and its end.

    Parameters
    ----------
    database, queue, datasets, runs, scores, retention
        The parts of one store.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        datasets: DatasetStore,
        runs: RunStore,
        scores: ScoreStore,
        retention: Retention,
    ) -> None:
        self._database, self._queue, self._datasets = database, queue, datasets
        self._runs, self._scores, self._retention = runs, scores, retention

    def request(self, request: RunRequest, *, force: bool = False) -> Run:
        """The run of this request: the stored one if it was asked for before, else a new one, queued.

        A stored run that was cancelled or failed is queued again and goes on at the first image
        without a score. With ``force`` the scores of a stored run are dropped first.

        Raises
        ------
        NotFoundError
            If the dataset or a subset does not exist.
        InputError
            If there are no test images to score.
        """
        dataset = self._datasets.load(request.dataset_id)
        request = replace(request, subsets=tuple(sorted(set(request.subsets) or dataset.subsets)))
        total = len(sample_test_images(dataset, request.subsets, request.limit, request.seed))
        if not total:
            raise InputError(f"Dataset '{dataset.name}' has no test images to score.")
        run_id, is_new = self._runs.find_or_insert(request, dataset.version, total, "queued")
        run = self._runs.get(run_id)
        if force and not run.active:
            self._retention.drop_scores(run_id)
        if is_new or force or run.done < run.total:
            self.resume(run_id)
        return self._runs.get(run_id)

    def keep_results(
        self, request: RunRequest, results: Mapping[str, Sequence[Scored]], record: Mapping[str, Any]
    ) -> Run:
        """Keep results that were made elsewhere as a finished run, without a job.

        Parameters
        ----------
        request : RunRequest
            Names the subsets; the same request again gives the stored run, with the newer record.
        results : mapping of subset to results
            One for every test image of the subset.

        Raises
        ------
        NotFoundError
            If the dataset or a subset does not exist.
        """
        version = self._datasets.load(request.dataset_id).version
        request = replace(request, subsets=tuple(sorted(set(request.subsets))))
        run_id, _ = self._runs.find_or_insert(request, version, sum(map(len, results.values())), "cancelled")
        for subset, entries in results.items():
            for start in range(0, len(entries), KEEP_ROWS):
                self._scores.add(run_id, subset, [(scored, None) for scored in entries[start : start + KEEP_ROWS]])
        self._runs.update(run_id, status="done", finished=time.time(), record=dict(record))
        return self._runs.get(run_id)

    def resume(self, run_id: str, *, retry_failed: bool = False) -> int:
        """Queue a run again and return the job's id; scores it has are kept.

        With ``retry_failed`` images that failed lose their entry first, so they are scored again.

        Raises
        ------
        InputError
            If its scores were made elsewhere.
        """
        run = self._runs.get(run_id)
        if run.imported:
            raise InputError(f"The scores of run '{run.title}' were made elsewhere; import its files again instead.")
        if retry_failed and not run.active:
            with self._database.write() as connection:
                keep_dropped(connection, run_id)
                delete_failed(connection, run_id)
            self._scores.count_done(run_id)
        device = IN_PROCESS if catalog.is_local(run.scorer) else run.device
        job = submit(self._queue, RunJob(run_id), device=device)
        self._runs.set_queued(run_id)
        return job

    def cancel(self, run_id: str) -> None:
        """Stop a run after its current batch; what it scored is kept."""
        job = self._queue.active_for(self._runs.get(run_id).job_key)
        if job is not None:
            self._queue.request_cancel(job.id)
        if job is None or job.status == "queued":
            self._runs.set_cancelled(run_id)
