"""A press is seen, though the next run begins before a busy server has sent what the press drew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
APP = Path(__file__).parent / "busy_loop_app.py"
PRESSES = 5


def test_what_a_press_drew_is_sent(serve: Callable[..., Server], page: Page) -> None:
    page.goto(serve(APP, {"SEND_ENDED_RUNS": "1"}).url)
    for number in range(1, PRESSES + 1):
        page.get_by_role("button", name="Press").click()
        expect(page.get_by_text(f"Pressed {number} times")).to_be_visible(timeout=10_000)


def test_streamlit_alone_loses_it(serve: Callable[..., Server], page: Page) -> None:
    """Where this fails, Streamlit has learned it and ``pages/ui/ended_runs.py`` can go."""
    page.goto(serve(APP).url)
    page.get_by_role("button", name="Press").click()
    page.wait_for_timeout(4000)
    expect(page.get_by_text("Pressed 1 times")).to_be_hidden()


def test_what_a_press_drew_is_sent_though_the_next_press_waited_for_it(
    serve: Callable[..., Server], page: Page
) -> None:
    press_twice(page, serve(APP, {"SEND_ENDED_RUNS": "1"}))
    expect(page.get_by_text("Slowly pressed 1 times")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("Slowly pressed 2 times")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Press slowly")).to_be_visible()


def test_streamlit_alone_shows_only_the_last(serve: Callable[..., Server], page: Page) -> None:
    press_twice(page, serve(APP))
    page.wait_for_timeout(8000)
    expect(page.get_by_text("Slowly pressed 0 times")).to_be_visible()


def press_twice(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?slow=1")
    button = page.get_by_role("button", name="Press slowly")
    button.click()
    page.wait_for_timeout(300)
    button.click()
