# ruff: noqa: F811 - fixtures are taken from the daily tests
"""PostgreSQL as the store: the same tests as SQLite's, and what only several processes on a server can get wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from mad_core.backup.create import back_up
from mad_core.backup.restore import restore
from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError, WorkError
from mad_core.runs.database.schema import jobs
from mad_core.runs.in_process import do_here
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings
from tests.engine.conftest import dataset_id, make_dataset, store  # noqa: F401
from tests.engine.test_audit_labels import *  # noqa: F403
from tests.engine.test_backup import all_rows, filled, scored_run  # noqa: F401
from tests.engine.test_backup import test_a_backup_comes_back_as_it_was_in_another_folder as test_to_a_file  # noqa: F401
from tests.engine.test_backup import test_a_backup_while_a_run_is_at_work_is_one_moment_of_it as test_while  # noqa: F401
from tests.engine.test_cuts import *  # noqa: F403
from tests.engine.test_migrations import *  # noqa: F403
from tests.engine.test_queue import *  # noqa: F403
from tests.engine.test_store import *  # noqa: F403
from tests.engine.test_study_record import *  # noqa: F403
from tests.postgres import PASSWORD, Postgres, serving

pytestmark = [pytest.mark.hard, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with serving() as running:
        yield running


@pytest.fixture
def settings(postgres: Postgres, tmp_path: Path) -> Settings:
    return Settings.from_environment({"MAD_HOME": str(tmp_path / "home"), "MAD_DATABASE_URL": postgres.new()})


# -- what only a server can get wrong -------------------------------------------------------------

CLAIM = """
import sys, time
from mad_core.runs.store import Store
from mad_core.settings import Settings

store, name = Store(Settings.from_environment()), sys.argv[1]
store.queue.register(name, "cpu", {})
sys.stdin.read()
while (job := store.queue.claim(name, ("auto",))) is not None:
    store.queue.beat(job.id, name, {"done": 1})
    store.queue.finish(job.id, name, "done", result={"by": name})
    print(job.id, flush=True)
"""


def test_two_worker_processes_share_one_queue(settings: Settings, store: Store) -> None:
    wanted = [store.queue.submit("run", {"n": number}) for number in range(80)]
    environment = {**os.environ, "MAD_HOME": str(settings.home), "MAD_DATABASE_URL": settings.database_url}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, name],
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    deadline = time.monotonic() + 120
    while len(store.queue.workers()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    taken = [[int(line) for line in process.stdout or ()] for process in started]
    assert [process.wait(60) for process in started] == [0, 0]
    assert sorted(taken[0] + taken[1]) == wanted and min(map(len, taken)) > 0
    assert all(job_ids == sorted(job_ids) for job_ids in taken)  # first in, first out
    results = [store.queue.job(job_id) for job_id in wanted]
    assert all(job.status == "done" and job.result == {"by": job.worker} and job.attempts == 1 for job in results)


def test_sessions_that_submit_at_once_get_one_job_a_key(settings: Settings, store: Store) -> None:
    def submit(_: int) -> int:
        mine = Store(settings)
        try:
            return mine.queue.submit("import", {}, key="import:" + "/very/long/path" * 40)
        finally:
            mine.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(submit, range(8)))) == 1
    assert store.queue.active_for("import:" + "/very/long/path" * 40) is not None


def test_a_reader_sees_one_moment(store: Store) -> None:
    count = sa.select(sa.func.count()).select_from(jobs)
    with store.database.read() as connection:
        before = connection.execute(count).scalar()
        writer = threading.Thread(target=lambda: store.queue.submit("run", {}))
        writer.start()
        writer.join()
        assert connection.execute(count).scalar() == before == 0
    with store.database.read() as connection:
        assert connection.execute(count).scalar() == 1


def test_a_run_is_scored_by_a_worker(settings: Settings, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    rng = np.random.default_rng(5)
    for name, level, number in (("train", 0, 5), ("level_0", 0, 3), ("level_1", 1, 3), ("level_2", 2, 3)):
        (folder / name).mkdir(parents=True)
        for i in range(number):
            grey = rng.normal(120, 6, (64, 64))
            grey[20 : 20 + 9 * level, 30 : 30 + 9 * level] = 20
            Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(folder / name / f"{i}.png")
    imported = import_dataset(str(folder), settings)
    info = catalog.scorer("filterbank")
    run = store.request_run(RunRequest(store.add_dataset(imported), info.id, info.check({}), device="cpu"))
    job = store.queue.active_for(run.job_key)
    assert job is not None
    assert do_here(store, job.id, "cpu", lambda facts: None).status == "done"
    found = store.run(run.id)
    assert (found.status, found.done) == ("done", 9) and store.scores(run.id)["score"].notna().all()
    image = store.scores(run.id)["image_id"].iloc[0]
    assert store.read_map(found, image) is not None


def test_a_store_moves_from_sqlite_to_postgresql_and_back(settings: Settings, tmp_path: Path) -> None:
    first = Settings.from_environment({"MAD_HOME": str(tmp_path / "first")})
    old = Store(first)
    run = scored_run(old, old.add_dataset(Imported(make_dataset())))
    before = all_rows(old)
    restore(settings, back_up(old, tmp_path / "1.zip").path, own=True)
    moved = Store(settings)
    assert all_rows(moved) == before and not (settings.home / "mad.db").exists()
    assert moved.read_map(run, moved.scores(run.id)["image_id"].iloc[0]) is not None
    assert moved.queue.submit("run", {}) > max(job.id for job in old.queue.active())
    before = all_rows(moved)
    with pytest.raises(InputError, match="--replace"):
        restore(settings, tmp_path / "1.zip")
    back = back_up(moved, tmp_path / "2.zip").path
    moved.rename_run(run.id, "later")
    restore(settings, back, replace=True)
    assert all_rows(moved) == before
    third = Settings.from_environment({"MAD_HOME": str(tmp_path / "third")})
    restore(third, back, own=True)
    last = Store(third)
    assert all_rows(last) == before
    for opened in (old, moved, last):
        opened.close()


def test_a_backup_that_the_server_does_not_take_leaves_the_old_rows(
    settings: Settings,
    store: Store,
    dataset_id: str,
    tmp_path: Path,
) -> None:
    other = Store(Settings.from_environment({"MAD_HOME": str(tmp_path / "other")}))
    other.queue.submit("run", {}, device="a device with a name that is longer than its column takes")
    path = back_up(other, tmp_path / "b.zip").path
    other.close()
    with pytest.raises(WorkError, match="does not take the backup: value too long"):
        restore(settings, path, replace=True)
    assert [info.id for info in store.datasets()] == [dataset_id]


@pytest.mark.parametrize("wrong", ["password", "host", "database"])
def test_a_server_that_cannot_be_used_is_a_sentence_without_the_password(
    postgres: Postgres, tmp_path: Path, wrong: str
) -> None:
    url = {
        "password": postgres.url("postgres", f"not {PASSWORD}"),
        "host": sa.make_url(postgres.url("x")).set(query={}, host="127.0.0.1", port=9).render_as_string(False),
        "database": postgres.url("nowhere"),
    }[wrong]
    environment = {**os.environ, "MAD_HOME": str(tmp_path), "MAD_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "mad_core", "runs"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and done.stderr.startswith("The store at postgresql://mad:***@")
    said = done.stdout + done.stderr
    assert "Traceback" not in said and PASSWORD not in said and quote(PASSWORD, safe="") not in said


def test_a_server_that_goes_away_is_a_sentence(settings: Settings, store: Store) -> None:
    with (
        pytest.raises(WorkError, match=r"^The store at postgresql://mad:\*\*\*@"),
        store.database.write() as connection,
    ):
        connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert store.datasets() == []  # the next transaction finds a connection that works
