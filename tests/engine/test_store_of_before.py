"""A store made by the version before this one, with all that it may hold, is read, and the work in it goes on.

``data/store_of_0_1_0`` is the text of its database, with places for the folders, beside its maps, its uploads and the
drawn dataset. Its fits are not there: code that changed makes them anew.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mad_core.audit.labels import AuditStore
from mad_core.runs.in_process import do_here
from mad_core.runs.jobs import about, payload_of, title_of
from mad_core.runs.store import Store
from mad_core.settings import Settings
from mad_core.studies.record import list_studies

BEFORE = Path(__file__).parent / "data" / "store_of_0_1_0"


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> Iterator[Store]:
    shutil.copytree(BEFORE / "home", settings.home)
    shutil.copytree(BEFORE / "parts", tmp_path / "parts")
    text = (BEFORE / "store.sql").read_text(encoding="utf-8")
    with sqlite3.connect(settings.home / "mad.db") as connection:
        connection.executescript(text.replace("@HOME@", str(settings.home)).replace("@DATA@", str(tmp_path / "parts")))
    connection.close()
    opened = Store(settings)
    yield opened
    opened.close()


def test_everything_is_there_and_readable(store: Store) -> None:
    (info,) = store.datasets()
    dataset = store.dataset(info.id)
    assert dataset.subsets == ["bolt", "nut"] and len(dataset.table) == info.images == 26
    kept, on_demand, waiting = store.runs()
    assert [run.status for run in (kept, on_demand, waiting)] == ["done", "done", "queued"]
    assert bool(store.scores(kept.id)["score"].notna().to_numpy().all()) and len(store.scores(kept.id)) == 18
    for image_id in store.scores(kept.id)["image_id"]:
        anomaly_map = store.read_map(kept, image_id)
        assert anomaly_map is not None and np.isfinite(anomaly_map).all() and max(anomaly_map.shape) == kept.map_side
    audit = AuditStore(store)
    assert {r.name: r.role for r in audit.reviewers()} == {"Ada": "adjudicator", "Ben": "reviewer"}
    assert [e.kind for e in audit.events(info.id)] == ["level", "level", "level", "undo"]
    assert audit.ratings(info.id)["level"].tolist() == [2.0, 1.0]
    assert store.cuts.of_run(kept.id)["bolt"].levels == (0.0, 1.0, 2.0)
    done, queued = list_studies(store)
    assert done.finding is not None and done.finding.sentence and done.runs == (kept.id,)
    assert queued.status == "queued"


def test_what_waits_in_its_queue_is_understood(store: Store) -> None:
    jobs = store.queue.active()
    assert sorted(job.kind for job in jobs) == [
        *("fetch", "import", "import", "import", "map", "report", "run", "single", "study")
    ]
    assert all(payload_of(job) and title_of(job) and about(store, job) for job in jobs)


@pytest.mark.parametrize("kind", ["run", "single", "map", "report", "study"])
def test_what_waits_in_its_queue_is_done(store: Store, kind: str) -> None:
    (job,) = [job for job in store.queue.active() if job.kind == kind]
    done = do_here(store, job.id, "cpu", lambda facts: None)
    assert done.status == "done" and done.error is None
    if kind == "run":
        waiting = store.runs()[-1]
        assert (waiting.status, waiting.done) == ("done", waiting.total)
