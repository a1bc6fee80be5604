"""Cuts between levels in a real browser: dragged, moved by keys, beyond all scores."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import component_app as demo

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(serve) -> str:
    return serve(Path(demo.__file__)).url


@pytest.fixture
def plot(page: Page, address: str, settled: Callable[[Page], None]) -> Callable[..., Page]:
    """``plot(last=6)`` opens the plot of cuts with its higher cut there."""

    def open_plot(last: float = 6.0) -> Page:
        page.goto(f"{address}/?show=cuts&last={last}")
        settled(page)
        expect(handle(page, 1)).to_be_visible()
        return page

    return open_plot


def handle(page: Page, number: int) -> Locator:
    return page.get_by_role("slider").nth(number)


def at(page: Page, number: int) -> float:
    return float(handle(page, number).get_attribute("aria-valuenow") or "nan")


def known(page: Page) -> list[float]:
    """The cuts as the server has them."""
    return [float(value) for value in page.get_by_text("cuts: ").inner_text().split()[1:]]


def drag(page: Page, number: int, by: float) -> None:
    box = handle(page, number).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 8
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by / 2, y)
    page.mouse.move(x + by, y)
    page.mouse.up()


def test_a_cut_is_dragged_and_stops_at_its_neighbour(plot: Callable[..., Page]) -> None:
    page = plot()
    assert "L1 from 2" in handle(page, 0).inner_text()
    called = page.locator(".called").nth(1)
    expect(called).to_have_text("100 % of 20 called so")
    drag(page, 0, 220)
    expect(page.get_by_text("cuts: ")).not_to_have_text(re.compile(r"cuts: 2\.000"))
    moved = known(page)
    assert 4 < moved[0] < 6 and moved[1] == 6
    assert at(page, 0) == pytest.approx(moved[0], abs=1e-3)
    expect(called).not_to_have_text("100 % of 20 called so")  # what is seen moves with it
    drag(page, 0, 900)
    expect(page.get_by_text("cuts: 6.000 6.000")).to_be_visible()


def test_keys_move_a_cut_and_it_says_its_value(plot: Callable[..., Page]) -> None:
    page = plot()
    lower = handle(page, 0)
    lower.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_text("cuts: ")).not_to_have_text(re.compile(r"cuts: 2\.000"))
    first = known(page)[0]
    assert 2 < first < 6
    assert lower.get_attribute("aria-valuetext") == f"{first:.4g}"
    name = page.locator(".name").nth(2)
    expect(name).to_contain_text("L2 · a level that")
    edges = name.evaluate("n => [n.ownerSVGElement, n].map((e) => e.getBoundingClientRect().left)")
    assert edges[0] <= edges[1], "the level is not cut, however long its name"
    assert lower.get_attribute("aria-valuemax") == "6"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")  # what waits is sent when the handle is left
    expect(page.get_by_text(re.compile(r"cuts: -\d"))).to_be_visible()
    expect(handle(page, 1)).to_be_focused()
    expect(page.locator(".called").first).to_have_text("0 % of 20 called so")


def test_a_cut_beyond_all_scores_stays_until_it_is_moved(plot: Callable[..., Page]) -> None:
    page = plot(last=1e6)
    expect(handle(page, 1)).to_contain_text("L2 from 1000000 \u25b8")
    drag(page, 0, 60)
    expect(page.get_by_text(re.compile(r"cuts: .* 1000000\.000"))).to_be_visible()
    handle(page, 1).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    expect(page.get_by_text(re.compile(r"^cuts: \S+ 10\.\d+$"))).to_be_visible()
    expect(page.locator(".name").first).to_have_text("L0 · <b>level")
