"""How long a run will take where nothing like it was done here before: two of its images are tried."""

import time
from dataclasses import replace
from typing import Any

from mad_core.errors import CancelledError, InputError
from mad_core.runs.estimating import NORMALS_TRIED
from mad_core.runs.execute import items, preserved_generators, scorer_context
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import ProbeJob
from mad_core.scorers import catalog

LONGEST = 120.0
"""Seconds after which a fit on two normals is left; how far it came says how long it would have taken."""


def probe(control: Control) -> dict[str, Any]:
    """Do the job of kind ``probe``: fit on two training normals, score two test images, keep nothing.

    Returns
    -------
    dict
        ``fit``, ``image``: seconds that the fit took or would have taken, and that the second image took; the first
        one carries the start of the libraries.

    Raises
    ------
    InputError
        If there are no images to try, or the fit did not say how far it came within its time.
    """
    payload = ProbeJob.from_json(control.job.payload)
    dataset, info = control.store.dataset(payload.dataset), catalog.scorer(payload.scorer)
    parameters = info.check(payload.parameters)
    info.check_available(parameters)
    subset = payload.subset or dataset.subsets[0]
    tests = items(dataset.select(split="test", subset=subset).head(2), dataset)
    normals = items(dataset.normals(subset).head(NORMALS_TRIED), dataset) if info.needs_fit else []
    if not tests or (info.needs_fit and not normals):
        raise InputError(f"Subset '{subset}' has no images to try scorer '{info.id}' on.")
    begun, shares = time.perf_counter(), [0.0]

    def progress(done: int, total: int) -> None:
        control.report(phase="fitting", subset=subset, phase_done=done, phase_total=total)
        shares.append(done / total if total else 0.0)

    def cancelled() -> bool:
        return control.cancelled() or time.perf_counter() - begun > LONGEST

    context = scorer_context(dataset, subset, info, parameters, control, payload.seed)
    scorer = info.create(parameters)
    try:
        with preserved_generators():
            try:
                scorer.fit(normals, replace(context, progress=progress, cancelled=cancelled))
            except CancelledError:
                control.check_cancel()
                if not shares[-1]:
                    raise InputError(f"A fit on two images takes more than {LONGEST:.0f} seconds here.") from None
                return {"fit": (time.perf_counter() - begun) / shares[-1], "image": None}
            fitted = time.perf_counter()
            for item in tests:
                started = time.perf_counter()
                list(scorer.score([item], context))
        return {"fit": fitted - begun, "image": time.perf_counter() - started}
    finally:
        scorer.close()
