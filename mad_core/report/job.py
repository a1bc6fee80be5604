"""A report as a job: it is written into the reports of the store, where it waits to be taken."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mad_core.audit.labels import AuditStore
from mad_core.report.contents import Steps, gather, steps_of
from mad_core.report.export import write_report
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import ReportRequest, submit
from mad_core.runs.queue import Job
from mad_core.runs.store import Store
from mad_core.studies.export import slug

KEPT = 30
"""Reports that are kept; older ones make room."""


def request_report(store: Store, request: ReportRequest) -> int:
    """Queue a report, between the batches of longer work, and return the job's id.

    Raises
    ------
    NotFoundError
        If a run is not in the store.
    """
    return submit(store.queue, request, key=report_key(store, request))


def latest_report(store: Store, request: ReportRequest) -> tuple[Job | None, Path | None]:
    """The newest job of this request on what the store holds now, and its report if it lies there."""
    job = store.queue.latest_for(report_key(store, request))
    if job is None or job.result is None:
        return job, None
    path = store.settings.reports / str(job.result["file"])
    return job, path if path.is_file() else None


def report_key(store: Store, request: ReportRequest) -> str:
    """Key of its jobs in the queue; another one as soon as anything changed that the report would tell.

    Raises
    ------
    NotFoundError
    """
    runs = [store.run(run_id) for run_id in request.runs]
    datasets = sorted({run.dataset_id for run in runs})
    infos = [store.dataset_info(one) for one in datasets]
    facts = [
        request.to_json(),
        [(run.title, run.done, run.status, run.finished, *filter(None, [run.note])) for run in runs],
        [(info.name, info.card.to_json()) for info in infos],
        [store.studies.finished(dataset_id) for dataset_id in datasets],
        [_audit(store, dataset_id, request.rule or "majority") for dataset_id in datasets],
    ]
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()
    return f"report:{digest}"


def report_job(control: Control) -> dict[str, Any]:
    """Do the job of kind ``report``; ``payload`` as :meth:`ReportRequest.to_json` gives it.

    Returns
    -------
    dict
        ``file`` (name in the folder of reports) and ``bytes``.
    """
    store = control.store
    request = ReportRequest.from_json(control.job.payload)

    def progress(done: int, total: int) -> None:
        control.report(phase="report", unit="steps", done=done, total=total)
        control.check_cancel()

    steps = Steps(progress, steps_of(request))
    parts = gather(store, request, steps)
    folder = store.settings.reports
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slug(parts[0].info.name)[:60]}-{control.job.id}.html"
    write_report(store, parts, path, steps)
    _make_room(folder)
    return {"file": path.name, "bytes": path.stat().st_size}


def _audit(store: Store, dataset_id: str, rule: str) -> Mapping[str, Any]:
    audit = AuditStore(store)
    events = audit.standing(dataset_id)
    return {"events": len(events), "newest": events[-1].id if events else "", "rule": rule}


def _make_room(folder: Path) -> None:
    written = sorted(folder.glob("*.html"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in written[KEPT:]:
        path.unlink(missing_ok=True)
