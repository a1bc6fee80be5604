"""Download the published benchmark as a job."""

import contextlib
from pathlib import Path
from typing import Any

from mad_core.datasets.fetching import fetch_benchmark, parse_selection
from mad_core.datasets.hub import Hub
from mad_core.paths import shared_files
from mad_core.runs.import_job import ask_again
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import FetchJob, ImportJob, submit
from mad_core.runs.store import Store

MEGABYTE = 1_000_000


def queue_fetch(store: Store, only: str, folder: Path, then: str = "", *, guarded: bool = False) -> int:
    """Queue a fetch into a folder; one at a time for each folder.

    Parameters
    ----------
    store : Store
    only : str
        Datasets and subsets, joined by commas; empty = all.
    folder : Path
    then : {"", "import"}
        What follows: nothing, or the import of the folder.
    guarded : bool
        Whether the folder, links resolved, must still be one that pages may open when the work begins.

    Raises
    ------
    InputError
        If ``only`` names something else.
    """
    parse_selection([only])
    return submit(store.queue, FetchJob(only, str(folder), then=then, guarded=guarded))


def fetch_job(control: Control) -> dict[str, Any]:
    """Do a :class:`~mad_core.runs.jobs.FetchJob`.

    Returns
    -------
    dict
        As :meth:`~mad_core.datasets.fetching.Fetched.to_json`, and ``job``, the id of the import that follows.
    """
    payload = FetchJob.from_json(control.job.payload)
    folder = Path(payload.to)
    if payload.guarded:
        ask_again(control.settings, payload.to)

    def progress(done: int, total: int) -> None:
        control.report(phase="fetching", done=done // MEGABYTE, total=-(-total // MEGABYTE), unit="MB")
        control.check_cancel()

    own = folder.is_relative_to(control.settings.home)
    with contextlib.nullcontext() if own else shared_files():
        fetched = fetch_benchmark(folder, parse_selection([payload.only]), Hub.from_environment(), progress)
    job = None
    if payload.then == "import":
        job = submit(control.store.queue, ImportJob(str(folder), guarded=payload.guarded))
    return fetched.to_json() | {"job": job}
