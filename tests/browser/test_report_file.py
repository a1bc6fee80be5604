"""The report, opened as a file: every plot is drawn on a screen and for paper, and no host is asked for anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright import sync_api

from tests.app.conftest import Home, home, scored_home  # noqa: F401 - fixtures
from tests.report_text import report_html

PAPER = (680, 900)
"""A4 within its margins in CSS pixels, and the width of a small screen."""

PHONE = 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_it_without_any_request(
    browser: sync_api.Browser,
    home: Home,  # noqa: F811
    tmp_path: Path,
    scheme: str,
) -> None:
    file = tmp_path / "report.html"
    file.write_text(report_html(home.store, [run.id for run in home.store.runs()], draws=30), encoding="utf-8")
    asked, errors = [], []
    page = browser.new_page(color_scheme=scheme)  # pyright: ignore[reportArgumentType]
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector(f"body[data-drawn={scheme}]", timeout=60_000)
    plots = page.locator(".plot").count()
    assert page.locator(".plot:has(.main-svg)").count() == plots >= 7
    with page.expect_download() as taken:
        page.locator(".take button").first.click()
    assert Path(taken.value.path()).read_bytes().startswith(b"<svg")
    with page.expect_download() as taken:
        page.locator(".take a").first.click()
    assert taken.value.suggested_filename.endswith("metrics.csv")
    assert Path(taken.value.path()).read_text().startswith("Run,Name,Subset")

    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER[0], "height": 900})
    wide = "() => [...document.querySelectorAll('.plot, table, img, pre')].filter(e => e.getClientRects().length"
    wide += f" && e.getBoundingClientRect().right > {PAPER[0]} + 1).map(e => e.outerHTML.slice(0, 80))"
    assert page.evaluate(wide) == [], "nothing is cut off on paper"
    ink = page.locator(".plot .xtick text").first.evaluate("e => getComputedStyle(e).fill")
    assert ink in ("rgb(23, 28, 32)", "rgb(89, 100, 107)"), "dark on white, whatever the reader's theme"
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": PAPER[1], "height": 900})
    page.wait_for_selector(f"body[data-drawn={scheme}]:not([data-paper])", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER[1]
    page.set_viewport_size({"width": PHONE, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, "wide parts scroll by themselves"
    page.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:", file.as_uri()))] == []
    assert errors == []
