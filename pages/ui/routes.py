"""The app's own routes and the life of the web process.

A page can be asked for while the engine is still being imported, so nothing here imports it before the
server listens.
"""

import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pages.ui.urls import base

FIRST_PAGE = "data"
AGAIN_SECONDS = 10.0
"""Between two attempts to open a store that cannot be opened, its database not being up yet."""
log = logging.getLogger("mad.web")


def routes() -> list[Route]:
    """Images, and the first page under its own name, below the path that a reverse proxy serves the app at."""
    at = base()
    kinds = ("original", "preview", "thumbnail", "mask")
    return [
        *(Route(f"{at}/image/{{dataset}}/{{image}}/{kind}", _serve(kind)) for kind in kinds),
        Route(f"{at}/map/{{run}}/{{image}}", _serve("map")),
        Route(f"{at}/map/{{run}}/{{image}}/thumbnail", _serve("map thumbnail")),
        Route(f"{at}/single/{{job}}/{{kind}}", _serve("single")),
        Route(f"{at}/{FIRST_PAGE}", _to_first_page),
    ]


def _to_first_page(request: Request) -> Response:
    """Streamlit serves its default page at the root alone, and says "Page not found" at that page's own path."""
    return RedirectResponse(f"{base()}/?{request.url.query}".removesuffix("?"))


def _serve(kind: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        from pages.ui import serving

        return serving.answer(kind, request)

    return answer


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """While the web server runs, its workers do; on the first start the demo is prepared."""
    ends = threading.Event()
    thread = threading.Thread(target=_keep_workers, args=(ends,), name="workers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def _keep_workers(ends: threading.Event) -> None:
    from mad_core.paths import keep_private
    from mad_core.runs.first_start import prepare_first_start
    from mad_core.runs.supervisor import Supervisor

    keep_private()
    store = _store(ends)
    if store is None:
        return
    prepare_first_start(store)
    supervisor = Supervisor(store)
    supervisor.start()
    ends.wait()
    supervisor.stop()


def _store(ends: threading.Event) -> Any:
    """The store, once it can be opened; None where the server ends before."""
    from mad_core.errors import MadError
    from pages.ui import engine

    while not ends.is_set():
        try:
            return engine.store()
        except MadError as error:
            log.error("%s", error)
            ends.wait(AGAIN_SECONDS)
    return None
