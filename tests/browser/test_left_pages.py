"""Pages that switch while something on them renews itself, over a slow link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, free_port
from tests.browser.slow_link import slow_link

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROUNDS = 5


def test_what_a_page_asked_for_before_it_was_left_does_not_come_back(serve: Callable[..., Server], page: Page) -> None:
    server, port = serve(Path(__file__).parent / "switching_app.py"), free_port()
    with slow_link(port, urlsplit(server.url).port or 0, seconds=0.4):
        for number in range(ROUNDS):
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.get_by_role("button", name="Go on")).to_be_visible()
            page.wait_for_timeout(500 + 200 * number)
            page.get_by_role("button", name="Go on").click()
            page.wait_for_timeout(1500)
            expect(page.get_by_role("heading", name="Second")).to_be_visible(timeout=5000)
            expect(page.get_by_text("All of it")).to_be_visible(timeout=5000)
