"""The routes of the HTTP interface, for programs; the pages have their own.

As the routes of images, nothing here imports the engine before something is asked for.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pages.ui.urls import base

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Also those that no address knows, so that they are refused here, in JSON."""


def api_routes() -> list[Route]:
    """The interface below the path that a reverse proxy serves the app at."""
    return [
        Route(f"{base()}/api", _serve(), methods=METHODS),
        Route(f"{base()}/api/{{rest:path}}", _serve(), methods=METHODS),
    ]


def _serve() -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        from pages.http import service

        return await service.answer(request)

    return answer
