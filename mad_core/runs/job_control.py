"""What a job sees of the worker that does it: progress, cancel, the store, the device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mad_core.errors import CancelledError
from mad_core.runs.queue import Job
from mad_core.runs.store import Store
from mad_core.settings import Settings


def _nothing() -> None:
    """Serve no quick jobs."""


def without_job(store: Store, device: str) -> Control:
    """For work that is done at once, beside the queue."""
    job = Job(0, "", {}, "", device, "running", False, 1, None, {}, None, None, 0.0, None, None, None)
    return Control(job, store, store.settings, device)


@dataclass(eq=False)
class Control:
    """Handed to the function that does a job.

    Parameters
    ----------
    job, store, settings : Job, Store, Settings
    device : str
        The torch device of the worker.
    serve_quick : callable
        Does waiting quick jobs; to be called between two batches of a long job.
    """

    job: Job
    store: Store
    settings: Settings
    device: str
    serve_quick: Callable[[], None] = _nothing
    stop: threading.Event = field(default_factory=threading.Event)
    progress: dict[str, Any] = field(default_factory=dict)

    def report(self, **facts: Any) -> None:
        """Renew what people see of the job; the worker writes it to the store twice a second."""
        self.progress = {**self.progress, **facts}

    def cancelled(self) -> bool:
        return self.stop.is_set()

    def check_cancel(self) -> None:
        """Leave the work when it should stop.

        Raises
        ------
        CancelledError
        """
        if self.cancelled():
            raise CancelledError("The work was cancelled; what was finished is kept.")
