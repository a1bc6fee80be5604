"""How the tests audit in a browser: by keys alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from playwright.sync_api import Page, expect

PLATE = "within=plate&agreed=plate&table=plate"


def begin(page: Page, address: str, name: str, settled: Callable[[Page], None], view: str = PLATE) -> None:
    """Open the audit under a name, by default of the demo's plate; a commit goes straight on to the next image."""
    page.goto(f"{address}/?after=on&{view}")
    page.get_by_role("link", name="Audit").click()
    page.get_by_role("textbox", name="Your name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Somebody else")).to_be_visible()
    ready(page)
    settled(page)


def ready(page: Page) -> None:
    expect(page.locator(".review")).to_have_attribute("data-state", "ready")


def rate(page: Page, truth: Mapping[str, float], count: int) -> list[str]:
    """Rate so many images by their true level; returns their ids."""
    rated = []
    for _ in range(count):
        ready(page)
        review = page.locator(".review")
        image = review.get_attribute("data-image") or ""
        rated.append(image)
        page.keyboard.press(f"{truth[image]:g}")
        page.keyboard.press("Enter")
        expect(review).not_to_have_attribute("data-image", image)
    return rated


def saved(page: Page) -> None:
    expect(page.locator("[data-saved]").first).to_have_attribute("data-saved", "true")
