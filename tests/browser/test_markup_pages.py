"""The real pages over a dataset whose every text is markup: in components, figures and the report none of it runs."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from mad_core.datasets.dataset import Imported
from mad_core.runs.store import Store
from mad_core.settings import Settings
from tests.app.conftest import Home, _draw, marked_up, scored
from tests.browser.conftest import ROOT, Server, Watch

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
expect.set_options(timeout=60_000)

TRIES = 20
EVIL = "\"'><img src=x onerror=alert(1)><script>alert(2)</script> **b** [x](javascript:alert(3)) :material/home:"
ALIEN = "img[src='x'], a[href^='javascript'], script:not([src]):not([type])"
LOOK = """selector => {
  const found = [], texts = [], roots = [document];
  for (const root of roots) {
    found.push(...root.querySelectorAll(selector));
    texts.push(root.body ? root.body.textContent : root.textContent);
    for (const element of root.querySelectorAll('*')) if (element.shadowRoot) roots.push(element.shadowRoot);
  }
  return [found.filter(e => e.textContent.includes('alert') || e.tagName !== 'SCRIPT').length, texts.join(' ')];
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("evil")
    store = Store(Settings.from_environment({"MAD_HOME": str(folder / "store")}))
    home = Home(store, store.add_dataset(Imported(marked_up(_draw(folder / "images"), EVIL))))
    rng = random.Random(5)
    for number in (1, 2):
        home.add_run(f"{EVIL} {number}", lambda row: scored(row, row.level + rng.random(), reason=EVIL))
    return home


@pytest.fixture
def said(page: Page) -> list[str]:
    """What dialogs say, which no page opens."""
    messages: list[str] = []

    def close(dialog: Dialog) -> None:
        messages.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", close)
    return messages


def test_on_real_pages_text_of_others_stays_text(
    home: Home, page: Page, said: list[str], watch: Watch, serve: Callable[..., Server], settled: Callable[[Page], None]
) -> None:
    server = serve(ROOT / "app.py", {"MAD_HOME": str(home.store.settings.home)})

    def look(where: str) -> None:
        settled(page)
        alien, text = page.evaluate(LOOK, ALIEN)
        assert (alien, said) == (0, []), where
        assert "onerror=alert(1)" in text, f"the texts are not on {where}"

    page.goto(server.url)
    expect(page.locator(".tile").first).to_be_visible()
    look("Data")
    page.goto(f"{server.url}/images")
    page.locator(".tile").first.hover()
    look("the gallery")
    page.locator(".tile").first.click()
    expect(page.get_by_role("button", name="Gallery")).to_be_visible()
    look("the page of one image")
    page.goto(f"{server.url}/compare")
    cloud = page.get_by_role("figure", name=re.compile("by severity level for n =")).first
    expect(cloud).to_be_visible()  # drawn some seconds later where it lies far below the window
    hint = page.locator(".hoverlayer .hovertext").first
    for _ in range(TRIES):  # a figure that is drawn anew meanwhile forgets where the pointer is
        settled(page)
        point = cloud.locator(".scatterlayer .point").first
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        assert box is not None
        for step in (0, 1):
            page.mouse.move(box["x"] + box["width"] / 2 + step, box["y"] + box["height"] / 2)
        page.wait_for_timeout(500)
        if hint.is_visible():
            break
    expect(hint).to_contain_text("onerror")
    look("Compare")
    page.goto(f"{server.url}/score")
    look("Score")
    page.goto(f"{server.url}/audit")
    page.get_by_label("Your name").fill(f"{EVIL} Ada"[:100])
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_label("Your name")).to_be_hidden()
    page.wait_for_timeout(1500)
    look("Audit")
    # Streamlit looks for itself below the page that was opened first, then above it.
    watch.errors[:] = [error for error in watch.errors if "/_stcore/" not in error]


def test_in_a_report_text_of_others_stays_text(
    home: Home, page: Page, said: list[str], watch: Watch, tmp_path: Path
) -> None:
    runs = [run.id for run in home.store.runs(home.dataset)]
    command = [sys.executable, "-m", "mad_core", "report", *runs, "--out", str(tmp_path / "report.html")]
    environment = {**os.environ, "MAD_HOME": str(home.store.settings.home)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_timeout(2000)
    alien, text = page.evaluate(LOOK, "img[src='x'], a[href^='javascript']")
    assert (alien, said) == (0, [])
    assert "onerror=alert(1)" in text
    watch.foreign[:] = [address for address in watch.foreign if not address.startswith("file:")]
