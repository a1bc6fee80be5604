"""How soon the app can be used, what it holds, and how fast a click is answered with 10,000 images.

``python -m tests.benchmarks.web``. Starts the app on a store of its own; the browser is running before.
Each click is timed from the press until Streamlit has finished and the page shows the answer.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.images import content_hash
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.scorer import Scored
from mad_core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 10_000
STARTS = 3
DONE = "[data-testid='stApp'][data-test-script-state='notRunning']"


def main() -> None:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        _fill(home)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        starts = []
        for turn in range(STARTS):
            process, seconds = _start(home, page)
            starts.append(seconds)
            if turn == STARTS - 1:
                _clicks(page)
                print(f"memory of the web process: {psutil.Process(process.pid).memory_info().rss / 1e6:.0f} MB")
            process.terminate()
            process.wait(60)
        print(f"from the command to a page that can be used: {min(starts):.1f} s (best of {STARTS})")
        browser.close()


def _start(home: Path, page: Page) -> tuple[subprocess.Popen[bytes], float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"],
        cwd=ROOT,
        env={**os.environ, "MAD_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            page.goto(f"http://127.0.0.1:{port}/", timeout=5000)
            break
        except Exception:
            time.sleep(0.05)
    page.get_by_role("heading", name="Data", exact=True).wait_for()
    page.wait_for_selector(DONE)
    return process, time.perf_counter() - begin


def _clicks(page: Page) -> None:
    page.get_by_role("link", name="Images").click()
    page.get_by_text(f"{IMAGES:,} images").wait_for()
    page.wait_for_selector(DONE)

    def first_tile() -> str:
        return page.locator(".tile").first.inner_text()

    _time("next page of the gallery", page, first_tile, [str(n) for n in (2, 3, 4, 5, 6)])
    page.locator(".tile").first.click()
    page.get_by_role("button", name="Next").wait_for()
    page.wait_for_selector(DONE)
    _time("next image", page, lambda: page.url, ["Next"] * 5)


def _time(what: str, page: Page, seen: Callable[[], str], labels: list[str]) -> None:
    seconds = []
    for label in labels:
        before, begin = seen(), time.perf_counter()
        page.get_by_role("button", name=label, exact=True).first.click()
        while seen() == before:
            time.sleep(0.005)
        page.wait_for_selector(DONE)
        seconds.append(time.perf_counter() - begin)
    print(f"{what}, {IMAGES:,} images: {statistics.median(seconds):.2f} s (median of {len(seconds)} clicks)")


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
