"""The one way to ask for a run: command line, Python, benchmark, pages and the first start come through here."""

from dataclasses import replace

from mad_core.runs.parts import resolve_parts
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
