"""Text of others in a real browser: every letter of it is shown, and nothing of it becomes part of the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

EVIL = (
    "<img src=x onerror=alert(1)> <b>b</b> <a href='javascript:alert(1)'>a</a> **b** _i_ [x](javascript:alert(1)) $x$ "
    ":material/home: :smile: :streamlit: :red[r] `c` ~~s~~ &lt;i&gt; www.a.bc https://a.bc/d a@b.cd -> <- -- >= 1."
)
SHOWN = 9
"""How often the page shows it outside of the figure."""


def test_text_of_others_is_shown_letter_by_letter(
    page: Page, serve: Callable[..., Server], settled: Callable[[Page], None]
) -> None:
    server = serve(ROOT / "tests" / "browser" / "markup_app.py", {"EVIL": EVIL, "PYTHONPATH": str(ROOT)})
    page.goto(server.url)
    settled(page)
    shown = page.locator(".st-key-shown")
    found = "n => document.querySelector('.st-key-shown').textContent.split('onerror').length > n"
    page.wait_for_function(found, arg=SHOWN)
    text = shown.text_content() or ""
    assert text.count("https://a.bc/d") >= SHOWN, "an address is copied as it is"
    text = text.replace("\u2060", "")
    assert text.count(EVIL) >= SHOWN, text
    assert shown.locator("img, a, b, strong, em, del, .katex, .stMarkdownColoredText").count() == 0
    assert shown.get_by_text("home", exact=True).count() == 0, "an icon's name stands alone only where it is an icon"
    drawn = page.locator(".st-key-drawn")
    expect(drawn.locator(".js-plotly-plot")).to_contain_text("<img src=x onerror=alert(1)> <b>b</b>", timeout=60_000)
    assert drawn.locator("img, .main-svg a").count() == 0
