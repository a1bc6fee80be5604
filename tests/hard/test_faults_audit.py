"""An audit while the web server is killed and the database is held by somebody else: no rating is lost or doubled."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from mad_core.audit.labels import AuditStore
from tests.browser.auditing import begin, rate, ready, saved
from tests.browser.conftest import chromium, settle
from tests.browser.scored_demo import scored_demo

from .workshop import App

pytestmark = [pytest.mark.hard, pytest.mark.timeout(1200)]
KILLS = 8


@dataclass
class Audited:
    """A reviewer at work, and what must stand in the record."""

    page: Page
    app: App
    audit: AuditStore
    dataset_id: str
    truth: dict[str, float]
    rated: list[str] = field(default_factory=list)

    def rate(self, count: int) -> None:
        self.rated += rate(self.page, self.truth, count)

    @property
    def ratings(self) -> pd.DataFrame:
        return self.audit.ratings(self.dataset_id)

    def holds(self) -> None:
        levels = self.ratings.set_index("image_id")["level"].to_dict()
        assert levels == {image: self.truth[image] for image in self.rated}


def test_ratings_outlive_a_killed_server(audited: Audited) -> None:
    draw = random.Random(4)
    for _ in range(KILLS):
        audited.rate(draw.randint(1, 5))
        audited.app.kill()
        audited.app.start()
        saved(audited.page)
        ready(audited.page)
        settle(audited.page)
        audited.holds()
    events = Counter(event.image_id for event in audited.audit.events(audited.dataset_id))
    assert max(events.values()) <= 2  # an image that was offered again, as its rating was still under way
    assert "Traceback" not in audited.app.log.read_text(errors="replace")
    print(f"{KILLS} kills, {len(audited.ratings)} ratings")


def test_ratings_outlive_a_busy_database(audited: Audited) -> None:
    home = audited.audit.store.settings.home
    with contextlib.closing(sqlite3.connect(home / "mad.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        audited.rate(3)
        expect(audited.page.get_by_text("Leave this tab open")).to_be_visible()
        assert len(audited.ratings) == 0
        other.execute("ROLLBACK")
    expect(audited.page.get_by_text("The store is back. What you did is saved.")).to_be_visible()
    saved(audited.page)
    audited.holds()
    events = Counter(event.image_id for event in audited.audit.events(audited.dataset_id))
    assert set(events.values()) == {1}
    assert "Traceback" not in audited.app.log.read_text(errors="replace")


@pytest.fixture
def audited(tmp_path: Path, with_demo: Callable[..., Path]) -> Iterator[Audited]:
    store, dataset_id, truth = scored_demo(with_demo(tmp_path / "home"))
    app = App(store.settings, tmp_path / "app.log")
    expect.set_options(timeout=120_000)
    try:
        app.start()
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            begin(page, f"http://127.0.0.1:{app.port}", "Ada", settle)
            yield Audited(page, app, AuditStore(store), dataset_id, truth)
    finally:
        app.end()
        store.close()
