"""A scorer of an installed package, queued from the Score page: its form, its run and its scores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mad_core.datasets.importing import import_dataset
from mad_core.runs.store import Store
from mad_core.settings import Settings
from tests.browser.conftest import ROOT, Server
from tests.browser.test_journeys import _draw, until
from tests.plugins import install_example

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_scorer_of_a_package_is_set_up_queued_and_scores(
    serve: Callable[..., Server], page: Page, settled: Callable[[Page], None], tmp_path: Path
) -> None:
    site = install_example(tmp_path / "plugin")
    _draw(tmp_path / "tiles")
    settings = Settings.from_environment({"MAD_HOME": str(tmp_path / "store")})
    store = Store(settings)
    store.add_dataset(import_dataset(tmp_path / "tiles", settings))
    paths = os.pathsep.join([str(ROOT), str(site)])
    home = {"MAD_HOME": str(tmp_path / "store"), "MAD_ALLOWED_ROOTS": str(tmp_path)}
    server = serve(ROOT / "app.py", {**home, "PYTHONPATH": paths})

    page.goto(server.url)
    settled(page)
    page.get_by_role("link", name="Score").click()
    page.get_by_role("radio", name="New run").or_(page.get_by_role("button", name="New run")).first.click()
    settled(page)
    expect(page.get_by_text("Blurred mean", exact=True)).to_be_visible()
    page.locator(".st-key-set_up_blurred-mean button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Blurred mean").first).to_be_visible()
    radius = dialog.get_by_role("spinbutton", name="radius")
    radius.fill("1.5")
    radius.press("Enter")
    settled(page)
    expect(dialog.get_by_role("button", name="Queue run")).to_be_enabled()
    dialog.get_by_role("button", name="Queue run").click()
    expect(page.get_by_role("heading", name="Blurred mean")).to_be_visible(timeout=60_000)
    until(lambda: [run.status for run in store.runs()] == ["done"], 300)
    run = store.runs()[0]
    assert run.scorer == "blurred-mean" and run.parameters["radius"] == 1.5
    scores = store.scores(run.id)
    assert len(scores) == scores["score"].notna().sum() == 12
    store.close()
