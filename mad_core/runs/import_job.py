"""Import a dataset into the store as a job."""

import os
from pathlib import Path
from typing import Any

from mad_core import remote
from mad_core.datasets.importing import import_dataset, window_report
from mad_core.datasets.own_normals import without_normals
from mad_core.datasets.plan import ImportPlan, LevelsUnknownError, parse_plan
from mad_core.errors import InputError
from mad_core.runs.additions import add_images
from mad_core.runs.first_start import queue_first
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import ImportJob
from mad_core.settings import Settings

MOST_SHOWN = 500
"""Rows of a plan, and problems, that a look at a source returns."""


def import_job(control: Control) -> dict[str, Any]:
    """Do an :class:`~mad_core.runs.jobs.ImportJob`.

    Returns
    -------
    dict
        ``dataset`` (id), ``images``, ``problems`` (their number), ``runs`` (ids); of a look that stores nothing
        ``plan`` (YAML text), ``rows`` (of the plan), ``images``, ``counts``, ``problems`` (the first ones),
        ``without_normals`` (subsets) and ``windows`` (by subset, of pictures deeper than 8 bits); of images for a
        dataset that is there an :class:`~mad_core.runs.additions.Added`.
    """
    payload = ImportJob.from_json(control.job.payload)

    def progress(done: int, total: int) -> None:
        control.report(phase="importing", done=done, total=total)
        control.check_cancel()

    told = parse_plan(payload.plan) if payload.plan else None
    if payload.guarded:
        masks = (mask.rpartition("=")[2] for mask in (*payload.ignore, *(told.ignore if told else ())))
        ask_again(control.settings, payload.source, payload.policy, *masks)
    try:
        imported = import_dataset(
            payload.source,
            control.settings,
            name=payload.name,
            policy=Path(payload.policy) if payload.policy else None,
            plan=told,
            windows=payload.windows,
            ignore=payload.ignore,
            pages=payload.pages,
            unlabelled=payload.unlabelled or bool(payload.to),
            normals_from=payload.normals_from,
            progress=progress,
        )
    except LevelsUnknownError as error:
        if not payload.look:
            raise
        return _looked(error.plan, sentence=error.fact or str(error), without_levels=bool(error.fact))
    if payload.to:
        return add_images(control.store, payload.to, imported, subset=payload.subset).to_json()
    if payload.look:
        counts, problems = imported.dataset.counts(), [p.to_json() for p in imported.problems]
        facts = {"images": len(imported.dataset.table), "without_normals": without_normals(imported.dataset)}
        facts["windows"] = {
            name: window_report(imported.dataset.card.subset(name)) for name in imported.dataset.windows
        }
        return _looked(imported.plan, counts=counts, problems=problems[:MOST_SHOWN], **facts)
    if imported.dataset.table.empty:
        first = imported.problems[0].message if imported.problems else "No image was found."
        raise InputError(f"Nothing usable is in {payload.source}: {first}")
    dataset_id = control.store.add_dataset(imported)
    return {
        "dataset": dataset_id,
        "images": len(imported.dataset.table),
        "problems": len(imported.problems),
        "runs": [queue_first(control.store, dataset_id, name) for name in payload.then],
    }


def _looked(plan: ImportPlan, **facts: Any) -> dict[str, Any]:
    """What is shown of a plan before anything is stored."""
    rows = [row.to_json() for row in plan.rows[:MOST_SHOWN]]
    return {"plan": plan.to_yaml(), "rows": rows, "more": max(0, len(plan.rows) - MOST_SHOWN), "images": 0, **facts}


def ask_again(settings: Settings, *paths: str | None) -> None:
    """See that paths, resolved when they were queued, still lead where they did and may be opened.

    Raises
    ------
    InputError
        If one does not.
    """
    for path in filter(None, paths):
        allowed = settings.may_open_address(path) if remote.is_address(path) else settings.may_open(Path(path))
        moved = not remote.is_address(path) and os.path.realpath(path) != path
        if not allowed or moved:
            raise InputError(f"{path} leads elsewhere than when it was asked for, or may not be opened any more.")
