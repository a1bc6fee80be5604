"""A press is seen, though something on the page renews itself before a busy server has sent what the press drew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PRESSES = 5


def test_what_a_press_drew_is_sent(serve: Callable[..., Server], page: Page) -> None:
    page.goto(serve(Path(__file__).parent / "busy_loop_app.py", {"SEND_ENDED_RUNS": "1"}).url)
    for number in range(1, PRESSES + 1):
        page.get_by_role("button", name="Press").click()
        expect(page.get_by_text(f"Pressed {number} times")).to_be_visible(timeout=10_000)


def test_streamlit_alone_loses_it(serve: Callable[..., Server], page: Page) -> None:
    """Where this fails, Streamlit has learned it and ``pages/ui/ended_runs.py`` can go."""
    page.goto(serve(Path(__file__).parent / "busy_loop_app.py").url)
    page.get_by_role("button", name="Press").click()
    page.wait_for_timeout(4000)
    expect(page.get_by_text("Pressed 1 times")).to_be_hidden()
