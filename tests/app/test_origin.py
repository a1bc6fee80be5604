"""The socket is for this server's own pages, and no other site may frame them."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit import config, net_util
from streamlit.web.server.starlette.starlette_websocket import create_websocket_routes

from pages.ui import origin, routes, streamlit_patched

HOST = "127.0.0.1:8501"


class _Runtime(SimpleNamespace):
    """Takes sessions as Streamlit's does, and counts them."""

    def connect_session(self, **_: Any) -> str:
        self.sessions.append(1)
        return "session"

    def disconnect_session(self, *_: Any, **__: Any) -> None:
        """Nothing to end."""


@pytest.fixture
def runtime() -> _Runtime:
    return _Runtime(sessions=[])


@pytest.fixture
def client(runtime: _Runtime, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Streamlit's own socket and our images behind the middleware; opening a connection to anywhere fails."""

    def forbidden(*target: Any, **_: Any) -> None:
        pytest.fail(f"something was looked up: {target}")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(net_util, "_external_ip", None)
    monkeypatch.setattr(net_util, "_internal_ip", None)
    page = Route("/", lambda request: PlainTextResponse("page"))
    app = Starlette(
        routes=[page, *create_websocket_routes(runtime, ""), *routes.routes()],  # type: ignore[arg-type]
        middleware=[Middleware(origin.OwnPagesOnly)],
    )
    return TestClient(app, base_url=f"http://{HOST}")


def connects(client: TestClient, headers: dict[str, str]) -> bool:
    try:
        with client.websocket_connect("/_stcore/stream", headers={"host": HOST, **headers}):
            return True
    except WebSocketDisconnect as refused:
        assert refused.code == 1008
        return False


FOREIGN = [
    "https://evil.example",
    "http://evil.example:8501",
    "http://localhost:8501",
    "http://127.0.0.1",
    "http://127.0.0.1:3000",
    "http://127.0.0.1:85010",
    "http://0.0.0.0:8501",
    f"http://x@{HOST}",
    f"http://{HOST}.evil.example",
    f"http://{HOST}/",
    f"//{HOST}",
    HOST,
    f"file://{HOST}",
    f"chrome-extension://{HOST}",
    "http://",
    "://",
    "",
    "null",
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_another_origin_is_refused_at_once_and_nothing_is_looked_up(
    client: TestClient, runtime: _Runtime, foreign: str
) -> None:
    assert connects(client, {"origin": f"http://{HOST}"})  # warm
    began = time.monotonic()
    assert not connects(client, {"origin": foreign})
    assert time.monotonic() - began < 0.05
    assert len(runtime.sessions) == 1


def test_own_pages_come_in_and_so_do_those_of_a_proxy(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connects(client, {"origin": f"http://{HOST}"})
    assert connects(client, {})  # no browser
    public = {"host": "mad.clinic.org", "origin": "https://mad.clinic.org"}
    assert not connects(client, public)  # until the server is told this name
    monkeypatch.setattr("streamlit.web.server.starlette.starlette_websocket.is_host_allowed", lambda host: True)
    for forwarded in ({}, {"x-forwarded-proto": "https"}, {"x-forwarded-proto": "http"}):
        assert connects(client, {**public, **forwarded})
    plain = {**public, "origin": "http://mad.clinic.org"}
    assert not connects(client, {**plain, "x-forwarded-proto": "https"})  # a plain page of that name


def test_the_check_does_not_depend_on_how_streamlit_is_set(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        config, "get_option", lambda name: {"server.allowedHosts": [], "server.enableCORS": False}[name]
    )
    assert not connects(client, {"origin": "https://evil.example"})


def test_nothing_can_be_framed(client: TestClient) -> None:
    for path, host, status in (("/", HOST, 200), ("/image/a/b/original", "elsewhere", 403), ("/absent", HOST, 404)):
        got = client.get(path, headers={"host": host})
        assert got.status_code == status
        assert "frame-ancestors 'none'" in got.headers["content-security-policy"], path
        assert got.headers["x-frame-options"] == "DENY"


def test_streamlit_asks_nobody_for_an_external_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_util, "get_external_ip", net_util.get_external_ip)
    monkeypatch.setattr(net_util, "_make_blocking_http_get", lambda *_, **__: pytest.fail("an address was asked for"))
    streamlit_patched._look_up_nothing()
    assert net_util.get_external_ip() is None
