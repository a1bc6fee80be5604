"""The worker: a process of its own, one per device, that takes jobs from the queue and does them.

It owns its device: a lock on the device's file makes a second worker on the same device leave at
once. A heartbeat thread writes progress twice a second and reads whether the job should stop.
"""

import contextlib
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from filelock import FileLock, Timeout

from mad_core.errors import CancelledError, MadError
from mad_core.extras import explained
from mad_core.machine import devices
from mad_core.machine.process_identity import ProcessIdentity, identity_of
from mad_core.paths import keep_private
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import RunJob, handler_of
from mad_core.runs.queue import Job, device_lock
from mad_core.runs.store import Store
from mad_core.runs.tidying import tidy
from mad_core.runs.watching import WatchedFolders
from mad_core.settings import Settings

IDLE_SECONDS = 0.2
BEAT_SECONDS = 0.5
LOST_SECONDS = 5.0
WATCH_SECONDS = 1.0
TIDY_SECONDS = 3600.0
NICENESS = 15
"""Of a worker beside a web server: the page that shows the work comes before the work."""
STORE_SECONDS = 1.0
"""Pause before a store that could not be written (full disk, busy database) is tried again."""
UNANSWERED_SECONDS = 30.0
"""A job that does not answer a cancel for this long is ended with its process."""
ALREADY_SERVED = 75
"""Exit status of a worker whose device has one, for the app that started it."""

log = logging.getLogger("mad.worker")


def _silent(progress: dict[str, Any]) -> None:
    """Tell nobody."""


class Worker:
    """Takes jobs for one device and does them, one after another.

    Parameters
    ----------
    settings : Settings
    device : str
        As asked for; resolved to a torch device here.
    on_progress : callable
        Gets the current job's progress twice a second, in the heartbeat's thread.

    Raises
    ------
    UnavailableError
        If the device is not on this machine.
    """

    def __init__(
        self, settings: Settings, device: str = "auto", on_progress: Callable[[dict[str, Any]], None] = _silent
    ) -> None:
        self.settings = settings
        self.on_progress = on_progress
        self.device = devices.resolve(device)
        self.store = Store(settings)
        self.id = uuid.uuid4().hex
        self.stopping = threading.Event()
        self.watched = WatchedFolders(self.store)
        self._closed = threading.Event()
        self._at_work: tuple[Control, ...] = ()  # a job, and behind it the quick one that it lets in
        self._ended: tuple[Job, Control, tuple[str, dict[str, Any] | None, str | None]] | None = None
        self._beats = threading.Thread(target=self._beat_forever, name="heartbeat", daemon=True)
        self.store.queue.register(self.id, self.device, devices.facts(self.device))
        self._beats.start()

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices whose jobs this worker takes; a GPU worker does the CPU's jobs too."""
        return tuple(dict.fromkeys(("auto", self.device, "cpu")))

    def work_forever(self, parent: ProcessIdentity | None = None) -> None:
        """Take jobs until stopped; with ``parent``, leave when idle and that process is gone.

        While the store cannot be written the worker waits; the end of a job that it could not tell is told then.
        """
        looked, tidied, watched = 0.0, -TIDY_SECONDS, 0.0
        while not self.stopping.is_set():
            try:
                if self._ended is not None:
                    self._tell_end(*self._ended)
                if time.monotonic() - looked > LOST_SECONDS:
                    self.recover()
                    looked = time.monotonic()
                if time.monotonic() - tidied > TIDY_SECONDS:
                    tidy(self.store.database)
                    tidied = time.monotonic()
                if time.monotonic() - watched > WATCH_SECONDS:
                    self.watched.renew()
                    watched = time.monotonic()
                job = self.store.queue.claim(self.id, self.devices)
                if job is not None:
                    self.do(job)
                elif parent is not None and not parent.lives():
                    return
                else:
                    self.stopping.wait(IDLE_SECONDS)
            except MadError:
                log.exception("the store cannot be used; trying again")
                self.stopping.wait(STORE_SECONDS)

    def recover(self) -> None:
        """Take up what workers that are gone left behind."""
        self.store.queue.requeue_lost()
        settle_runs(self.store)

    def do(self, job: Job) -> Job:
        """Do one claimed job to its end and return it as the store then has it."""
        control = Control(job, self.store, self.settings, self.device, serve_quick=self._serve_quick)
        with self._as_current(control):
            outcome = self._attempt(control)
        self._ended = job, control, outcome
        self._tell_end(*self._ended)
        return self.store.queue.job(job.id)

    def _tell_end(self, job: Job, control: Control, outcome: tuple[str, dict[str, Any] | None, str | None]) -> None:
        self._settle(job, control, *outcome)
        self._ended = None

    def interrupt(self) -> bool:
        """Cancel what is being done, as Ctrl-C does; False where there is nothing. Safe in a signal handler."""
        going_on = [control for control in self._at_work if not control.stop.is_set()]
        for control in going_on:
            control.stop.set()
        return bool(going_on)

    def close(self) -> None:
        """Stop the heartbeat and leave the list of workers."""
        self._closed.set()
        self.watched.close()
        self._beats.join(timeout=5)
        with contextlib.suppress(MadError):
            self.store.queue.unregister(self.id)
        self.store.close()

    def _attempt(self, control: Control) -> tuple[str, dict[str, Any] | None, str | None]:
        try:
            with explained():
                return "done", handler_of(control.job)(control), None
        except CancelledError:
            return "cancelled", None, None
        except MadError as error:
            return "failed", None, str(error)
        except OSError as error:  # a disk that is full, a folder of somebody else
            log.exception("job %s (%s) failed", control.job.id, control.job.kind)
            return "failed", None, f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
        except Exception as error:
            log.exception("job %s (%s) failed", control.job.id, control.job.kind)
            return "failed", None, f"{type(error).__name__}: {error} (details in the worker's log)"

    def _settle(
        self, job: Job, control: Control, status: str, result: dict[str, Any] | None, error: str | None
    ) -> None:
        """Write the end of a job; one that was stopped only because the worker stops is queued again."""
        queue = self.store.queue
        now = queue.job(job.id)
        if now.worker != self.id or now.status != "running":  # it was given to another worker meanwhile
            return
        if status == "cancelled" and self.stopping.is_set() and not now.cancel:
            if job.kind == RunJob.kind:
                self.store.update_run(RunJob.from_json(job.payload).run, status="queued")
            queue.release(job.id, self.id)
            return
        if job.kind == RunJob.kind and status != "done":
            with contextlib.suppress(MadError):
                run_id = RunJob.from_json(job.payload).run
                self.store.update_run(run_id, status=status, error=error, finished=time.time())
        queue.beat(job.id, self.id, control.progress)
        queue.finish(job.id, self.id, status, result=result, error=error)

    def _serve_quick(self) -> None:
        while (job := self.store.queue.claim(self.id, self.devices, quick=True)) is not None:
            control = Control(job, self.store, self.settings, self.device)
            with self._as_current(control):
                outcome = self._attempt(control)
            self._settle(job, control, *outcome)

    @contextlib.contextmanager
    def _as_current(self, control: Control) -> Iterator[None]:
        before = self._at_work
        self._at_work = (*before, control)
        try:
            yield
        finally:
            self._at_work = before

    # -- heartbeat ------------------------------------------------------------------------------

    def _beat_forever(self) -> None:
        asked: tuple[Control, float] | None = None
        facts_read, facts = 0.0, {}
        while not self._closed.wait(BEAT_SECONDS):
            if time.monotonic() - facts_read > 4:
                facts, facts_read = devices.facts(self.device), time.monotonic()
            at_work = self._at_work
            control = at_work[-1] if at_work else None
            try:
                self.store.queue.beat_worker(self.id, at_work[0].job.id if at_work else None, facts)
                for each in at_work:
                    if self._should_stop(each):
                        each.stop.set()
                if at_work:
                    self.on_progress(at_work[0].progress)
            except MadError:
                log.exception("the heartbeat could not be written")
            if control is None or not control.stop.is_set():
                asked = None
            elif asked is None or asked[0] is not control:
                asked = control, time.monotonic()
            elif time.monotonic() - asked[1] > UNANSWERED_SECONDS:
                self._end_unanswering(control)

    def _should_stop(self, control: Control) -> bool:
        stop = self.store.queue.beat(control.job.id, self.id, control.progress)
        return (stop or self.stopping.is_set()) and control in self._at_work

    def _end_unanswering(self, control: Control) -> None:
        """End the process: its job did not answer a cancel. What it wrote so far is in the store."""
        log.error("job %s did not stop within %s s; ending the worker", control.job.id, UNANSWERED_SECONDS)
        self._settle(control.job, control, "cancelled", None, "It did not stop when asked, so its worker was ended.")
        os._exit(3)


def settle_runs(store: Store) -> None:
    """Give runs whose job ended without telling them (its worker died too often) that job's end."""
    for run in store.runs():
        if run.active and store.queue.active_for(run.job_key) is None:
            last = store.queue.latest_for(run.job_key)
            status = last.status if last is not None and last.status != "done" else "cancelled"
            current = store.run(run.id)
            if current.active and store.queue.active_for(run.job_key) is None:
                store.update_run(run.id, status=status, error=last.error if last else None, finished=time.time())


def run_worker(settings: Settings, device: str = "auto", parent: int | None = None) -> bool:
    """Be the worker of a device until stopped by Ctrl-C or SIGTERM.

    Returns
    -------
    bool
        False if the device already has a worker.
    """
    keep_private()
    settings.home.mkdir(parents=True, exist_ok=True)
    if parent is not None and hasattr(os, "nice"):
        os.nice(NICENESS)
    above = None if parent is None else identity_of(parent) or ProcessIdentity("", parent, 0)  # gone already
    device = devices.resolve(device)
    lock = FileLock(device_lock(settings, device))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    worker = Worker(settings, device)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: worker.stopping.set())
    try:
        worker.recover()
        worker.work_forever(above)
    finally:
        worker.close()
        lock.release()
    return True
