"""Import a dataset into the store as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError
from mad_core.runs.first_start import queue_default
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import ImportJob


def import_job(control: Control) -> dict[str, Any]:
    """Do an :class:`~mad_core.runs.jobs.ImportJob`.

    Returns
    -------
    dict
        ``dataset`` (id), ``images``, ``problems`` (their number), ``runs`` (ids).
    """
    payload = ImportJob.from_json(control.job.payload)

    def progress(done: int, total: int) -> None:
        control.report(phase="importing", done=done, total=total)
        control.check_cancel()

    imported = import_dataset(
        payload.source,
        control.settings,
        name=payload.name,
        policy=Path(payload.policy) if payload.policy else None,
        progress=progress,
    )
    if imported.dataset.table.empty:
        first = imported.problems[0].message if imported.problems else "No image was found."
        raise InputError(f"Nothing usable is in {payload.source}: {first}")
    dataset_id = control.store.add_dataset(imported)
    return {
        "dataset": dataset_id,
        "images": len(imported.dataset.table),
        "problems": len(imported.problems),
        "runs": [queue_default(control.store, dataset_id, name) for name in payload.then],
    }
