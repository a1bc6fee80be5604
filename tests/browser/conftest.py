"""Fixtures for tests in a real browser: a Streamlit server of one's own, and headless Chromium.

``serve`` starts ``streamlit run`` on a free loopback port and ends it; ``page`` is a fresh tab that
fails its test on any console error and on any request that leaves this machine; ``settled`` waits until
Streamlit has finished a run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright import sync_api

from tests.used_home import used_home

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240
STOP_SECONDS = 3
WAIT_MS = 60_000
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--force-color-profile=srgb",
)


@dataclass(frozen=True)
class Server:
    """A Streamlit server that answers at ``url``; what it prints goes to ``log``."""

    url: str
    log: Path
    process: subprocess.Popen

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End the server and whatever it started."""
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, ending)
            try:
                self.process.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue


@dataclass
class Watch:
    """What went wrong in a tab; a test that expects an error clears it."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """``serve(script, env)`` starts a server for that script and returns it once it is healthy.

    It ends with the module's tests. ``path`` says below which path the environment makes it answer.
    """
    with contextlib.ExitStack() as servers:

        def start(script: Path, env: Mapping[str, str] | None = None, port: int = 0, path: str = "") -> Server:
            server = _start(script, env or {}, tmp_path_factory.mktemp("server"), port or free_port(), path)
            servers.callback(server.stop)
            _await_health(server)
            return server

        yield start


def _start(script: Path, env: Mapping[str, str], folder: Path, port: int, path: str) -> Server:
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    options = {"server.address": "127.0.0.1", "server.port": port, "server.headless": "true"}
    command += [f"--{name}={value}" for name, value in options.items()]
    log = folder / "server.log"
    paths = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    home = env.get("MAD_HOME") or str(used_home(folder / "home"))
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths, **env, "MAD_HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(f"http://127.0.0.1:{port}{path}", log, process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_health(server: Server) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            pytest.fail(f"The server ended with status {server.process.returncode}:\n{server.output()[-3000:]}")
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    server.stop()
    pytest.fail(f"The server was not healthy within {START_SECONDS} s:\n{server.output()[-3000:]}")


@contextlib.contextmanager
def chromium() -> Iterator[sync_api.Browser]:
    """Headless Chromium, from ``CHROMIUM`` or the search path."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not executable:
        pytest.skip("Chromium is not installed; install it or name it in CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(CHROMIUM_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[sync_api.Browser]:
    """Headless Chromium for all tests of a process."""
    with chromium() as opened:
        yield opened


def _matters(message: sync_api.ConsoleMessage) -> bool:
    """Errors count; that a page of a test's own server has no icon does not."""
    return message.type == "error" and not str(message.location.get("url", "")).endswith("/favicon.ico")


def _said(message: sync_api.ConsoleMessage) -> str:
    return f"{message.text} ({message.location.get('url', '')})"


@pytest.fixture
def watch() -> Watch:
    """Console errors and foreign requests of this test's tab."""
    return Watch()


@contextlib.contextmanager
def profile(browser: sync_api.Browser) -> Iterator[sync_api.BrowserContext]:
    """A browser's profile of its own, with tabs of 1440 x 900."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture(scope="module")
def context(browser: sync_api.Browser) -> Iterator[sync_api.BrowserContext]:
    """The profile of a module's tabs: what one tab loaded of a server, the next has."""
    with profile(browser) as opened:
        yield opened


@pytest.fixture
def page(context: sync_api.BrowserContext, watch: Watch) -> Iterator[sync_api.Page]:
    """A fresh tab that keeps nothing of earlier ones; console errors and requests to other machines fail the test."""
    page = context.new_page()
    _forget(page)
    page.on("console", lambda message: watch.errors.append(_said(message)) if _matters(message) else None)
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    page.on("request", lambda request: None if _is_local(request.url) else watch.foreign.append(request.url))
    yield page
    if not page.is_closed():
        page.close()
    assert watch.foreign == [], "requests left this machine"
    assert watch.errors == [], "the browser's console shows errors"


def _forget(page: sync_api.Page) -> None:
    """Have the tab's profile lose cookies and stores of every origin; what was loaded stays loaded."""
    page.context.clear_cookies()
    session = page.context.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "local_storage,indexeddb,cache_storage"})
    session.detach()


def _is_local(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("blob", "data", "about", "chrome-extension") or parts.hostname in ("127.0.0.1", "localhost")


def settle(page: sync_api.Page) -> None:
    page.wait_for_selector("[data-testid='stApp'][data-test-connection-state='CONNECTED']")
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


@pytest.fixture
def settled() -> Callable[[sync_api.Page], None]:
    """``settled(page)`` returns once Streamlit is connected and no run of the script is under way."""
    return settle
