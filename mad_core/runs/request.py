"""The one way to ask for a run: command line, Python, benchmark, pages and the first start come through here."""

from collections.abc import Callable
from dataclasses import replace

from mad_core.runs.parts import judges_the_same, resolve_parts
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog


def request_run(store: Store, request: RunRequest, *, force: bool = False) -> Run:
    """The run of what was asked for: the stored one if it was asked for before, else a new one, queued.

    Parameters
    ----------
    store : Store
    request : RunRequest
        Its parameters may be those alone that differ from the defaults.
    force : bool
        Drop the scores of a stored run first.

    Raises
    ------
    NotFoundError
        If there is no such scorer, dataset or subset.
    InputError
        If a parameter does not fit, a run that it builds on is missing, or there is nothing to score.
    UnavailableError
        If the scorer cannot run on this machine; the sentence says what it needs.
    """
    return store.request_run(resolve_request(store, request), force=force)


def resolve_request(store: Store, request: RunRequest) -> RunRequest:
    """The request in its one form: every parameter checked and present, runs and models that it builds on named.

    Raises
    ------
    NotFoundError, InputError, UnavailableError
        As :func:`request_run`.
    """
    info = catalog.scorer(request.scorer)
    parameters = info.check(request.parameters)
    info.check_available(parameters)
    resolved = resolve_parts(store, info, parameters, store.dataset(request.dataset_id), request.subsets)
    return replace(request, parameters=resolved, title=request.title or info.title)


def with_first_runs(store: Store, request: RunRequest, finish: Callable[[Run], None]) -> RunRequest:
    """The request with the runs that it builds on: those of the scorers that it starts with, made where none is there.

    Parameters
    ----------
    finish : callable(run)
        Has a queued run done, and returns when it is.
    """
    made = {}
    for name, scorer in catalog.scorer(request.scorer).starts_with.items():
        if not request.parameters.get(name):
            first = replace(request, scorer=scorer, parameters={}, title="")
            run = _stored_run(store, first) or request_run(store, first)
            finish(run)
            made[name] = run.id
    return replace(request, parameters={**request.parameters, **made})


def _stored_run(store: Store, request: RunRequest) -> Run | None:
    """The newest finished run of this scorer that scores the request's images as a run of it would."""
    dataset = store.dataset(request.dataset_id)
    wanted = set(request.subsets or dataset.subsets)
    for run in sorted(store.runs(), key=lambda run: -(run.finished or 0.0)):
        usable = run.status == "done" and run.scorer == request.scorer and wanted <= set(run.subsets)
        if usable and (run.dataset_version == dataset.version or judges_the_same(store, run, dataset)):
            return run
    return None
