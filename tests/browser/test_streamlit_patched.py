"""What Streamlit alone gets wrong, each beside what it does once patched.

Where a test of Streamlit alone fails, Streamlit has learned it: that row of ``PATCHES`` can go.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server, Watch, free_port
from tests.browser.slow_link import Link, slow_link

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Serve = Callable[..., Server]
Apps = Callable[[str], Server]
APPS = Path(__file__).parent
PATCHED = {"STREAMLIT_PATCHED": "1"}
PRESSES = 5
ROUNDS = 5
SLOW_SECONDS = 0.4
"""Of delay on the way from the server, while somebody leaves a page."""
OPENING_MS = 60_000
BESIDE_PAGES = """
import streamlit as st
from streamlit import runtime

if runtime.exists():
    st.navigation([st.Page(lambda: st.title("First"), url_path="first", default=True),
                   st.Page(lambda: st.title("Second"), url_path="second")]).run()
else:
    app = st.App(__file__)
"""


@pytest.fixture(scope="module")
def alone(serve: Serve) -> Apps:
    """``alone("busy_loop")``: the server of such an app with Streamlit as it is."""
    return functools.cache(lambda name: serve(APPS / f"{name}_app.py"))


@pytest.fixture(scope="module")
def patched(serve: Serve) -> Apps:
    """The same with the patches."""
    return functools.cache(lambda name: serve(APPS / f"{name}_app.py", PATCHED))


@pytest.fixture(scope="module")
def app(serve: Serve) -> Server:
    return serve(ROOT / "app.py")


# -- a folder of pages beside the app -----------------------------------------------------------------


def test_a_fresh_server_knows_every_page(
    app: Server, page: Page, watch: Watch, settled: Callable[[Page], None]
) -> None:
    page.goto(f"{app.url}/score")
    expect(page.get_by_role("heading", name="Score", exact=True)).to_be_visible(timeout=OPENING_MS)
    settled(page)
    expect(page.get_by_text("Page not found")).to_be_hidden()
    watch.errors[:] = [error for error in watch.errors if "/score/_stcore/" not in error]  # it looks there first


def test_streamlit_alone_takes_the_folder_for_its_pages(serve: Serve, page: Page, watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "app.py").write_text(BESIDE_PAGES, encoding="utf-8")
    page.goto(f"{serve(tmp_path / 'app.py').url}/second")
    expect(page.get_by_text("Page not found")).to_be_visible()
    watch.errors.clear()


# -- requests of a page that was left ----------------------------------------------------------------


def test_what_a_page_asked_for_before_it_was_left_does_not_come_back(patched: Apps, page: Page) -> None:
    server, port = patched("switching"), free_port()
    with slow_link(port, urlsplit(server.url).port or 0) as link:
        for number in range(ROUNDS):
            go_on(page, port, link, number)
            expect(page.get_by_role("heading", name="Second")).to_be_visible(timeout=5000)
            expect(page.get_by_text("All of it")).to_be_visible(timeout=5000)


def test_streamlit_alone_goes_back(alone: Apps, page: Page, watch: Watch) -> None:
    server, port = alone("switching"), free_port()
    with slow_link(port, urlsplit(server.url).port or 0) as link:
        for number in range(4 * ROUNDS):
            go_on(page, port, link, number % ROUNDS)
            arrived = page.get_by_role("heading", name="Second").is_visible() and not watch.errors
            watch.errors.clear()
            if not arrived:
                return
    pytest.skip("Not once in 20 rounds: a matter of chance, but where it is so each time the patch can go.")


def go_on(page: Page, port: int, link: Link, number: int) -> None:
    link.seconds = 0.0  # no need to wait for what draws the page
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    link.seconds = SLOW_SECONDS
    page.wait_for_timeout(500 + 200 * number)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_timeout(1500)


# -- what an ended run drew --------------------------------------------------------------------------


def test_what_a_press_drew_is_sent(patched: Apps, page: Page) -> None:
    page.goto(patched("busy_loop").url)
    for number in range(1, PRESSES + 1):
        page.get_by_role("button", name="Press").click()
        expect(page.get_by_text(f"Pressed {number} times")).to_be_visible(timeout=10_000)


def test_streamlit_alone_loses_it(alone: Apps, page: Page) -> None:
    button = page.get_by_role("button", name="Press")
    for _ in range(ROUNDS):  # on a busy machine it loses what its first run drew as well
        page.goto(alone("busy_loop").url)
        with contextlib.suppress(AssertionError):
            expect(button).to_be_visible(timeout=10_000)
            break
    button.click()
    page.wait_for_timeout(4000)
    expect(page.get_by_text("Pressed 1 times")).to_be_hidden()


def test_what_a_press_drew_is_sent_though_the_next_press_waited_for_it(patched: Apps, page: Page) -> None:
    press_twice(page, patched("busy_loop"))
    expect(page.get_by_text("Slowly pressed 1 times")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("Slowly pressed 2 times")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Press slowly")).to_be_visible()


def test_streamlit_alone_shows_only_the_last(alone: Apps, page: Page) -> None:
    press_twice(page, alone("busy_loop"))
    page.wait_for_timeout(3500)
    expect(page.get_by_text("Slowly pressed 0 times")).to_be_visible()


def press_twice(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?slow=1")
    button = page.get_by_role("button", name="Press slowly")
    button.click()
    page.wait_for_timeout(300)
    button.click()


# -- callbacks ---------------------------------------------------------------------------------------


def test_callbacks_run_to_their_end(patched: Apps, page: Page) -> None:
    page.goto(patched("callback").url)
    for number in range(1, 4):
        press_and_go_on(page)
        expect(page.get_by_text(f"Counted {number}, noted {number}")).to_be_visible(timeout=60_000)


def test_a_press_within_the_callback_of_one_that_waited_waits_too(patched: Apps, page: Page) -> None:
    page.goto(patched("callback").url)
    expect(page.get_by_text("Counted 0")).to_be_visible()
    for _ in range(3):  # 0.5 s each: the second waits for the first, the third comes within the second
        page.get_by_role("button", name="Count").click()
        page.wait_for_timeout(350)
    expect(page.get_by_text("Counted 3")).to_be_visible()


def test_streamlit_alone_leaves_them(alone: Apps, page: Page) -> None:
    page.goto(alone("callback").url)
    press_and_go_on(page)
    page.wait_for_timeout(2000)
    expect(page.get_by_text("Counted 0")).to_be_visible()


def press_and_go_on(page: Page) -> None:
    page.get_by_role("button", name="Count").click()
    page.wait_for_timeout(200)  # within its callback
    page.get_by_role("button", name="Note").click()
    page.get_by_role("button", name="Look").click()


# -- the address of the first page -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/mad"])
def test_the_first_page_has_its_own_address_too(
    app: Server, serve: Serve, page: Page, settled: Callable[[Page], None], path: str
) -> None:
    server = serve(ROOT / "app.py", {"STREAMLIT_SERVER_BASE_URL_PATH": path}, path=path) if path else app
    page.goto(f"{server.url}/data?guide=2&dataset=none+such%26")
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible(timeout=OPENING_MS)
    settled(page)
    expect(page.get_by_text("Page not found")).to_be_hidden()
    expect(page).to_have_url(re.compile(rf"^{re.escape(server.url)}/\?.*guide=2"))
