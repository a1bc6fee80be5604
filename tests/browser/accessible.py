"""What axe finds on a page as it stands, in the light theme and in the dark one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

from tests.browser.conftest import settle

AXE = Path(axe_playwright_python.__path__[0]) / "axe.min.js"
RUN = "options => axe.run(document, {resultTypes: ['violations'], ...options}).then(found => found.violations)"
ON_GROUND = (
    "dark => (getComputedStyle(document.querySelector('.stApp')).backgroundColor !== 'rgb(255, 255, 255)') === dark"
)


def faults(page: Page) -> list[str]:
    """A line for each element that breaks a rule; in the dark theme only colours are looked at once more."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = _lines(page, {})
    _show(page, "dark")
    found += _lines(page, {"runOnly": ["color-contrast"]})
    _show(page, "light")
    return found


def _lines(page: Page, options: dict[str, Any]) -> list[str]:
    return [
        f"{rule['impact']} {rule['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for rule in page.evaluate(RUN, options)
        for node in rule["nodes"]
    ]


def _show(page: Page, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # pyright: ignore[reportArgumentType]
    page.wait_for_function(ON_GROUND, arg=theme == "dark")
    settle(page)
