"""30 people at once: 28 clients that speak Streamlit's protocol and two browsers, while a run goes on."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings

from . import big_store
from .workshop import App, wait_until

pytestmark = [pytest.mark.hard, pytest.mark.timeout(1800)]
IMAGES = int(os.environ.get("MAD_SESSION_IMAGES", "100000"))
CLIENTS = int(os.environ.get("MAD_SESSION_CLIENTS", "28"))
BROWSERS = 2
SECONDS = float(os.environ.get("MAD_SESSION_SECONDS", "60"))
PAUSE = (1.0, 4.0)
"""Seconds that a person looks before the next press."""
ANSWER_SECONDS = 1.5
DONE = "[data-testid='stApp'][data-test-script-state='notRunning']"


class Client:
    """One browser session without a browser: asks for pages and reads what is drawn, down to the end of the script."""

    def __init__(self, port: int) -> None:
        address = f"ws://127.0.0.1:{port}/_stcore/stream"
        origin, self.ends = f"http://127.0.0.1:{port}", contextlib.ExitStack()
        self.socket: ClientConnection = self.ends.enter_context(
            connect(address, subprotocols=["streamlit"], origin=origin, max_size=None, open_timeout=60)
        )
        self.errors: list[str] = []
        self.answers: list[float] = []

    def ask(self, page: str, query: str) -> None:
        """Have a page drawn, and wait until its script has ended."""
        asked = BackMsg()
        asked.rerun_script.page_name = "" if page == "data" else page  # the default page has no path of its own
        asked.rerun_script.query_string = query
        asked.rerun_script.context_info.timezone = "UTC"
        begin = time.perf_counter()
        self.socket.send(asked.SerializeToString())
        while True:
            message = ForwardMsg()
            data = self.socket.recv(timeout=120)
            assert isinstance(data, bytes)
            message.ParseFromString(data)
            self._look(message)
            if message.WhichOneof("type") == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                break
        self.answers.append(time.perf_counter() - begin)

    def _look(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            drawn = element.WhichOneof("type")
            if drawn == "exception":
                self.errors.append(f"{element.exception.type}: {element.exception.message}"[:300])
            elif drawn == "alert" and element.alert.format == element.alert.ERROR:
                self.errors.append(element.alert.body[:300])
        elif kind == "page_not_found":
            self.errors.append("page not found")
        elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.errors.append("the script did not compile")

    def browse(self, dataset: str, end: float, seed: int) -> None:
        """Go through pages, filters and images as somebody does, until the time is over."""
        draw = random.Random(seed)
        try:
            time.sleep(draw.uniform(0, PAUSE[1]))  # people do not all press in the same millisecond
            while time.monotonic() < end:
                self.ask(*_somewhere(draw, dataset))
                time.sleep(draw.uniform(*PAUSE))
        except (ConnectionClosed, TimeoutError) as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            self.ends.close()


def _somewhere(draw: random.Random, dataset: str) -> tuple[str, str]:
    """A page and the query of its address."""
    subset = draw.choice(big_store.SUBSETS)
    gallery = [f"dataset={dataset}&subset={subset}&page={draw.randint(1, 400)}&sort={order}" for order in ("name", "")]
    gallery += [f"dataset={dataset}&subset={subset}&find={draw.randint(10, 99)}&sort=highest+score"]
    page = draw.choices(["images", "data", "score", "compare", "studies"], [8, 2, 2, 1, 1])[0]
    query = draw.choice(gallery) if page == "images" else f"dataset={dataset}&subset={subset}&within={subset}"
    return page, query


def test_thirty_sessions_while_a_run_goes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    dataset = big_store.fill(home, IMAGES)
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    request = RunRequest(
        dataset, "filterbank", catalog.scorer("filterbank").check({}), device="cpu", map_policy="on demand"
    )
    app, run = App(store.settings, tmp_path / "app.log"), store.request_run(request)
    try:
        app.start()
        _warm(app.port, dataset)
        wait_until(lambda: store.run(run.id).done > 0, 600, "the first score")  # who comes finds it past its fit
        clients = [Client(app.port) for _ in range(CLIENTS)]
        before, end = store.run(run.id).done, time.monotonic() + SECONDS
        threads = [
            threading.Thread(target=client.browse, args=(dataset, end, seed), daemon=True)
            for seed, client in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        pressed, wrong = _browsers(app.port, end)
        for thread in threads:
            thread.join(180)
        after = store.run(run.id)
    finally:
        store.cancel_run(run.id)
        app.end()
        store.close()
    answers = list(itertools.chain.from_iterable(client.answers for client in clients))
    errors = list(itertools.chain.from_iterable(client.errors for client in clients)) + wrong
    print(
        f"{CLIENTS} clients: {len(answers)} answers, median {np.median(answers):.2f} s, "
        f"p95 {np.percentile(answers, 95):.2f} s; {BROWSERS} browsers: {len(pressed)} presses, "
        f"p95 {np.percentile(pressed, 95):.2f} s; the run went from {before:,} to {after.done:,} images"
    )
    assert not any(thread.is_alive() for thread in threads)
    assert not errors, errors[:5]
    assert "Traceback" not in app.log.read_text(errors="replace")
    assert after.status == "running"
    assert after.done > before, "the run stood still meanwhile"
    assert all(client.answers for client in clients)
    assert np.percentile([*answers, *pressed], 95) < ANSWER_SECONDS


def _warm(port: int, dataset: str) -> None:
    """What each page computes once for everybody is over before people come."""
    client = Client(port)
    for page in ("data", "score", "compare", "studies"):
        client.ask(page, f"dataset={dataset}")
    for subset in big_store.SUBSETS:
        for page in ("images", "compare", "score"):
            client.ask(page, f"dataset={dataset}&subset={subset}&within={subset}")
    assert not client.errors, client.errors
    client.ends.close()


def _browsers(port: int, end: float) -> tuple[list[float], list[str]]:
    """Two browsers page through the gallery until the time is over; seconds of each press, and what went wrong."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("chromium is not installed")
    pressed, wrong = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        pages = [browser.new_page(viewport={"width": 1440, "height": 900}) for _ in range(BROWSERS)]
        for page in pages:
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.set_default_timeout(120_000)
            page.goto(f"http://127.0.0.1:{port}/images")
            page.locator(".tile").first.wait_for()
            page.wait_for_selector(DONE)
        while time.monotonic() < end or not pressed:
            for page in pages:
                first = page.locator(".tile").first
                before, begin = first.inner_text(), time.perf_counter()
                page.get_by_role("button", name="Next page", exact=True).click()
                while first.inner_text() == before:
                    assert time.perf_counter() - begin < 120, "the gallery did not answer"
                    time.sleep(0.02)
                pressed.append(time.perf_counter() - begin)
                if page.locator("[data-testid='stException']").count():
                    wrong.append(page.locator("[data-testid='stException']").first.inner_text())
            time.sleep(1)
        browser.close()
    return pressed, wrong
