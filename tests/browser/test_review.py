"""The review components in a real browser: keys, the picture ahead, what is sent, and what is never markup."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
expect.set_options(timeout=60_000)

Settled = Callable[[Page], None]


@pytest.fixture(scope="module")
def server(serve: Callable[..., Server]) -> Server:
    return serve(ROOT / "tests" / "browser" / "review_app.py")


def opened(page: Page, server: Server, settled: Settled, query: str) -> None:
    page.goto(f"{server.url}/?{query}")
    settled(page)


def saved(page: Page) -> None:
    expect(page.locator("[data-saved]")).to_have_attribute("data-saved", "true")


def on_image(page: Page, image: int) -> None:
    expect(page.locator(".review")).to_have_attribute("data-image", str(image))
    expect(page.locator(".review")).to_have_attribute("data-state", "ready")


def acts(page: Page, text: str) -> None:
    expect(page.get_by_text(f"acts: {text}", exact=True)).to_be_visible()


def test_keys_rate_comment_and_go_on_and_what_was_hidden_comes_after_the_commit(
    server: Server, page: Page, settled: Settled
) -> None:
    opened(page, server, settled, "show=review")
    on_image(page, 0)
    expect(page.get_by_text("hidden until you commit")).to_be_visible()
    assert "bad/1.png" not in page.content()
    page.keyboard.press("1")
    expect(page.locator(".rung").nth(1)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press(".")
    expect(page.locator(".rung").nth(2)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("c")
    page.keyboard.type("3 cracks")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    acts(page, "level:0:1.5")
    expect(page.get_by_text("bad/1.png")).to_be_visible()
    expect(page.get_by_text("<i>Why</i>")).to_be_visible()
    expect(page.get_by_text("L2 · <b>severe</b>")).to_be_visible()
    page.keyboard.press("Enter")
    on_image(page, 1)
    page.keyboard.press("u")
    page.keyboard.press("Enter")
    page.keyboard.press("z")
    saved(page)
    acts(page, "level:0:1.5 unsure:1:None undo::None")
    on_image(page, 1)
    page.keyboard.press("7")
    expect(page.get_by_text("This dataset has no level 7")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Choose a level first")).to_be_visible()
    acts(page, "level:0:1.5 unsure:1:None undo::None")


def test_a_region_is_drawn_by_pointer_and_by_keys(server: Server, page: Page, settled: Settled) -> None:
    opened(page, server, settled, "show=review")
    on_image(page, 0)
    page.keyboard.press("r")
    frame = page.locator(".frame").bounding_box()
    assert frame
    page.mouse.move(frame["x"] + frame["width"] * 0.25, frame["y"] + frame["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.5, frame["y"] + frame["height"] * 0.75, steps=4)
    page.mouse.up()
    page.keyboard.press("ArrowRight")
    style = page.locator(".box").evaluate("box => [box.style.left, box.style.width]")
    assert [round(float(text.rstrip("%"))) for text in style] == [27, 25]
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    acts(page, "level:0:2.0")


def test_the_next_image_is_there_within_a_third_of_a_second(server: Server, page: Page, settled: Settled) -> None:
    opened(page, server, settled, "show=review&after=on")
    on_image(page, 0)
    for image in range(1, 26):
        page.keyboard.press(str(image % 3))
        page.keyboard.press("Enter")
        on_image(page, image)
    saved(page)
    times = json.loads(page.locator(".review").get_attribute("data-times") or "[]")[1:]
    print(f"next image: median {statistics.median(times):.0f} ms, slowest {max(times)} ms of {len(times)}")
    assert len(times) == 25
    assert statistics.median(times) < 300
    expect(page.get_by_text("25 of 30 rated")).to_be_visible()


def test_images_that_are_rated_are_passed_over_though_the_browser_has_not_got_the_next_one_yet(
    server: Server, page: Page, settled: Settled
) -> None:
    opened(page, server, settled, "show=review&after=on&rated=2-27")  # more than the browser holds ahead
    for image in (0, 1):
        on_image(page, image)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
    on_image(page, 28)
    saved(page)
    acts(page, "level:0:1.0 level:1:1.0")


def test_what_the_store_cannot_take_stays_in_the_browser_though_the_component_leaves_the_page(
    server: Server, page: Page, settled: Settled
) -> None:
    opened(page, server, settled, "show=review&after=on&faults=1")
    on_image(page, 0)
    page.get_by_text("Full").click()
    settled(page)
    for image in (1, 2):
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        on_image(page, image)
    page.keyboard.press("c")
    page.keyboard.type("half a com")
    page.get_by_text("Away").click()
    expect(page.locator(".review")).to_have_count(0)
    page.get_by_text("Away").click()
    on_image(page, 2)
    expect(page.get_by_role("textbox", name="Comment")).to_have_value("half a com")
    expect(page.locator("[data-saved]")).to_have_attribute("data-saved", "false")
    acts(page, "none")
    page.get_by_text("Full").click()
    expect(page.locator("[data-saved]")).to_have_attribute("data-saved", "true", timeout=20_000)
    acts(page, "level:0:1.0 level:1:1.0")


def test_pairs_are_answered_by_keys(server: Server, page: Page, settled: Settled) -> None:
    opened(page, server, settled, "show=pairs")
    pairs = page.locator(".pairs")
    expect(pairs).to_have_attribute("data-pair", "0-1")
    page.keyboard.press("ArrowLeft")
    expect(pairs).to_have_attribute("data-pair", "1-2")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    saved(page)
    acts(page, "compare:0:1.0 compare:1:0.5 compare:2:0.0")
    expect(page.get_by_text("3 comparisons")).to_be_visible()
