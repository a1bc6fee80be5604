"""What is deleted with what, and the disk space that a dataset takes."""

import shutil
from pathlib import Path

from mad_core.errors import InputError
from mad_core.map_files import MapStore
from mad_core.paths import remove_tree
from mad_core.runs.database.engine import Database
from mad_core.runs.jobs import FeaturesJob, StudyJob
from mad_core.runs.queue import Queue
from mad_core.runs.store.cuts import delete_cuts
from mad_core.runs.store.datasets import DatasetStore
from mad_core.runs.store.runs import RunStore, delete_subsets, update_run
from mad_core.runs.store.scores import delete_scores
from mad_core.runs.store.studies import StudyStore
from mad_core.settings import Settings


class Retention:
    """Deletes datasets and runs with all that is kept of them, in the database and beside it.

    Parameters
    ----------
    settings : Settings
    database, queue, maps, datasets, runs, studies
        The parts of one store.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: Queue,
        maps: MapStore,
        datasets: DatasetStore,
        runs: RunStore,
        studies: StudyStore,
    ) -> None:
        self._settings, self._database, self._queue, self._maps = settings, database, queue, maps
        self._datasets, self._runs, self._studies = datasets, runs, studies

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset with its runs, scores, maps and studies; image files the user owns stay.

        Raises
        ------
        InputError
            If a run or a study on it is still going, or its pictures are being looked at.
        """
        self._end_studies(dataset_id)
        self._end_features(dataset_id)
        for run in self._runs.all(dataset_id):
            self.delete_run(run.id)
        unused = self._imports_by_dataset()[self._datasets.info(dataset_id).id]
        self._datasets.delete(dataset_id)
        for folder in (self._settings.thumbnails, self._settings.studies, self._settings.features):
            shutil.rmtree(folder / dataset_id, ignore_errors=True)
        for folder in unused.difference(*self._imports_by_dataset().values()):
            remove_tree(folder)

    def delete_run(self, run_id: str) -> None:
        """Delete a run, its scores, its maps and what studies kept of it; what they found stays.

        Raises
        ------
        InputError
            If it or a study made of it is still going.
        """
        run = self._runs.get(run_id)
        job = self._queue.active_for(run.job_key)
        if job is not None and job.status == "running":
            raise InputError(f"Run '{run.title}' is still going; cancel it first.")
        self._end_studies(run.dataset_id, run_id)
        if job is not None:
            self._queue.request_cancel(job.id)
        self._runs.delete(run_id)
        self._delete_files(run_id)

    def drop_scores(self, run_id: str) -> None:
        """Empty a run that is to be done anew; its cuts go with the scores that they were placed on."""
        with self._database.write() as connection:
            for delete in (delete_scores, delete_subsets, delete_cuts):
                delete(connection, run_id)
            update_run(connection, run_id, done=0, status="cancelled")
        self._delete_files(run_id)

    def disk_use(self, dataset_id: str) -> int:
        """Bytes kept here for a dataset: maps of its runs, what studies keep, thumbnails, features, its archive."""
        run_ids = [run.id for run in self._runs.all(dataset_id)]
        folders = [self._settings.thumbnails / dataset_id, self._settings.features / dataset_id]
        folders += [*self._imports_by_dataset().get(dataset_id, ())]
        folders += [self._settings.studies / owner for owner in (dataset_id, *run_ids)]
        files = (f for folder in folders for f in folder.rglob("*") if f.is_file())
        return sum(f.stat().st_size for f in files) + sum(map(self._maps.disk_use, run_ids))

    def _end_studies(self, dataset_id: str, run_id: str | None = None) -> None:
        """Take a dataset's studies, or those made of one run, out of the queue; one being done is in the way."""
        study_ids = self._studies.made_of(dataset_id, run_id)
        jobs = [job for study_id in study_ids if (job := self._queue.active_for(StudyJob(study_id).key))]
        if any(job.status == "running" for job in jobs):
            of = "on this dataset" if run_id is None else "of this run"
            raise InputError(f"A study {of} is still going; cancel it first.")
        for job in jobs:
            self._queue.request_cancel(job.id)

    def _end_features(self, dataset_id: str) -> None:
        job = self._queue.active_for(FeaturesJob(dataset_id).key)
        if job is not None and job.status == "running":
            raise InputError("The pictures of this dataset are being looked at; cancel that first.")
        if job is not None:
            self._queue.request_cancel(job.id)

    def _delete_files(self, run_id: str) -> None:
        """Delete what lies beside the database for a run: its maps, and what studies kept of it."""
        self._maps.delete(run_id)
        shutil.rmtree(self._settings.studies / run_id, ignore_errors=True)

    def _imports_by_dataset(self) -> dict[str, set[Path]]:
        """Folders of uploaded and of unpacked archives that each dataset comes from."""
        root = self._settings.imports.resolve()
        return {
            dataset_id: {
                root / path.relative_to(root).parts[0]
                for path in map(Path.resolve, map(Path, paths))
                if path.is_relative_to(root) and path != root
            }
            for dataset_id, paths in self._datasets.places().items()
        }
