"""How soon the app can be used, what it holds, and how fast a click is answered with 10,000 images.

``python -m tests.benchmarks.web``. Starts the app on a store of its own; the browser is running before.
Each click is timed from the press until Streamlit has finished and the page shows the answer; medians count, and
processor time is that of the server alone. How much memory the server holds is written beside the table.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.images import content_hash
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings
from tests import reaper
from tests.benchmarks.pairs import Cost, Row, arguments, hand_over

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 10_000
CLICKS = 7
WITH_PICTURES = ("Data", "Images")
"""Pages that open with pictures."""
SHOWN = ".tile .frame[data-state=shown]"
DONE = "[data-testid='stApp'][data-test-script-state='notRunning']"


def main() -> None:
    reaper.guard()
    given = arguments(__doc__, rounds=3).parse_args()
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home, bare = Path(folder), Path(folder) / "bare.py"
        _fill(home)
        bare.write_text("import streamlit as st\n\nst.title('Data')\n")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        costs: dict[Path, list[Cost]] = {bare: [], ROOT / "app.py": []}
        clicks: list[Row] = []
        for number in range(given.rounds):
            for app, measured in costs.items():
                with started(app, home) as (process, address, begin):
                    server = psutil.Process(process.pid)
                    measured.append(Cost(_until_used(page, address) - begin, _processor(server)))
                    if app != bare and number == given.rounds - 1:
                        clicks = _clicks(page, server)
                        print(f"memory of the web process: {server.memory_info().rss / 1e6:.0f} MB", file=sys.stderr)
                    page.goto("about:blank")
        browser.close()
    start = Row("from the command to a page that can be used", "an empty Streamlit page", "–", *costs.values())
    hand_over([start, *clicks], given.rows)


def _processor(server: psutil.Process) -> float:
    used = server.cpu_times()
    return used.user + used.system


@contextmanager
def started(app: Path, home: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """The server's process, its address, and when the command was given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(app), "--server.headless=true", f"--server.port={port}"],
        cwd=ROOT,
        env={**os.environ, "MAD_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    try:
        yield process, f"http://127.0.0.1:{port}/", begin
    finally:
        process.terminate()
        process.wait(60)


def _until_used(page: Page, address: str) -> float:
    page.goto(address, wait_until="commit")
    page.get_by_role("heading", name="Data", exact=True).wait_for()
    page.wait_for_selector(DONE)
    return time.perf_counter()


def _clicks(page: Page, server: psutil.Process) -> list[Row]:
    page.get_by_role("link", name="Images").click()
    page.get_by_text(f"{IMAGES:,} images", exact=True).wait_for()
    page.wait_for_selector(DONE)
    turned = _time("next page of the gallery", page, server, "Next page", page.locator(".tile").first.inner_text)
    page.locator(".tile").first.click()
    page.get_by_role("button", name="Next", exact=True).wait_for()
    page.wait_for_selector(DONE)
    stepped = _time("next image", page, server, "Next", lambda: page.evaluate("location.href"))
    return [turned, stepped, _opened(page, server), *(_first_picture(name, page, server) for name in WITH_PICTURES)]


def _first_picture(name: str, page: Page, server: psutil.Process) -> Row:
    """Load a page that was loaded before, until its first picture is shown."""
    costs = []
    page.goto(page.url.split("?")[0].rpartition("/")[0] + f"/{name.lower()}")
    for _ in range(CLICKS):
        page.locator(SHOWN).first.wait_for()
        page.wait_for_selector(DONE)
        processor, begin = _processor(server), time.perf_counter()
        page.reload(wait_until="commit")
        page.locator(SHOWN).first.wait_for()
        costs.append(Cost(time.perf_counter() - begin, _processor(server) - processor))
    return Row(f"first picture of {name}, loaded anew, {IMAGES:,} images imported", "–", "–", [], costs)


def _opened(page: Page, server: psutil.Process) -> Row:
    """Go to Compare, until what stands in the window is drawn."""
    costs = []
    for _ in range(CLICKS):
        page.get_by_role("link", name="Images").click()
        page.get_by_role("heading", name="Images", exact=True).wait_for()
        page.wait_for_selector(DONE)
        processor, begin = _processor(server), time.perf_counter()
        page.get_by_role("link", name="Compare").click()
        page.get_by_role("heading", name="Score against severity level").wait_for()
        page.wait_for_selector(DONE)
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        costs.append(Cost(time.perf_counter() - begin, _processor(server) - processor))
    return Row(f"opening Compare, {IMAGES:,} images imported", "–", "–", [], costs)


def _time(what: str, page: Page, server: psutil.Process, label: str, seen: Callable[[], str]) -> Row:
    """Click a button some times; what is ``seen`` changes with the answer."""
    costs = []
    for _ in range(CLICKS):
        before, processor, begin = seen(), _processor(server), time.perf_counter()
        page.get_by_role("button", name=label, exact=True).first.click()
        while seen() == before:
            time.sleep(0.02)
        page.wait_for_selector(DONE)
        costs.append(Cost(time.perf_counter() - begin, _processor(server) - processor))
    return Row(f"{what}, {IMAGES:,} images imported", "–", "–", [], costs)


def _fill(home: Path) -> None:
    """One subset of five levels with one run; all rows show one of ten drawn pictures."""
    rng = np.random.default_rng(0)
    pictures = []
    for i in range(10):
        path = home / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)).save(path)
        pictures.append((str(path), content_hash(path)))
    rows = []
    for i in range(IMAGES):
        path, digest = pictures[i % 10]
        name = f"{i:05d}.png"
        rows.append(
            {
                "image_id": image_id("parts", name),
                "content_hash": digest,
                "path": path,
                "template_path": name,
                "split": "test",
                "subset": "parts",
                "level": float(i % 5),
                "defect": None,
                "mask_path": None,
                "width": 128,
                "height": 128,
            }
        )
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    dataset = store.add_dataset(Imported(Dataset.from_rows("parts", rows, Card(), str(home))))
    run = store.request_run(RunRequest(dataset, "filterbank", {}, map_policy="none", title="Filter bank"))
    scored = [(Scored.of(row["image_id"], float(row["level"] + rng.normal()), None, 0.1), None) for row in rows]
    for start in range(0, IMAGES, 1000):
        store.add_scores(run.id, "parts", scored[start : start + 1000])
    for job in store.queue.active():
        store.queue.request_cancel(job.id)
    store.update_run(run.id, status="done", finished=time.time())
    store.close()


if __name__ == "__main__":
    main()
