"""Download the published benchmark as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mad_core.datasets.fetching import fetch_benchmark, parse_selection
from mad_core.datasets.hub import Hub
from mad_core.runs.job_control import Control
from mad_core.runs.store import Store

MEGABYTE = 1_000_000


def queue_fetch(store: Store, only: str, folder: Path, then: str = "") -> int:
    """Queue a fetch into a folder; one at a time for each folder.

    Parameters
    ----------
    store : Store
    only : str
        Datasets and subsets, joined by commas; empty = all.
    folder : Path
    then : {"", "import"}
        What follows: nothing, or the import of the folder.

    Raises
    ------
    InputError
        If ``only`` names something else.
    """
    parse_selection([only])
    payload = {"benchmark": "madbench", "only": only, "to": str(folder), "then": then}
    return store.queue.submit("fetch", payload, key=f"fetch:{folder}")


def fetch_job(control: Control) -> dict[str, Any]:
    """Do the job of kind ``fetch``; ``payload`` as :func:`queue_fetch` writes it.

    Returns
    -------
    dict
        As :meth:`~mad_core.datasets.fetching.Fetched.to_json`, and ``job``, the id of the import that follows.
    """
    payload = control.job.payload
    folder = Path(payload["to"])

    def progress(done: int, total: int) -> None:
        control.report(phase="fetching", done=done // MEGABYTE, total=-(-total // MEGABYTE), unit="MB")
        control.check_cancel()

    fetched = fetch_benchmark(folder, parse_selection([payload["only"]]), Hub.from_environment(), progress)
    job = None
    if payload.get("then") == "import":
        job = control.store.queue.submit("import", {"source": str(folder), "policy": None}, key=f"import:{folder}")
    return fetched.to_json() | {"job": job}
