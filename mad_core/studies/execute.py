"""Do a study as a job: in the worker, or in the process of the command line."""

import time
from dataclasses import replace
from typing import Any

from mad_core.labelled import labelled
from mad_core.metrics.units import in_words
from mad_core.runs.execute import FLUSH_SECONDS, preserved_generators, record
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import StudyJob
from mad_core.studies.finding import Finding
from mad_core.studies.record import StudyRecord, begin_study, keep_finding, read_study
from mad_core.studies.study import StudyInfo, Work, study


def study_job(control: Control) -> dict[str, Any]:
    """Do the job of kind ``study``; a :class:`~mad_core.runs.jobs.StudyJob`.

    Returns
    -------
    dict
        ``study`` (id in the store), ``name`` (in the catalogue) and ``sentence``.
    """
    store = control.store
    stored = read_study(store, StudyJob.from_json(control.job.payload).study)
    info = study(stored.study)
    begin_study(store, stored.id)
    started = time.time()
    finding = info.do(work_of(control, stored, info))
    control.check_cancel()
    keep_finding(store, stored.id, _with_record(finding, control, stored, started))
    return {"study": stored.id, "name": info.id, "sentence": finding.sentence}


def work_of(control: Control, stored: StudyRecord, info: StudyInfo) -> Work:
    """What the study works on; its progress goes to the job."""
    store = control.store
    turns = _Turns(control, info.title)
    return Work(
        store=store,
        dataset_id=stored.dataset_id,
        dataset=store.dataset(stored.dataset_id),
        runs=[run for run in store.runs(stored.dataset_id) if run.id in stored.runs],
        parameters=info.check(stored.parameters),
        quick=stored.quick,
        seed=stored.seed,
        device=control.device,
        progress=turns.progress,
        check_cancel=control.check_cancel,
    )


class _Turns:
    """Progress with the time left, and quick jobs (an uploaded image, a map) between two steps."""

    def __init__(self, control: Control, title: str) -> None:
        self.control, self.title = control, title
        self.started = self.looked = time.perf_counter()
        control.report(phase=title, unit="steps", done=0, total=0)

    def progress(self, done: int, total: int) -> None:
        now = time.perf_counter()
        left = (now - self.started) * (total - done) / done if done else None
        self.control.report(phase=self.title, unit="steps", done=done, total=total, seconds_left=left)
        if now - self.looked > FLUSH_SECONDS:
            with preserved_generators():
                self.control.serve_quick()
            self.looked = time.perf_counter()


def _with_record(finding: Finding, control: Control, stored: StudyRecord, started: float) -> Finding:
    """The finding with what is needed to repeat it, and what became of images that belong together."""
    about = in_words(labelled(control.store.dataset(stored.dataset_id).select(split="test")))
    facts = {
        **finding.facts,
        "record": record(control.device),
        "request": {"parameters": dict(stored.parameters), "runs": list(stored.runs), "quick": stored.quick}
        | {"seed": stored.seed, "dataset": stored.dataset_id, "dataset_version": stored.dataset_version}
        | {"code": study(stored.study).code},
        "seconds": round(time.time() - started, 2),
    }
    return replace(finding, caveat=f"{finding.caveat} {about}".strip(), facts=facts)
