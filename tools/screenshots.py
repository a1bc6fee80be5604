"""Take the README's screenshots from the real app: ``python -m tools.screenshots``.

Starts the app on a store of its own, waits until the first scorers have finished on the demo, then
looks at each page in headless Chromium. ``--all`` takes every page in light and dark, 1440 and 900
pixels wide, into a folder, for looking at them.
"""

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from mad_core.audit.events import Event
from mad_core.audit.grades import learn_from_ratings
from mad_core.audit.labels import AuditStore
from mad_core.runs.store import Store
from mad_core.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "assets" / "screenshots"
WAIT_SECONDS = 900
SETTLE_MS = 2500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=Path, help="take every page in every theme and width into this folder")
    parser.add_argument("--home", type=Path, help="use this store instead of a fresh one")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = chosen.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(_app(home))
        store = Store(Settings.from_environment({**os.environ, "MAD_HOME": str(home)}))
        _await_runs(store)
        browser = stack.enter_context(_chromium())
        pages = _pages(store)
        if chosen.all:
            chosen.all.mkdir(parents=True, exist_ok=True)
            for name, path in pages.items():
                for theme in ("light", "dark"):
                    for width in (1440, 900):
                        _shoot(browser, address + path, chosen.all / f"{name}-{theme}-{width}.png", theme, width, 0)
            return
        SHIPPED.mkdir(parents=True, exist_ok=True)
        for name in ("score", "image"):
            _shoot(browser, address + pages[name], SHIPPED / f"{name}.png", "light", 1440, 1000)
        _learn(store)
        _shoot(
            browser,
            f"{address}/audit?part=Learn&dataset={store.datasets()[0].id}",
            SHIPPED / "learn.png",
            "light",
            1440,
            900,
            name="Ada",
        )


@contextlib.contextmanager
def _app(home: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"],
        cwd=ROOT,
        env={**os.environ, "MAD_HOME": str(home)},
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _await_runs(store: Store) -> None:
    """Wait until the runs of the first start are done."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        runs = store.runs()
        if runs and not store.queue.active():
            return
        time.sleep(1)
    raise SystemExit("The first runs did not finish in time.")


@contextlib.contextmanager
def _chromium() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _learn(store: Store) -> None:
    """Grade five plates of each level by their labels, and learn from them."""
    info = store.datasets()[0]
    audit = AuditStore(store)
    audit.reviewer("Ada")
    rows = store.dataset(info.id).select(split="test", subset="plate").groupby("level").head(5)
    for image_id, level in zip(rows["image_id"], rows["level"], strict=True):
        audit.record(Event(info.id, image_id, "Ada", "level", after=float(level)))
    learn_from_ratings(store, info.id)
    _await_runs(store)


def _pages(store: Store) -> dict[str, str]:
    dataset = store.datasets()[0]
    rows = store.dataset(dataset.id).select(split="test", subset="plate")
    crack = rows.loc[rows["defect"] == "crack", "image_id"].iloc[2]
    return {
        "data": "/?subset=plate",
        "score": "/score?subset=plate",
        "new-run": "/score?view=New+run",
        "images": "/images?subset=plate",
        "image": f"/images?subset=plate&image={crack}",
        "compare": "/compare?within=plate",
        "audit": "/audit",
        "studies": "/studies?within=plate",
    }


def _shoot(browser: Browser, address: str, out: Path, theme: str, width: int, height: int, name: str = "") -> None:
    """One screenshot, ``height`` pixels high, or as high as the page where that is 0; under a reviewer's ``name``."""
    context = browser.new_context(
        viewport={"width": width, "height": height or 1000}, color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(address)
    _settle(page)
    if name:
        page.get_by_role("textbox", name="Your name").fill(name)
        page.keyboard.press("Enter")
        page.wait_for_selector(".js-plotly-plot")
        _settle(page)
    if not height:
        full = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": min(int(full) + 40, 6000)})
        _settle(page)
    page.screenshot(path=out)
    context.close()
    print(out)


def _settle(page: Page) -> None:
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")
    page.wait_for_timeout(SETTLE_MS)


if __name__ == "__main__":
    main()
