"""The audit, in a real browser: 50 images by the keyboard alone, left and taken up, agreed on, counted, exported."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from mad_core.audit.events import Event
from mad_core.audit.labels import AuditStore
from mad_core.runs.store import Store
from tests.browser.auditing import begin, rate, saved
from tests.browser.conftest import ROOT, Server, profile
from tests.browser.scored_demo import scored_demo

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1800)]
expect.set_options(timeout=120_000)

A_LEVEL = 14
"""Test images of each level in a smaller demo."""
TESTS, IMAGES = 5 * A_LEVEL, 50
NAME = "Ada Expert"


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, with_demo: Callable[..., Path]
) -> Iterator[tuple[Store, str, dict[str, float], Path]]:
    home = with_demo(tmp_path_factory.mktemp("audit") / "store", normals=8, a_level=A_LEVEL)
    store, dataset_id, truth = scored_demo(home)
    yield store, dataset_id, truth, home
    store.close()


@pytest.fixture(scope="module")
def server(serve: Callable[..., Server], demo: tuple[Store, str, dict[str, float], Path]) -> Server:
    return serve(ROOT / "app.py", {"MAD_HOME": str(demo[3])})


@pytest.fixture
def second_page(browser: Browser) -> Iterator[Page]:
    """A tab of another browser profile, which knows nothing of the first."""
    with profile(browser) as context:
        yield context.new_page()


def test_fifty_images_are_audited_by_keys_and_the_corrections_count(
    server: Server,
    demo: tuple[Store, str, dict[str, float], Path],
    page: Page,
    second_page: Page,
    settled: Callable[[Page], None],
) -> None:
    store, dataset_id, truth, home = demo
    audit = AuditStore(store)
    images = store.dataset(dataset_id).table
    labels = dict(zip(images["image_id"], images["level"], strict=True))

    begin(page, server.url, NAME, settled)
    assert "level_" not in page.content()  # paths of the demo name the level
    first = rate(page, truth, 20)
    saved(page)
    page.keyboard.press("z")
    expect(page.locator(".review")).to_have_attribute("data-image", first[-1])
    page.keyboard.press("z")
    expect(page.locator(".review")).to_have_attribute("data-image", first[-2])
    saved(page)
    assert len(audit.ratings(dataset_id)) == 18
    times = json.loads(page.locator(".review").get_attribute("data-times") or "[]")[1:]
    print(f"next image: median {statistics.median(times):.0f} ms, slowest {max(times)} ms of {len(times)}")
    assert statistics.median(times) < 300

    page.context.close()  # left, and taken up in a browser that knows nothing
    begin(second_page, server.url, NAME, settled)
    expect(second_page.get_by_text(f"18 of {TESTS} rated")).to_be_visible()
    rest = rate(second_page, truth, IMAGES - 18)
    saved(second_page)
    assert len(set(rest)) == len(rest)
    rows = audit.ratings(dataset_id)
    assert len(rows) == IMAGES
    assert not rows["scores_visible"].to_numpy()[:18].any()
    assert set(rest) >= set(first[-2:])
    assert not set(rest) & set(first[:-2])  # nothing is offered twice

    audit.reviewer("Bo Colleague")
    given = {}
    for number, image in enumerate(rows["image_id"]):
        level = given[image] = truth[image] if number % 5 else min(truth[image] + 1, 4.0)
        audit.record(Event(dataset_id, image, "Bo Colleague", "level", after=level))
    choose(second_page, "Agreement", settled)
    expect(second_page.get_by_text("quadratic-weighted kappa").first).to_be_visible()
    expect(second_page.get_by_text("Krippendorff").first).to_be_visible()
    expect(second_page.get_by_text("Bo Colleague").first).to_be_visible()

    choose(second_page, "Consequence", settled)
    expect(second_page.get_by_text(re.compile("C-index (rises|falls) from 0\\.")).first).to_be_visible()
    moved = [image for image in rows["image_id"] if truth[image] != labels[image]]
    assert moved

    choose(second_page, "Export and import", settled)
    with second_page.expect_download() as download:
        second_page.get_by_role("button", name="Corrected labels").first.click()
    out = home / "demo" / "plate" / "test" / download.value.suggested_filename  # where its paths begin
    download.value.save_as(out)
    table = pd.read_csv(out)
    assert list(table.columns)[:3] == ["Path", "Severity", "Anomaly Score"]
    checked, evaluated = (_takes(command, out) for command in ("check", "evaluate"))
    assert checked["problems"] == []
    assert evaluated["n"] == evaluated["n_scored"] == TESTS
    plates = store.dataset(dataset_id).select(subset="plate", split="test")
    ids = dict(zip(plates["template_path"], plates["image_id"], strict=True))
    levels = {ids[path]: level for path, level in zip(table["Path"], table["Severity"], strict=True)}
    assert all(levels[image] == truth[image] for image in moved if truth[image] == given[image])


def choose(page: Page, part: str, settled: Callable[[Page], None]) -> None:
    page.get_by_role("radio", name=part).or_(page.get_by_role("button", name=part, exact=True)).first.click()
    settled(page)


def _takes(command: str, table: Path) -> dict[str, Any]:
    """What a command says of the exported table."""
    line = [sys.executable, "-m", "mad_core", command, str(table), "--json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
