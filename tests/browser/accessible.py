"""What axe finds on a page as it stands, in the light theme and in the dark one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

from tests.browser.conftest import settle

AXE = Path(axe_playwright_python.__path__[0]) / "axe.min.js"
RUN = "options => axe.run(document, {resultTypes: ['violations'], ...options}).then(found => found.violations)"
DIALOG = ".stDialog [role=dialog]"
RUNNING = "[data-testid='stApp'][data-test-script-state='running']"
IS_DARK = "(getComputedStyle(document.querySelector('.stApp')).backgroundColor !== 'rgb(255, 255, 255)')"


def faults(page: Page) -> list[str]:
    """A line for each element that breaks a rule; then colours are looked at in the other theme, which stays."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = _lines(page, {})
    _change_theme(page)
    return found + _lines(page, {"runOnly": ["color-contrast"]})


def _lines(page: Page, options: dict[str, Any]) -> list[str]:
    return [
        f"{rule['impact']} {rule['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for rule in page.evaluate(RUN, options)
        for node in rule["nodes"]
    ]


def _change_theme(page: Page) -> None:
    """From light to dark or back; the page is drawn again, unless that would close a dialog."""
    dark = page.evaluate(IS_DARK)
    page.emulate_media(color_scheme="light" if dark else "dark")
    page.wait_for_function(f"dark => {IS_DARK} !== dark", arg=dark)
    if not page.locator(DIALOG).count():
        page.wait_for_selector(RUNNING)
    settle(page)
