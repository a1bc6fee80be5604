"""What a press does is done, though the person presses on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)


def press_and_go_on(page: Page) -> None:
    page.get_by_role("button", name="Count").click()
    page.wait_for_timeout(200)  # within its callback
    page.get_by_role("button", name="Note").click()
    page.get_by_role("button", name="Look").click()


def test_callbacks_run_to_their_end(serve: Callable[..., Server], page: Page) -> None:
    page.goto(serve(Path(__file__).parent / "callback_app.py", {"WHOLE_CALLBACKS": "1"}).url)
    for number in range(1, 4):
        press_and_go_on(page)
        expect(page.get_by_text(f"Counted {number}, noted {number}")).to_be_visible()


def test_streamlit_alone_leaves_them(serve: Callable[..., Server], page: Page) -> None:
    """Where this fails, Streamlit has learned it and ``pages/ui/whole_callbacks.py`` can go."""
    page.goto(serve(Path(__file__).parent / "callback_app.py").url)
    press_and_go_on(page)
    page.wait_for_timeout(2000)
    expect(page.get_by_text("Counted 0")).to_be_visible()
