"""The real server: a foreign handshake costs nothing and asks nobody, and no other site can frame the app."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server, Watch
from tests.browser.serving_others import handshake

pytestmark = [pytest.mark.browser, pytest.mark.slow]
AUDIT = """
import os, sys
log = os.open(os.environ["SOCKET_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        os.write(log, (event + " " + repr(args[1 if event == "socket.connect" else 0:]) + "\\n").encode())
sys.addaudithook(hook)
"""


@pytest.fixture(scope="module")
def watched(serve: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, Path]:
    """The app, and the file that names every connection that its process opens."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(AUDIT)
    paths = os.pathsep.join([str(folder), str(ROOT)])
    log = folder / "sockets.log"
    return serve(ROOT / "app.py", {"PYTHONPATH": paths, "SOCKET_LOG": str(log)}), log


def test_a_foreign_handshake_is_refused_within_50_ms_and_nobody_is_asked(watched: tuple[Server, Path]) -> None:
    server, log = watched
    assert handshake(server.url, server.url)[0] == 101
    port = urlsplit(server.url).port
    foreign = ("https://evil.example", "http://localhost:3000", f"http://localhost:{port}", "null")
    answers = [handshake(server.url, origin) for origin in foreign for _ in range(5)]
    assert {status for status, _ in answers} == {403}
    assert sorted(seconds for _, seconds in answers)[len(answers) // 2] < 0.05
    elsewhere = [line for line in log.read_text().splitlines() if "127.0.0.1" not in line and "::1" not in line]
    assert [line for line in elsewhere if not line.startswith("socket.connect ('/")] == []


@pytest.fixture
def site(watched: tuple[Server, Path]) -> Iterator[str]:
    """Another web app of this machine, which frames the app."""
    page = f"<h1>elsewhere</h1><iframe src='{watched[0].url}'></iframe>".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_another_site_can_neither_frame_the_app_nor_drive_it(
    site: str, watched: tuple[Server, Path], page: Page, watch: Watch
) -> None:
    server, _ = watched
    page.goto(site)
    expect(page.get_by_role("heading", name="elsewhere")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert [frame.locator("[data-testid=stApp]").count() for frame in page.frames] == [0, 0]
    address = server.url.replace("http", "ws", 1) + "/_stcore/stream"
    said = page.evaluate(
        """address => new Promise(resolve => {
             const socket = new WebSocket(address, ["streamlit"]);
             socket.onopen = () => resolve("open"); socket.onerror = () => resolve("refused");
           })""",
        address,
    )
    assert said == "refused"
    assert any("frame-ancestors" in error for error in watch.errors)
    watch.errors.clear()
