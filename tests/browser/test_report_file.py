"""The report, opened as a file: every plot is drawn, and no host is asked for anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright import sync_api

from mad_core.report import report_html
from tests.app.conftest import Home, home  # noqa: F401 - a fixture


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
    page.wait_for_selector(".plot .main-svg")
    plots = page.locator(".plot").count()
    assert page.locator(".plot:has(.main-svg)").count() == plots >= 7
    page.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:", file.as_uri()))] == []
    assert errors == []
