"""Do a job in this process, through the same store and code as the worker: for the CLI and notebooks."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from mad_core.errors import CancelledError, WorkError
from mad_core.runs.queue import IN_PROCESS, Job
from mad_core.runs.store import Store
from mad_core.runs.worker import Worker

FOLLOW_SECONDS = 0.5


def do_here(store: Store, job_id: int, device: str, on_progress: Callable[[dict[str, Any]], None]) -> Job:
    """Do one queued job now and return it; if another worker already has it, follow that one to its end.

    Raises
    ------
    CancelledError
        If it was cancelled, here by Ctrl-C or from elsewhere.
    WorkError
        If it failed; the sentence says why.
    """
    worker = Worker(store.settings, device, on_progress)
    try:
        worker.recover()
        with _interruptible(worker):
            job = _do_or_follow(worker, store, job_id, on_progress)
    except KeyboardInterrupt:
        raise CancelledError("Stopped waiting; the work goes on where it is being done.") from None
    finally:
        worker.close()
    if job.status == "failed":
        raise WorkError(job.error or "The work failed.")
    if job.status == "cancelled":
        raise CancelledError("Cancelled; what was scored is kept, and the same command goes on from there.")
    return job


@contextlib.contextmanager
def _interruptible(worker: Worker) -> Iterator[None]:
    """The first Ctrl-C cancels the job after its current batch; one without a job, or a second, interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        if not worker.interrupt():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _do_or_follow(worker: Worker, store: Store, job_id: int, on_progress: Callable[[dict[str, Any]], None]) -> Job:
    while True:
        claimed = store.queue.claim(worker.id, (*worker.devices, IN_PROCESS), job_id=job_id)
        if claimed is not None:
            return worker.do(claimed)
        job = store.queue.job(job_id)
        if not job.active:
            return job
        on_progress(dict(job.progress))
        store.queue.requeue_lost()
        time.sleep(FOLLOW_SECONDS)
