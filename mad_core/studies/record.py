"""Studies in the store: asked for, waiting, at work, found. The same request again is the stored finding."""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mad_core.errors import InputError, NotFoundError
from mad_core.runs.jobs import StudyJob, submit
from mad_core.runs.queue import Job
from mad_core.runs.store import Run, Store
from mad_core.studies.finding import Finding, finding_from_json
from mad_core.studies.study import study

ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class StudyRequest:
    """What a person asks for.

    Parameters
    ----------
    dataset_id : str
    study : str
        Its id in the catalogue.
    runs : tuple of str
        Ids of runs on that dataset; their order does not matter.
    parameters : mapping
        Those that differ from their defaults are enough.
    quick : bool
        A stratified sample instead of everything.
    seed : int
    """

    dataset_id: str
    study: str
    runs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] | None = None
    quick: bool = True
    seed: int = 0


@dataclass(frozen=True)
class StudyRecord:
    """A study as the store has it; ``finding`` is None until it is done for the first time."""

    id: str
    dataset_id: str
    dataset_version: str
    study: str
    parameters: Mapping[str, Any]
    runs: tuple[str, ...]
    quick: bool
    seed: int
    request: str
    status: str
    error: str | None
    finding: Finding | None
    created: float
    finished: float | None

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def job_key(self) -> str:
        return StudyJob(self.id).key


def request_study(store: Store, request: StudyRequest, *, force: bool = False, device: str = "auto") -> StudyRecord:
    """The study of this request: the stored one if it was asked for before, else a new one, queued.

    A stored one that was cancelled or failed is queued again. With ``force`` one that is done is done again; its
    finding stays until the new one is there.

    Raises
    ------
    NotFoundError
        If there is no such dataset, run or study.
    InputError
        If a parameter does not fit, or a run is on another dataset.
    """
    request, stored = _resolve(store, request)
    if stored is None:
        stored = _insert(store, request)
    elif stored.active or (stored.status == "done" and not force):
        return stored
    store.studies.update(stored.id, status="queued", error=None, finished=None)
    submit(store.queue, StudyJob(stored.id), device=device)
    return read_study(store, stored.id)


def find_study(store: Store, request: StudyRequest) -> StudyRecord | None:
    """The stored study of this request, or None; nothing is queued.

    Raises
    ------
    NotFoundError, InputError
        As :func:`request_study`.
    """
    return _resolve(store, request)[1]


def read_study(store: Store, study_id: str) -> StudyRecord:
    """One study.

    Raises
    ------
    NotFoundError
    """
    records = _read(store, id=study_id)
    if not records:
        raise NotFoundError(f"There is no study '{study_id}' in the store; it may have been deleted.")
    return records[0]


def list_studies(store: Store, dataset_id: str | None = None, name: str | None = None) -> list[StudyRecord]:
    """Studies, oldest first; of one dataset, of one entry of the catalogue, or all."""
    wanted = {"dataset_id": dataset_id, "study": name}
    return _read(store, **{column: value for column, value in wanted.items() if value is not None})


def cancel_study(store: Store, study_id: str) -> None:
    """Stop a study; what its full mode has finished is kept by the study itself."""
    job = store.queue.active_for(read_study(store, study_id).job_key)
    if job is not None:
        store.queue.request_cancel(job.id)


def delete_study(store: Store, study_id: str) -> None:
    """Delete a study and its finding.

    Raises
    ------
    InputError
        If it is still going.
    """
    record = read_study(store, study_id)
    job = store.queue.active_for(record.job_key)
    if job is not None and job.status == "running":
        raise InputError(f"The study '{record.study}' is still going; cancel it first.")
    if job is not None:
        store.queue.request_cancel(job.id)
    store.studies.delete(study_id)


# -- for the process that does it -----------------------------------------------------------------


def begin_study(store: Store, study_id: str) -> None:
    store.studies.update(study_id, status="running", error=None, finished=None)


def keep_finding(store: Store, study_id: str, finding: Finding) -> None:
    """Write what was found; the study is then done."""
    store.studies.update(study_id, status="done", error=None, finding=finding.to_json(), finished=time.time())


# -- inside ---------------------------------------------------------------------------------------


def _resolve(store: Store, request: StudyRequest) -> tuple[StudyRequest, StudyRecord | None]:
    """The request, checked and in its one form, and the stored study of it."""
    info = study(request.study)
    runs = tuple(sorted(set(request.runs))) if info.least_runs else ()  # it looks at images alone
    request = replace(request, parameters=info.check(request.parameters or {}), runs=runs)
    records = _read(store, request=_digest(store, request))
    return request, records[0] if records else None


def _digest(store: Store, request: StudyRequest) -> str:
    """The same for the same request on the same scores by the same code: a run that goes on makes another one."""
    info = store.dataset_info(request.dataset_id)
    states = [_state(run, request.dataset_id) for run in map(store.run, request.runs)]
    facts = [
        request.dataset_id,
        info.version,
        request.study,
        study(request.study).code,
        dict(request.parameters or {}),
        states,
        request.quick,
        request.seed,
    ]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _state(run: Run, dataset_id: str) -> list[Any]:
    if run.dataset_id != dataset_id:
        raise InputError(f"Run '{run.title}' ({run.id}) is on another dataset than the study.")
    return [run.id, run.done, run.finished]


def _insert(store: Store, request: StudyRequest) -> StudyRecord:
    values: dict[str, Any] = {
        "id": secrets.token_hex(4),
        "dataset_id": request.dataset_id,
        "dataset_version": store.dataset_info(request.dataset_id).version,
        "study": request.study,
        "parameters": dict(request.parameters or {}),
        "runs": list(request.runs),
        "quick": request.quick,
        "seed": request.seed,
        "request": _digest(store, request),
        "status": "queued",
        "created": time.time(),
    }
    return read_study(store, store.studies.find_or_insert(values))


def _read(store: Store, **values: Any) -> list[StudyRecord]:
    return [_record(store, row) for row in store.studies.rows(**values)]


def _record(store: Store, row: Mapping[Any, Any]) -> StudyRecord:
    finding = finding_from_json(row["finding"]) if row["finding"] else None
    record = StudyRecord(**{**row, "runs": tuple(row["runs"]), "finding": finding})
    return _with_state_of(store.queue.latest_for(record.job_key), record) if record.active else record


def _with_state_of(job: Job | None, record: StudyRecord) -> StudyRecord:
    """A study that has not come to its end is what its job is: the job knows of workers that died."""
    if job is None or job.status == "done":  # it was left between two steps
        return replace(record, status="cancelled")
    error = job.error if job.status == "failed" else None
    return replace(record, status=job.status, error=error, finished=job.finished)
