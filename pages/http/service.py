"""A request to the HTTP interface from arrival to answer: which address, who asks, what the query says, who answers."""

import inspect
import json
import logging
import re
from collections.abc import Mapping

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from mad_core.errors import InputError, MadError, NotFoundError, WorkError
from mad_core.runs.queue import FullQueueError
from mad_core.runs.store import Store
from pages.http import answers
from pages.http.door import InFlight, Rates, Refused, admit
from pages.http.endpoints import ENDPOINTS, JSON, ROOT, ApiEndpoint
from pages.http.query import ApiRequest, checked_query
from pages.ui import engine
from pages.ui.serving import FRESH
from pages.ui.urls import base

_UNDER_WAY = InFlight(100, "Too much is being asked at once; ask again.")
"""Requests that are answered or wait for others to be."""
_AT_ONCE = CapacityLimiter(4)
"""What reads and computes for programs, apart from the threads that pictures of pages are served by."""
_RATES = Rates()
_PATTERNS = [(compile_path(ROOT + endpoint.path)[0], endpoint) for endpoint in ENDPOINTS]
_ID = re.compile(r"[0-9A-Za-z_.-]{1,64}", re.ASCII)
log = logging.getLogger("mad.web")


async def answer(request: Request) -> Response:
    """Answer in JSON whatever happens; what cannot be done is a sentence."""
    try:
        return await _answered(request)
    except Refused as refused:
        return _refusal(refused.status, str(refused), refused.headers)
    except NotFoundError as error:
        return _refusal(404, str(error))
    except FullQueueError as error:
        return _refusal(429, str(error), {"Retry-After": "5"})
    except InputError as error:
        return _refusal(400, str(error))
    except WorkError as error:
        log.error("%s %s failed: %s", request.method, request.scope["path"], error)
        return _refusal(500, str(error))
    except MadError as error:
        return _refusal(409, str(error))
    except OSError as error:  # a disk that is full, a folder of somebody else
        log.error("%s: %s", error.filename, error.strerror)
        return _refusal(503, f"A file of the server cannot be used: {error.strerror}.")
    except Exception:  # a fault of this software: whoever asks gets a sentence, the log the reason
        log.exception("%s %s failed", request.method, request.scope["path"])
        return _refusal(500, "The server failed at this request; its log says why.")


async def _answered(request: Request) -> Response:
    endpoint, ids = _endpoint(request)
    store = await run_in_threadpool(_store)
    client = await run_in_threadpool(admit, request, store.settings)
    pause = _RATES.take(client, store.settings.api_rate)
    if pause:
        rate = store.settings.api_rate
        raise Refused(
            429, f"At most {rate:,} requests a minute are answered; ask later.", Retry_After=f"{pause + 1:.0f}"
        )
    asked = ApiRequest(request, store, ids, checked_query(endpoint, request.query_params), client)
    handler = getattr(answers, endpoint.name)
    if inspect.iscoroutinefunction(handler):
        return await handler(asked)
    with _UNDER_WAY.taken(1):
        return await to_thread.run_sync(handler, asked, limiter=_AT_ONCE)


def _endpoint(request: Request) -> tuple[ApiEndpoint, Mapping[str, str]]:
    """The address that is asked for and the ids that it names."""
    path = request.scope["path"].removeprefix(base())
    for pattern, endpoint in _PATTERNS:
        if named := pattern.fullmatch(path):
            methods = ("GET", "HEAD") if endpoint.method == "GET" else (endpoint.method,)
            if request.method not in methods:
                raise Refused(405, f"This address is asked by {endpoint.method}.", Allow=", ".join(methods))
            ids = named.groupdict()
            if not all(_ID.fullmatch(value) for value in ids.values()):
                raise Refused(404, f"There is no such {next(iter(ids))}.")
            return endpoint, ids
    raise Refused(404, f"There is no such address; {base()}{ROOT}/openapi.json says which there are.")


def _store() -> Store:
    try:
        return engine.store()
    except MadError as error:
        log.error("%s", error)
        raise Refused(503, "The store cannot be opened now; the server's log says why.", Retry_After="10") from None


def _refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps({"error": sentence})
    return Response(text, status, media_type=JSON, headers={**FRESH, **(headers or {})})
