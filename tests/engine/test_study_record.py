"""Studies in the store and as jobs: asked for once, done once, stopped, failed, deleted, migrated."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from mad_core.datasets.dataset import Imported
from mad_core.errors import CancelledError, InputError, NotFoundError, WorkError
from mad_core.runs.database.engine import MIGRATIONS
from mad_core.runs.in_process import do_here
from mad_core.runs.store import Run, Store
from mad_core.settings import Settings
from mad_core.studies.record import (
    StudyRecord,
    StudyRequest,
    cancel_study,
    delete_study,
    find_study,
    list_studies,
    read_study,
    request_study,
)
from mad_core.studies.scoring import result_cache
from mad_core.studies.study import Work, studies, study

from . import toy_study
from .conftest import make_dataset
from .toy_study import add_run, use_toy_study


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    use_toy_study(monkeypatch)


@pytest.fixture
def run(store: Store, dataset_id: str) -> Run:
    return add_run(store, dataset_id)


def ask(run: Run, **parameters: object) -> StudyRequest:
    return StudyRequest(run.dataset_id, "toy", (run.id,), parameters)


def do(store: Store, found: StudyRecord) -> StudyRecord:
    job = store.queue.active_for(found.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    return read_study(store, found.id)


def test_a_study_is_done_once_and_its_finding_comes_back(store: Store, run: Run) -> None:
    asked = request_study(store, ask(run))
    assert (asked.status, asked.finding, asked.active) == ("queued", None, True)
    found = do(store, asked)
    assert found.status == "done" and found.finding is not None and found.finished is not None
    assert found.finding.sentence == "The mean is 1.040."
    assert found.finding.tables["means"].to_dict("list") == {"run": [run.id], "mean": [pytest.approx(1.04)]}
    assert found.finding.facts["request"]["runs"] == [run.id]
    assert found.finding.facts["record"]["versions"]["numpy"]
    again = request_study(store, ask(run, steps=3))  # the default, said
    assert again.id == found.id and again.status == "done" and store.queue.active() == [] and toy_study.done == ["cpu"]
    forced = request_study(store, ask(run), force=True)
    assert forced.id == found.id and forced.status == "queued"
    assert forced.finding is not None  # the old one, until the new one is there
    do(store, forced)
    assert toy_study.done == ["cpu", "cpu"] and len(list_studies(store)) == 1


def test_other_requests_are_other_studies(store: Store, run: Run) -> None:
    first = request_study(store, ask(run))
    assert request_study(store, ask(run)).id == first.id  # while it waits
    for other in (
        ask(run, steps=4),
        StudyRequest(run.dataset_id, "toy", (run.id,), quick=False),
        StudyRequest(run.dataset_id, "toy", (run.id,), seed=1),
        StudyRequest(run.dataset_id, "toy", ()),
    ):
        assert find_study(store, other) is None
        assert request_study(store, other).id != first.id
    assert len(list_studies(store, run.dataset_id, "toy")) == 5
    assert list_studies(store, run.dataset_id, "cost") == []


def test_a_run_that_went_on_makes_the_finding_stale(store: Store, run: Run) -> None:
    found = do(store, request_study(store, ask(run)))
    store.update_run(run.id, finished=2.0)  # scored anew
    assert find_study(store, ask(run)) is None
    assert read_study(store, found.id).finding is not None
    other = add_run(store, run.dataset_id, "two")
    both = StudyRequest(run.dataset_id, "toy", (run.id, other.id))
    turned = StudyRequest(run.dataset_id, "toy", (other.id, run.id, other.id))
    assert request_study(store, both).id == request_study(store, turned).id


def test_other_code_makes_the_finding_stale(store: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = do(store, request_study(store, ask(run)))
    assert found.finding is not None and found.finding.facts["request"]["code"] == study("toy").code
    monkeypatch.setattr("mad_core.studies.study.source_digest", lambda *modules: "an upgrade")
    assert find_study(store, ask(run)) is None and request_study(store, ask(run)).id != found.id
    monkeypatch.undo()
    assert len({info.code for info in studies()}) == len(studies())  # every module named is there


def test_a_failed_study_says_why_and_can_be_asked_for_again(store: Store, run: Run) -> None:
    asked = request_study(store, ask(run, fails=True))
    with pytest.raises(WorkError, match="The toy broke"):
        do(store, asked)
    failed = read_study(store, asked.id)
    assert (failed.status, failed.error, failed.active) == ("failed", "The toy broke.", False)
    again = request_study(store, ask(run, fails=True))
    assert (again.id, again.status, again.error) == (asked.id, "queued", None)


def test_a_study_needs_its_runs(store: Store, dataset_id: str) -> None:
    asked = request_study(store, StudyRequest(dataset_id, "toy"))
    with pytest.raises(WorkError, match="needs a finished run of this dataset"):
        do(store, asked)


def test_a_cancelled_study_stops_soon(store: Store, run: Run) -> None:
    asked = request_study(store, ask(run, steps=1000, wait=0.05))
    timer = threading.Timer(1.0, cancel_study, (store, asked.id))
    timer.start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        do(store, asked)
    assert time.monotonic() - started < 20
    found = read_study(store, asked.id)
    assert (found.status, found.finding) == ("cancelled", None)
    waiting = request_study(store, ask(run, steps=4))
    cancel_study(store, waiting.id)
    assert read_study(store, waiting.id).status == "cancelled"


def test_progress_is_written_to_the_job(store: Store, run: Run) -> None:
    asked = request_study(store, ask(run, steps=40, wait=0.05))
    job = store.queue.active_for(asked.job_key)
    assert job is not None
    seen: list[dict] = []
    do_here(store, job.id, "cpu", lambda facts: seen.append(dict(facts)))
    assert any(facts["phase"] == "Toy study" and facts["unit"] == "steps" for facts in seen if facts)
    final = store.queue.job(job.id)
    assert (final.progress["done"], final.progress["total"]) == (40, 40)
    assert final.result == {"study": asked.id, "name": "toy", "sentence": "The mean is 1.040."}


def test_what_does_not_fit_is_said(store: Store, run: Run) -> None:
    with pytest.raises(InputError, match="has no parameter 'colour'"):
        request_study(store, ask(run, colour="red"))
    with pytest.raises(NotFoundError, match="There is no run 'nothing'"):
        request_study(store, StudyRequest(run.dataset_id, "toy", ("nothing",)))
    with pytest.raises(NotFoundError, match="No study is called 'astrology'"):
        request_study(store, StudyRequest(run.dataset_id, "astrology"))
    with pytest.raises(NotFoundError, match="no study 'x' in the store"):
        read_study(store, "x")
    other = store.add_dataset(Imported(make_dataset("others")))
    with pytest.raises(InputError, match="is on another dataset than the study"):
        request_study(store, StudyRequest(other, "toy", (run.id,)))
    assert list_studies(store) == []


def test_deleting_a_dataset_deletes_its_studies(store: Store, run: Run) -> None:
    other = store.add_dataset(Imported(make_dataset("others")))
    kept = request_study(store, StudyRequest(other, "toy", (add_run(store, other).id,)))
    do(store, kept)
    gone = request_study(store, ask(run))
    do(store, gone)
    waiting = request_study(store, ask(run, steps=9))
    store.delete_dataset(run.dataset_id)
    assert [found.id for found in list_studies(store)] == [kept.id]
    assert store.queue.active_for(waiting.job_key) is None
    delete_study(store, kept.id)
    assert list_studies(store) == []


def test_what_a_study_keeps_goes_with_its_run_or_dataset(store: Store, run: Run) -> None:
    other = add_run(store, run.dataset_id, "two")
    waiting = request_study(store, ask(run))
    work = Work(store, run.dataset_id, store.dataset(run.dataset_id), [run, other], {})
    for owner in (run.id, other.id, run.dataset_id):
        result_cache(work, "toy", owner).write(["key", 1], {"score": 2.5})
    assert result_cache(work, "toy", run.id).read(["key", 1]) == {"score": 2.5}
    assert store.disk_use(run.dataset_id) == 3 * len('{"score": 2.5}')
    store.delete_run(run.id)
    assert result_cache(work, "toy", run.id).read(["key", 1]) == {} and result_cache(work, "toy", other.id).read(
        ["key", 1]
    )
    assert read_study(store, waiting.id).status == "cancelled"
    store.delete_dataset(run.dataset_id)
    assert list(store.settings.studies.iterdir()) == []


def test_a_run_with_a_study_at_work_stays(store: Store, run: Run) -> None:
    other = add_run(store, run.dataset_id, "two")
    request_study(store, ask(run))
    store.queue.register("worker", "cpu", {})
    assert store.queue.claim("worker", ("auto", "cpu")) is not None
    with pytest.raises(InputError, match="A study of this run is still going; cancel it first"):
        store.delete_run(run.id)
    store.delete_run(other.id)
    assert [one.id for one in store.runs()] == [run.id]


def test_a_dataset_with_a_study_at_work_stays(store: Store, run: Run) -> None:
    asked = request_study(store, ask(run))
    store.queue.register("worker", "cpu", {})
    assert store.queue.claim("worker", ("auto", "cpu")) is not None
    assert read_study(store, asked.id).status == "running"
    with pytest.raises(InputError, match="cancel it first"):
        store.delete_dataset(run.dataset_id)
    with pytest.raises(InputError, match="cancel it first"):
        delete_study(store, asked.id)
    assert read_study(store, asked.id).active and store.dataset_info(run.dataset_id).id


def test_the_migration_keeps_what_is_there(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    settings = Settings.from_environment({"MAD_HOME": str(tmp_path / "home")})
    store = Store(settings)
    run = add_run(store, store.add_dataset(Imported(make_dataset())))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
    assert not sa.inspect(store.database.engine).has_table("studies")
    assert sa.inspect(store.database.engine).has_table("audit_events")
    store.close()
    opened = Store(settings)
    assert opened.run(run.id) == run
    found = do(opened, request_study(opened, ask(run)))
    assert found.finding is not None and found.finding.sentence == "The mean is 1.040."
    opened.close()
