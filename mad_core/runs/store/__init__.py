"""The store: datasets, runs and scores. Everything people see is read back from here."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.datasets.dataset import COLUMNS, Card, Dataset, Imported, Problem
from mad_core.errors import InputError, NotFoundError
from mad_core.map_files import MapRef, MapStore
from mad_core.paths import remove_tree
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import cuts, datasets, images, run_subsets, runs, scores, studies
from mad_core.runs.queue import IN_PROCESS, Queue
from mad_core.runs.token_usage import keep_dropped
from mad_core.scorers import catalog
from mad_core.scorers.contract import OK, Scored
from mad_core.settings import Settings

INSERT_ROWS = 5_000
KEEP_ROWS = 500
EXTERNAL = "external"
"""The scorer of runs whose scores were made elsewhere and imported; no entry of the catalogue."""
FAILED_SUBSETS = "failed_subsets"
"""Where a run's record keeps the subsets that failed, with a sentence each."""


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset in the store, without its images."""

    id: str
    name: str
    source: str
    version: str
    card: Card
    problems: tuple[Problem, ...]
    images: int
    created: float


@dataclass(frozen=True)
class RunRequest:
    """What a person asks for: one scorer with one parameter set on subsets of one dataset.

    Parameters
    ----------
    dataset_id, scorer : str
    parameters : mapping
        Checked against the catalogue, every parameter present.
    subsets : tuple of str
        Empty = all.
    limit : int or None
        Test images a subset, stratified by level, drawn by ``seed``; None = all.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda:n"``.
    map_policy : {"all", "none", "on demand"}
    map_side : int
        Longest side of stored maps, pixels.
    """

    dataset_id: str
    scorer: str
    parameters: Mapping[str, Any]
    subsets: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    map_policy: str = "all"
    map_side: int = 256
    title: str = ""

    def digest(self, dataset_version: str) -> str:
        """The same for the same request; the title does not enter."""
        facts = {k: v for k, v in asdict(self).items() if k != "title"} | {"version": dataset_version}
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Run:
    """A run as the store has it."""

    id: str
    dataset_id: str
    dataset_version: str
    title: str
    scorer: str
    parameters: Mapping[str, Any]
    subsets: tuple[str, ...]
    image_limit: int | None
    seed: int
    device: str
    map_policy: str
    map_side: int
    request: str
    status: str
    done: int
    total: int
    error: str | None
    created: float
    started: float | None
    finished: float | None
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return self.status in ("queued", "running")

    @property
    def imported(self) -> bool:
        """Whether its scores were made elsewhere; such a run cannot be resumed or score further images."""
        return self.scorer == EXTERNAL

    @property
    def job_key(self) -> str:
        return f"run:{self.id}"


@dataclass(frozen=True)
class RunSubset:
    """What a run did on one subset: fit digest, seconds, facts of the fitted scorer."""

    subset: str
    fit: str | None
    seconds_fit: float
    seconds_score: float
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class StoredScore:
    """One image's result in full, as the image page shows it."""

    image_id: str
    subset: str
    score: float | None
    status: str
    reason: str | None
    distribution: np.ndarray | None
    detail: Mapping[str, Any]
    seconds: float
    map: MapRef | None


class Store:
    """Datasets, runs and scores in the database; anomaly maps beside it.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.queue = Queue(self.database)
        self.maps = MapStore(settings.maps)
        self._load_dataset = lru_cache(maxsize=8)(self._read_dataset)
        self._as_named: dict[str, Dataset] = {}

    # -- datasets -------------------------------------------------------------------------------

    def add_dataset(self, imported: Imported) -> str:
        """Keep an imported dataset and return its id.

        The same source with the same content keeps its id, its name and its edited card; only the
        problems are renewed. Changed content is a dataset of its own, beside the old one.
        """
        dataset = imported.dataset
        digest = hashlib.blake2b(f"{dataset.source}\0{dataset.version}".encode(), digest_size=6).hexdigest()
        problems = [p.to_json() for p in imported.problems]
        with self.database.write() as connection:
            if connection.execute(sa.select(datasets.c.id).where(datasets.c.id == digest)).scalar():
                connection.execute(datasets.update().where(datasets.c.id == digest).values(problems=problems))
                self._update_files(connection, digest, dataset)
                return digest
            connection.execute(
                datasets.insert().values(
                    id=digest,
                    name=self._free_name(connection, dataset.name),
                    source=dataset.source,
                    version=dataset.version,
                    card=dataset.card.to_json(),
                    problems=problems,
                    images=len(dataset.table),
                    created=time.time(),
                )
            )
            rows = _plain(dataset.table)
            for row, position in zip(rows, range(len(rows)), strict=True):
                row |= {"dataset_id": digest, "position": position}
            for start in range(0, len(rows), INSERT_ROWS):
                connection.execute(images.insert(), rows[start : start + INSERT_ROWS])
        return digest

    def _update_files(self, connection: Connection, dataset_id: str, dataset: Dataset) -> None:
        """Files may have moved (another extraction folder) and masks come or gone while the images stayed."""
        places = sa.select(images.c.image_id, images.c.path, images.c.mask_path)
        stored = {row.image_id: row for row in connection.execute(places.where(images.c.dataset_id == dataset_id))}
        changed = [
            {"b_id": row["image_id"], "path": row["path"], "mask_path": row["mask_path"]}
            for row in _plain(dataset.table)
            if (row["path"], row["mask_path"]) != tuple(stored[row["image_id"]])[1:]
        ]
        if changed:
            statement = images.update().where(
                images.c.dataset_id == dataset_id, images.c.image_id == sa.bindparam("b_id")
            )
            connection.execute(statement, changed)
            self._load_dataset.cache_clear()

    def _free_name(self, connection: Connection, name: str) -> str:
        taken = set(connection.execute(sa.select(datasets.c.name)).scalars())
        number, free = 2, name[:190]
        while free in taken:
            free, number = f"{name[:190]} ({number})", number + 1
        return free

    def datasets(self) -> list[DatasetInfo]:
        """Every dataset, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(datasets).order_by(datasets.c.created)).mappings().all()
        return [_dataset_info(row) for row in rows]

    def dataset_info(self, dataset_id: str) -> DatasetInfo:
        """One dataset without its images.

        Raises
        ------
        NotFoundError
        """
        with self.database.read() as connection:
            row = connection.execute(sa.select(datasets).where(datasets.c.id == dataset_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"No dataset has the id '{dataset_id}'; it may have been deleted.")
        return _dataset_info(row)

    def dataset(self, dataset_id: str) -> Dataset:
        """One dataset with its images; its table is cached and must not be changed.

        Raises
        ------
        NotFoundError
        """
        info, loaded = self.dataset_info(dataset_id), self._load_dataset(dataset_id)
        if (info.name, info.card) == (loaded.name, loaded.card):
            return loaded
        known = self._as_named.get(dataset_id)
        if known is None or known.table is not loaded.table or (known.name, known.card) != (info.name, info.card):
            known = replace(loaded, name=info.name, card=info.card)
            self._as_named = {dataset_id: known}  # the last one only: a table belongs to one dataset
        return known

    def _read_dataset(self, dataset_id: str) -> Dataset:
        info = self.dataset_info(dataset_id)
        columns = [images.c[name] for name in COLUMNS]
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(*columns).where(images.c.dataset_id == dataset_id).order_by(images.c.position)
            ).all()
        values = zip(*rows, strict=True) if rows else ((),) * len(columns)
        table = pd.DataFrame(
            {name: pd.Series(column, dtype=COLUMNS[name]) for name, column in zip(COLUMNS, values, strict=True)}
        )
        return Dataset(info.name, table, info.card, info.source)

    def image(self, dataset_id: str, image_id: str) -> Mapping[str, Any]:
        """One row of the table of images, straight from the database.

        Raises
        ------
        NotFoundError
        """
        with self.database.read() as connection:
            row = (
                connection.execute(
                    sa.select(images).where(images.c.dataset_id == dataset_id, images.c.image_id == image_id)
                )
                .mappings()
                .one_or_none()
            )
        if row is None:
            raise NotFoundError(f"Image '{image_id}' is not in dataset '{dataset_id}'.")
        return dict(row)

    def update_card(self, dataset_id: str, card: Card) -> None:
        """Replace the card (level names and meanings, rubric); scores are untouched."""
        with self.database.write() as connection:
            connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(card=card.to_json()))

    def rename_dataset(self, dataset_id: str, name: str) -> None:
        """Give a dataset another name.

        Raises
        ------
        InputError
            If the name is empty, longer than 190 characters or taken.
        """
        name = name.strip()
        if not 0 < len(name) <= 190:
            raise InputError("A dataset's name has 1 to 190 characters.")
        with self.database.write() as connection:
            taken = connection.execute(
                sa.select(datasets.c.id).where(datasets.c.name == name, datasets.c.id != dataset_id)
            ).scalar()
            if taken:
                raise InputError(f"Another dataset is already called '{name}'.")
            connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(name=name))

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset with its runs, scores, maps and studies; image files the user owns stay.

        Raises
        ------
        InputError
            If a run or a study on it is still going.
        """
        self._end_studies(dataset_id)
        for run in self.runs(dataset_id):
            self.delete_run(run.id)
        unused = self._imports_by_dataset()[self.dataset_info(dataset_id).id]
        with self.database.write() as connection:
            connection.execute(studies.delete().where(studies.c.dataset_id == dataset_id))
            connection.execute(images.delete().where(images.c.dataset_id == dataset_id))
            connection.execute(datasets.delete().where(datasets.c.id == dataset_id))
        for folder in (self.settings.thumbnails, self.settings.studies):
            shutil.rmtree(folder / dataset_id, ignore_errors=True)
        self._load_dataset.cache_clear()
        for folder in unused.difference(*self._imports_by_dataset().values()):
            remove_tree(folder)

    def _end_studies(self, dataset_id: str, run_id: str | None = None) -> None:
        """Take a dataset's studies, or those made of one run, out of the queue; one being done is in the way."""
        query = sa.select(studies.c.id, studies.c.runs).where(studies.c.dataset_id == dataset_id)
        with self.database.read() as connection:
            found = [row.id for row in connection.execute(query) if run_id is None or run_id in row.runs]
        jobs = [job for study_id in found if (job := self.queue.active_for(study_key(study_id)))]
        if any(job.status == "running" for job in jobs):
            of = "on this dataset" if run_id is None else "of this run"
            raise InputError(f"A study {of} is still going; cancel it first.")
        for job in jobs:
            self.queue.request_cancel(job.id)

    def disk_use(self, dataset_id: str) -> int:
        """Bytes kept here for a dataset: maps of its runs, what studies keep, thumbnails, its unpacked archive."""
        made_of = [run.id for run in self.runs(dataset_id)]
        folders = [self.settings.thumbnails / dataset_id, *self._imports_by_dataset().get(dataset_id, ())]
        folders += [self.settings.studies / owner for owner in (dataset_id, *made_of)]
        files = (f for folder in folders for f in folder.rglob("*") if f.is_file())
        return sum(f.stat().st_size for f in files) + sum(map(self.maps.disk_use, made_of))

    def _imports_by_dataset(self) -> dict[str, set[Path]]:
        """Folders of uploaded and of unpacked archives that each dataset comes from."""
        root = self.settings.imports.resolve()
        some_image = sa.select(images.c.path).where(images.c.dataset_id == datasets.c.id).limit(1).scalar_subquery()
        with self.database.read() as connection:
            rows = connection.execute(sa.select(datasets.c.id, datasets.c.source, some_image)).all()
        found: dict[str, set[Path]] = {}
        for dataset_id, *places in rows:
            real = [Path(p).resolve() for p in places if p]
            found[dataset_id] = {
                root / p.relative_to(root).parts[0] for p in real if p.is_relative_to(root) and p != root
            }
        return found

    # -- runs -----------------------------------------------------------------------------------

    def request_run(self, request: RunRequest, *, force: bool = False) -> Run:
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
        dataset = self.dataset(request.dataset_id)
        request = replace(request, subsets=tuple(sorted(set(request.subsets) or dataset.subsets)))
        chosen = self.test_images(dataset, request.subsets, request.limit, request.seed)
        if chosen.empty:
            raise InputError(f"Dataset '{dataset.name}' has no test images to score.")
        digest = request.digest(dataset.version)
        with self.database.write() as connection:
            found = connection.execute(sa.select(runs.c.id).where(runs.c.request == digest)).scalar()
            run_id = found or _insert_run(connection, request, dataset.version, digest, len(chosen), "queued")
        run = self.run(run_id)
        if force and not run.active:
            self._drop_scores(run_id)
            run = self.run(run_id)
        if found is None or run.done < run.total or force:
            self.resume_run(run_id)
        return self.run(run_id)

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
        dataset = self.dataset(request.dataset_id)
        request = replace(request, subsets=tuple(sorted(set(request.subsets))))
        digest, total = request.digest(dataset.version), sum(map(len, results.values()))
        with self.database.write() as connection:
            found = connection.execute(sa.select(runs.c.id).where(runs.c.request == digest)).scalar()
            run_id = found or _insert_run(connection, request, dataset.version, digest, total, "cancelled")
        for subset, entries in results.items():
            for start in range(0, len(entries), KEEP_ROWS):
                self.add_scores(run_id, subset, [(one, None) for one in entries[start : start + KEEP_ROWS]])
        self.update_run(run_id, status="done", finished=time.time(), record=dict(record))
        return self.run(run_id)

    def resume_run(self, run_id: str, *, retry_failed: bool = False) -> int:
        """Queue a run again and return the job's id; scores it has are kept.

        With ``retry_failed`` images that failed lose their entry first, so they are scored again.

        Raises
        ------
        InputError
            If its scores were made elsewhere.
        """
        run = self.run(run_id)
        if run.imported:
            raise InputError(f"The scores of run '{run.title}' were made elsewhere; import its files again instead.")
        if retry_failed and not run.active:
            with self.database.write() as connection:
                keep_dropped(connection, run_id)
                connection.execute(scores.delete().where(scores.c.run_id == run_id, scores.c.status != OK))
            self.count_done(run_id)
        job = self.queue.submit(
            "run", {"run": run_id}, key=run.job_key, device=IN_PROCESS if catalog.is_local(run.scorer) else run.device
        )
        with self.database.write() as connection:
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id, runs.c.status.not_in(("queued", "running")))
                .values(status="queued", error=None, finished=None)
            )
        return job

    def cancel_run(self, run_id: str) -> None:
        """Stop a run after its current batch; what it scored is kept."""
        job = self.queue.active_for(self.run(run_id).job_key)
        if job is not None:
            self.queue.request_cancel(job.id)
        if job is None or job.status == "queued":
            with self.database.write() as connection:
                connection.execute(
                    runs.update()
                    .where(runs.c.id == run_id, runs.c.status.in_(("queued", "running")))
                    .values(status="cancelled", finished=time.time())
                )

    def delete_run(self, run_id: str) -> None:
        """Delete a run, its scores, its maps and what studies kept of it; what they found stays.

        Raises
        ------
        InputError
            If it or a study made of it is still going.
        """
        run = self.run(run_id)
        job = self.queue.active_for(run.job_key)
        if job is not None and job.status == "running":
            raise InputError(f"Run '{run.title}' is still going; cancel it first.")
        self._end_studies(run.dataset_id, run_id)
        if job is not None:
            self.queue.request_cancel(job.id)
        with self.database.write() as connection:
            for table in (scores, run_subsets):
                connection.execute(table.delete().where(table.c.run_id == run_id))
            connection.execute(runs.delete().where(runs.c.id == run_id))
        self._delete_kept(run_id)

    def rename_run(self, run_id: str, title: str) -> None:
        title = title.strip()
        if not 0 < len(title) <= 190:
            raise InputError("A run's title has 1 to 190 characters.")
        with self.database.write() as connection:
            connection.execute(runs.update().where(runs.c.id == run_id).values(title=title))

    def runs(self, dataset_id: str | None = None) -> list[Run]:
        """Runs, oldest first; of one dataset or of all."""
        query = sa.select(runs).order_by(runs.c.created, runs.c.id)
        if dataset_id is not None:
            query = query.where(runs.c.dataset_id == dataset_id)
        with self.database.read() as connection:
            return [_run(row) for row in connection.execute(query).mappings().all()]

    def run(self, run_id: str) -> Run:
        """One run.

        Raises
        ------
        NotFoundError
        """
        with self.database.read() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"There is no run '{run_id}'; it may have been deleted.")
        return _run(row)

    def update_run(self, run_id: str, **values: Any) -> None:
        """Set columns of a run (status, record, started, finished, error); used by the worker."""
        with self.database.write() as connection:
            connection.execute(runs.update().where(runs.c.id == run_id).values(**values))

    def run_subsets(self, run_id: str) -> list[RunSubset]:
        columns = [c for c in run_subsets.c if c.name != "run_id"]
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(*columns).where(run_subsets.c.run_id == run_id).order_by(run_subsets.c.subset)
            )
            return [RunSubset(**row) for row in rows.mappings()]

    def save_run_subset(self, run_id: str, entry: RunSubset) -> None:
        with self.database.write() as connection:
            connection.execute(
                run_subsets.delete().where(run_subsets.c.run_id == run_id, run_subsets.c.subset == entry.subset)
            )
            connection.execute(run_subsets.insert().values(run_id=run_id, **asdict(entry)))

    def test_images(
        self, dataset: Dataset, subsets: Sequence[str] = (), limit: int | None = None, seed: int = 0
    ) -> pd.DataFrame:
        """The test images a run scores, in table order.

        ``limit`` takes that many a subset, spread evenly over the levels (a level with fewer gives
        all it has), drawn by ``seed`` and independent of the other subsets.
        """
        parts = [
            _stratified(dataset.select(split="test", subset=name), limit, seed) for name in subsets or dataset.subsets
        ]
        return pd.concat(parts) if parts else dataset.table.iloc[:0]

    # -- scores ---------------------------------------------------------------------------------

    def scored_ids(self, run_id: str, subset: str) -> set[str]:
        """Images of a subset that have an entry, failed ones included."""
        with self.database.read() as connection:
            query = sa.select(scores.c.image_id).where(scores.c.run_id == run_id, scores.c.subset == subset)
            return set(connection.execute(query).scalars())

    def add_scores(self, run_id: str, subset: str, results: Iterable[tuple[Scored, MapRef | None]]) -> None:
        """Write a batch of results in one transaction; an image that has an entry keeps it."""
        now = time.time()
        rows = [
            {
                "run_id": run_id,
                "image_id": scored.image_id,
                "subset": subset,
                "score": scored.score,
                "status": scored.status,
                "reason": scored.reason,
                "distribution": _pack_distribution(scored.distribution),
                "detail": dict(scored.detail),
                "seconds": scored.seconds,
                "map_row": ref.row if ref else None,
                "map_height": ref.height if ref else None,
                "map_width": ref.width if ref else None,
                "map_scale": ref.scale if ref else None,
                "created": now,
            }
            for scored, ref in results
        ]
        if not rows:
            return
        with self.database.write() as connection:
            ids = [row["image_id"] for row in rows]
            there = set(
                connection.execute(
                    sa.select(scores.c.image_id).where(scores.c.run_id == run_id, scores.c.image_id.in_(ids))
                ).scalars()
            )
            fresh = [row for row in rows if row["image_id"] not in there]
            if fresh:
                connection.execute(scores.insert(), fresh)
                # Added, not counted: a count of all rows each batch is quadratic in the images of a run.
                connection.execute(
                    runs.update()
                    .where(runs.c.id == run_id)
                    .values(done=runs.c.done + len({r["image_id"] for r in fresh}))
                )

    def set_map(self, run_id: str, image_id: str, ref: MapRef) -> None:
        """Record where an image's map lies (maps made on demand)."""
        with self.database.write() as connection:
            connection.execute(
                scores.update()
                .where(scores.c.run_id == run_id, scores.c.image_id == image_id)
                .values(map_row=ref.row, map_height=ref.height, map_width=ref.width, map_scale=ref.scale)
            )

    def scores(self, run_id: str) -> pd.DataFrame:
        """Scores of a run so far.

        Returns
        -------
        DataFrame
            Columns ``image_id``, ``subset``, ``score`` (float64, NaN where absent), ``status``,
            ``reason``, ``seconds``, ``created``, in the order in which they came.
        """
        names = ["image_id", "subset", "score", "status", "reason", "seconds", "created"]
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(*(scores.c[n] for n in names)).where(scores.c.run_id == run_id).order_by(scores.c.created)
            ).all()
        table = pd.DataFrame(rows, columns=names)
        return table.astype({"score": "float64", "seconds": "float64", "created": "float64"})

    def score(self, run_id: str, image_id: str) -> StoredScore | None:
        """One image's result in full, or None where the run has none yet."""
        with self.database.read() as connection:
            row = (
                connection.execute(sa.select(scores).where(scores.c.run_id == run_id, scores.c.image_id == image_id))
                .mappings()
                .one_or_none()
            )
        return _stored_score(row) if row is not None else None

    def read_map(self, run: Run, image_id: str) -> np.ndarray | None:
        """The stored anomaly map in raw units, float32 of shape (H, W), or None where there is none."""
        stored = self.score(run.id, image_id)
        if stored is None or stored.map is None:
            return None
        return self.maps.read(run.id, stored.subset, stored.map, run.map_side)

    def map_refs(self, run_id: str, subset: str) -> dict[str, MapRef]:
        """Where the stored maps of one run and subset lie, by image id."""
        columns = [scores.c[n] for n in ("image_id", "map_row", "map_height", "map_width", "map_scale")]
        query = sa.select(*columns).where(
            scores.c.run_id == run_id, scores.c.subset == subset, scores.c.map_row.is_not(None)
        )
        with self.database.read() as connection:
            return {
                row.image_id: MapRef(row.map_row, row.map_height, row.map_width, row.map_scale)
                for row in connection.execute(query.order_by(scores.c.map_row))
            }

    def count_done(self, run_id: str) -> int:
        """Renew and return the number of images that have an entry."""
        with self.database.write() as connection:
            done = connection.execute(_count(run_id)).scalar_one()
            connection.execute(runs.update().where(runs.c.id == run_id).values(done=done))
        return done

    def _drop_scores(self, run_id: str) -> None:
        with self.database.write() as connection:
            for table in (scores, run_subsets, cuts):  # cuts go with the scores that they were placed on
                connection.execute(table.delete().where(table.c.run_id == run_id))
            connection.execute(runs.update().where(runs.c.id == run_id).values(done=0, status="cancelled"))
        self._delete_kept(run_id)

    def _delete_kept(self, run_id: str) -> None:
        """Delete what lies beside the database for a run: its maps, and what studies kept of it."""
        self.maps.delete(run_id)
        shutil.rmtree(self.settings.studies / run_id, ignore_errors=True)

    def close(self) -> None:
        self.database.close()


def study_key(study_id: str) -> str:
    """Key of a study's jobs in the queue."""
    return f"study:{study_id}"


def _insert_run(connection: Connection, request: RunRequest, version: str, digest: str, total: int, status: str) -> str:
    """Write a new run and return its id."""
    run_id = secrets.token_hex(4)
    connection.execute(
        runs.insert().values(
            id=run_id,
            dataset_id=request.dataset_id,
            dataset_version=version,
            title=request.title or request.scorer,
            scorer=request.scorer,
            parameters=dict(request.parameters),
            subsets=list(request.subsets),
            image_limit=request.limit,
            seed=request.seed,
            device=request.device,
            map_policy=request.map_policy,
            map_side=request.map_side,
            request=digest,
            status=status,
            done=0,
            total=total,
            created=time.time(),
            record={},
        )
    )
    return run_id


def _count(run_id: str) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(scores).where(scores.c.run_id == run_id)


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries of plain Python values, missing text as None."""
    columns = {name: table[name].tolist() for name in COLUMNS}
    for name in ("defect", "mask_path"):
        columns[name] = [v if isinstance(v, str) else None for v in columns[name]]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _stratified(rows: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    if limit is None or len(rows) <= limit:
        return rows
    groups = [np.flatnonzero(rows["level"].to_numpy() == level) for level in sorted(rows["level"].unique())]
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(group) for group in groups]
    # One round takes one image of every level that still has some, until the limit is reached.
    rounds = max(len(group) for group in shuffled)
    order = [group[i] for i in range(rounds) for group in shuffled if i < len(group)]
    return rows.iloc[np.sort(order[:limit])]


def _pack_distribution(distribution: np.ndarray | None) -> bytes | None:
    return None if distribution is None else np.asarray(distribution, dtype="<f8").tobytes()


def _dataset_info(row: Mapping[Any, Any]) -> DatasetInfo:
    return DatasetInfo(
        **{k: row[k] for k in ("id", "name", "source", "version", "images", "created")},
        card=Card.from_json(row["card"]),
        problems=tuple(Problem(**p) for p in row["problems"]),
    )


def _run(row: Mapping[Any, Any]) -> Run:
    return Run(**{**row, "subsets": tuple(row["subsets"])})


def _stored_score(row: Mapping[Any, Any]) -> StoredScore:
    ref = None
    if row["map_row"] is not None:
        ref = MapRef(row["map_row"], row["map_height"], row["map_width"], row["map_scale"])
    raw = row["distribution"]
    return StoredScore(
        **{k: row[k] for k in ("image_id", "subset", "score", "status", "reason", "detail", "seconds")},
        distribution=None if raw is None else np.frombuffer(raw, dtype="<f8"),
        map=ref,
    )
