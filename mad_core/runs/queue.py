"""The queue: anything long is a job; workers take jobs first in, first out.

A job belongs to a device (``"auto"`` = any). At most one job of a key is active. A running job
carries its worker's heartbeat; one whose worker is gone goes back to the queue.
"""

import hashlib
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.errors import InputError, NotFoundError
from mad_core.machine.process_identity import ProcessIdentity, this_machine, this_process
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import jobs, workers
from mad_core.settings import Settings

ACTIVE = ("queued", "running")
STALE_SECONDS = 15.0
"""A heartbeat that stands still for this long means that a worker of another machine is gone."""
FORGET_SECONDS = 3600.0
"""After this the row of a worker that is gone goes, too."""
MAX_ATTEMPTS = 5
IN_PROCESS = "process"
"""Device of jobs that only the process that asked can do: their scorer was declared in a notebook or script."""
MOST_ASKED = 100
"""Jobs of one browser session that are queued or at work at once."""
LONGEST_KEY = 80


class FullQueueError(InputError):
    """Who asks has as many jobs waiting as may be."""


@dataclass(frozen=True)
class Job:
    """One row of the queue."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    key: str
    device: str
    status: str
    cancel: bool
    attempts: int
    worker: str | None
    progress: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    created: float
    started: float | None
    heartbeat: float | None
    finished: float | None

    @property
    def active(self) -> bool:
        return self.status in ACTIVE


@dataclass(frozen=True)
class WorkerInfo:
    """A worker process and what its device is."""

    id: str
    host: str
    pid: int
    device: str
    facts: Mapping[str, Any]
    job: int | None
    started: float
    heartbeat: float
    machine: str | None = None
    ticks: int | None = None
    alive: bool = field(default=False)
    lost: bool = field(default=False)
    """Surely gone, so that its job can be given to another; one that is merely not seen to live may not be."""


def _nobody() -> None:
    """The command line and the worker ask for themselves."""


class Queue:
    """Jobs and workers in the store's database."""

    def __init__(self, database: Database, asker: Callable[[], str | None] = _nobody) -> None:
        self.database = database
        self.asker = asker
        """Who asks for jobs now, a browser session say; None where nobody needs to be held back."""
        self._asked: dict[str, set[int]] = {}
        self._beats: dict[str, tuple[float, float, bool]] = {}
        """Of each worker the last heartbeat, when it came by this process's own steady clock, and whether it followed
        another one."""

    # -- asking ---------------------------------------------------------------------------------

    def submit(
        self, kind: str, payload: Mapping[str, Any], *, key: str = "", device: str = "auto", quick: bool = False
    ) -> int:
        """Queue a job and return its id; an active job of the same key is returned instead of a second one.

        Raises
        ------
        FullQueueError
            If the one who asks has ``MOST_ASKED`` jobs that are queued or at work.
        """
        key = _short(key or uuid.uuid4().hex)
        with self.database.write() as connection:
            active = connection.execute(
                sa.select(jobs.c.id).where(jobs.c.key == key, jobs.c.status.in_(ACTIVE), jobs.c.cancel == 0)
            ).scalar()
            if active is not None:
                return active
            asker = self._admit(connection)
            inserted = connection.execute(
                jobs.insert().values(
                    kind=kind,
                    payload=dict(payload),
                    key=key,
                    device=device,
                    quick=int(quick),
                    status="queued",
                    cancel=0,
                    attempts=0,
                    progress={},
                    created=time.time(),
                )
            )
            job_id = int(inserted.inserted_primary_key[0])  # pyright: ignore[reportOptionalSubscript]
            if asker is not None:
                self._asked.setdefault(asker, set()).add(job_id)
            return job_id

    def _admit(self, connection: Connection) -> str | None:
        """Who asks; too many jobs of one session would keep everybody else waiting."""
        asker = self.asker()
        if asker is None:
            return None
        active = sa.select(jobs.c.id).where(jobs.c.status.in_(ACTIVE))
        there = set(connection.execute(active).scalars())
        self._asked = {name: left for name, ids in self._asked.items() if (left := ids & there)}
        if len(self._asked.get(asker, ())) >= MOST_ASKED:
            raise FullQueueError(
                f"{MOST_ASKED} jobs of this session are waiting already; ask for more when some are done."
            )
        return asker

    def job(self, job_id: int) -> Job:
        """One job.

        Raises
        ------
        NotFoundError
        """
        rows = self._jobs(jobs.c.id == job_id)
        if not rows:
            raise NotFoundError(f"There is no job {job_id}.")
        return rows[0]

    def any_job(self) -> bool:
        """Whether anything was ever queued."""
        with self.database.read() as connection:
            return connection.execute(sa.select(jobs.c.id).limit(1)).scalar() is not None

    def active(self) -> list[Job]:
        """Running jobs, then queued ones, in the order in which they will be done."""
        return sorted(self._jobs(jobs.c.status.in_(ACTIVE)), key=lambda j: (j.status != "running", j.id))

    def recent(self, seconds: float) -> list[Job]:
        """Jobs that ended in the last ``seconds``, newest first."""
        ended = self._jobs(jobs.c.finished > time.time() - seconds)
        return sorted(ended, key=lambda j: -(j.finished or 0))

    def active_for(self, key: str) -> Job | None:
        rows = self._jobs(sa.and_(jobs.c.key == _short(key), jobs.c.status.in_(ACTIVE)))
        return rows[-1] if rows else None

    def latest_for(self, key: str) -> Job | None:
        rows = self._jobs(jobs.c.key == _short(key))
        return max(rows, key=lambda j: j.id) if rows else None

    def request_cancel(self, job_id: int) -> None:
        """Ask a job to stop: a queued one is cancelled now, a running one after its current batch."""
        with self.database.write() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status == "queued")
                .values(status="cancelled", finished=time.time(), cancel=1)
            )
            connection.execute(jobs.update().where(jobs.c.id == job_id, jobs.c.status == "running").values(cancel=1))

    # -- working --------------------------------------------------------------------------------

    def claim(
        self, worker_id: str, devices: Sequence[str], *, job_id: int | None = None, quick: bool = False
    ) -> Job | None:
        """Take the oldest queued job for these devices (or exactly ``job_id``), or None.

        ``quick`` takes only jobs that may be served between the batches of a long one. Quick jobs
        go first.
        """
        conditions = [jobs.c.status == "queued", jobs.c.device.in_(devices)]
        if job_id is not None:
            conditions.append(jobs.c.id == job_id)
        if quick:
            conditions.append(jobs.c.quick == 1)
        oldest = sa.select(jobs.c.id).where(*conditions).order_by(jobs.c.quick.desc(), jobs.c.id).limit(1)
        with self.database.read() as connection:  # an idle worker does not take the write lock
            if connection.execute(sa.select(jobs.c.id).where(*conditions).limit(1)).scalar() is None:
                return None
        with self.database.write_work() as connection:
            claimed = connection.execute(oldest).scalar()
            if claimed is None:
                return None
            now = time.time()
            connection.execute(
                jobs.update()
                .where(jobs.c.id == claimed)
                .values(status="running", worker=worker_id, started=now, heartbeat=now, attempts=jobs.c.attempts + 1)
            )
        return self.job(claimed)

    def beat(self, job_id: int, worker_id: str, progress: Mapping[str, Any]) -> bool:
        """Write a running job's heartbeat and progress; True if the job should stop.

        It should stop when a person cancelled it or when it no longer belongs to this worker.
        """
        with self.database.write_work() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.worker == worker_id, jobs.c.status == "running")
                .values(heartbeat=time.time(), progress=dict(progress))
            )
            row = connection.execute(
                sa.select(jobs.c.cancel, jobs.c.worker, jobs.c.status).where(jobs.c.id == job_id)
            ).one_or_none()
        return row is None or bool(row.cancel) or row.worker != worker_id or row.status != "running"

    def finish(
        self,
        job_id: int,
        worker_id: str,
        status: str,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """End a job as ``done``, ``failed`` or ``cancelled``; ignored if it went to another worker."""
        with self.database.write_work() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.worker == worker_id, jobs.c.status == "running")
                .values(status=status, result=result, error=error, finished=time.time())
            )

    def release(self, job_id: int, worker_id: str) -> None:
        """Put a job back into the queue (the worker is being stopped, nobody cancelled the job)."""
        with self.database.write_work() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.worker == worker_id, jobs.c.status == "running")
                .values(status="queued", worker=None, attempts=jobs.c.attempts - 1)
            )

    # -- workers --------------------------------------------------------------------------------

    def register(self, worker_id: str, device: str, facts: Mapping[str, Any]) -> None:
        now, me = time.time(), this_process()
        row = {"host": socket.gethostname(), "device": device, "facts": dict(facts), **asdict(me)}
        with self.database.write_work() as connection:
            connection.execute(workers.insert().values(id=worker_id, started=now, heartbeat=now, **row))

    def beat_worker(self, worker_id: str, job_id: int | None, facts: Mapping[str, Any]) -> None:
        with self.database.write_work() as connection:
            connection.execute(
                workers.update()
                .where(workers.c.id == worker_id)
                .values(heartbeat=time.time(), job=job_id, facts=dict(facts))
            )

    def unregister(self, worker_id: str) -> None:
        with self.database.write_work() as connection:
            connection.execute(workers.delete().where(workers.c.id == worker_id))

    def workers(self) -> list[WorkerInfo]:
        """Workers that were not forgotten yet, with whether each still lives.

        On this machine a worker lives while its process does, and is at work or holds its device. Elsewhere it lives
        while its heartbeat changes, as this process sees it; no two clocks are compared, but for a first guess.
        """
        with self.database.read() as connection:
            rows = connection.execute(sa.select(workers).order_by(workers.c.started)).mappings().all()
        return [self._judged(WorkerInfo(**row)) for row in rows]

    def _judged(self, worker: WorkerInfo) -> WorkerInfo:
        still, followed = self._still(worker)
        if worker.machine is None or worker.machine != this_machine() or worker.ticks is None:
            gone = worker.machine is not None and _boot(worker.machine) != _boot(this_machine())
            gone = gone and worker.host == socket.gethostname()  # this machine, before it was started again
            fresh = followed or worker.heartbeat > time.time() - STALE_SECONDS
            alive = not gone and fresh and still < STALE_SECONDS
            return replace(worker, alive=alive, lost=gone or still >= STALE_SECONDS)
        process = ProcessIdentity(worker.machine, worker.pid, worker.ticks)
        lock = device_lock(self.database.settings, worker.device)
        alive = process.lives() and (still < 4 * STALE_SECONDS or process.holds_lock(lock))
        return replace(worker, alive=alive, lost=not alive)

    def _still(self, worker: WorkerInfo) -> tuple[float, bool]:
        """For how many seconds a worker's heartbeat stands still, as seen from here; and whether it ever moved."""
        now, last = time.monotonic(), self._beats.get(worker.id)
        if last is None or last[0] != worker.heartbeat:
            last = self._beats[worker.id] = worker.heartbeat, now, last is not None
        return now - last[1], last[2]

    def requeue_lost(self) -> list[int]:
        """Give jobs of workers that are gone back to the queue; after ``MAX_ATTEMPTS`` they fail.

        Returns
        -------
        list of int
            The jobs that changed.
        """
        running = self._jobs(jobs.c.status == "running")
        workers = self.workers()
        self._forget([w.id for w in workers if w.lost and w.heartbeat < time.time() - FORGET_SECONDS])
        kept = {w.id for w in workers if not w.lost}
        lost = [j for j in running if j.worker not in kept]
        for job in lost:
            values: dict[str, Any] = {"status": "queued", "worker": None}
            if job.cancel:
                values = {"status": "cancelled", "finished": time.time()}
            elif job.attempts >= MAX_ATTEMPTS:
                message = f"The worker died {job.attempts} times at this job; see the logs folder for the reason."
                values = {"status": "failed", "finished": time.time(), "error": message}
            elif job.device == IN_PROCESS:
                message = "The notebook or script that knows its scorer ended; run it there again."
                values = {"status": "failed", "finished": time.time(), "error": message}
            with self.database.write_work() as connection:
                connection.execute(
                    jobs.update()
                    .where(jobs.c.id == job.id, jobs.c.status == "running", jobs.c.worker == job.worker)
                    .values(**values)
                )
        return [j.id for j in lost]

    def _forget(self, worker_ids: Sequence[str]) -> None:
        if worker_ids:
            with self.database.write_work() as connection:
                connection.execute(workers.delete().where(workers.c.id.in_(worker_ids)))

    def fail_waiting(self, devices: Sequence[str], error: str) -> None:
        """End the queued jobs of devices that cannot be had."""
        with self.database.write() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.status == "queued", jobs.c.device.in_(devices))
                .values(status="failed", error=error, finished=time.time())
            )

    def _jobs(self, condition: Any) -> list[Job]:
        columns = [c for c in jobs.c if c.name != "quick"]
        with self.database.read() as connection:
            rows = connection.execute(sa.select(*columns).where(condition).order_by(jobs.c.id)).mappings().all()
        return [Job(**{**row, "cancel": bool(row["cancel"])}) for row in rows]


def _short(key: str) -> str:
    """A key that fits its column: the end of a long one, a path say, is digested."""
    if len(key) <= LONGEST_KEY:
        return key
    return key[:40] + hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def device_lock(settings: Settings, device: str) -> Path:
    """The file that the worker of a device holds a lock on."""
    return settings.home / f"worker-{device.replace(':', '')}.lock"


def _boot(machine: str) -> str:
    return machine.partition(" ")[0]
