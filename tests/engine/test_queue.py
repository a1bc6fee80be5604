"""The queue: one job a key, one worker a job, nothing lost when a worker dies."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from filelock import FileLock

from mad_core.errors import InputError
from mad_core.runs import supervisor
from mad_core.runs.database.schema import workers
from mad_core.runs.queue import MAX_ATTEMPTS, MOST_ASKED, STALE_SECONDS, Queue, device_lock
from mad_core.runs.store import Store
from mad_core.runs.worker import ALREADY_SERVED


def test_jobs_are_done_first_in_first_out_but_quick_ones_first(store: Store) -> None:
    queue = store.queue
    first, second = queue.submit("run", {}), queue.submit("run", {})
    quick = queue.submit("single", {}, quick=True)
    taken = [queue.claim("w", ("auto",)) for _ in range(4)]
    assert [job.id if job else None for job in taken] == [quick, first, second, None]


def test_a_worker_takes_its_own_devices_jobs_only(store: Store) -> None:
    job = store.queue.submit("run", {}, device="cuda:1")
    assert store.queue.claim("w", ("auto", "cpu")) is None
    claimed = store.queue.claim("w", ("auto", "cuda:1"))
    assert claimed is not None and claimed.id == job


def test_one_active_job_a_key(store: Store) -> None:
    queue = store.queue
    first = queue.submit("run", {}, key="k")
    assert queue.submit("run", {}, key="k") == first
    queue.claim("w", ("auto",))
    assert queue.submit("run", {}, key="k") == first
    queue.finish(first, "w", "done")
    assert queue.submit("run", {}, key="k") != first


def test_two_workers_never_get_the_same_job(settings, store: Store) -> None:
    wanted = {store.queue.submit("run", {"n": n}) for n in range(40)}
    got: list[int] = []

    def take(name: str) -> None:
        mine = Store(settings)
        while (job := mine.queue.claim(name, ("auto",))) is not None:
            got.append(job.id)
        mine.close()

    threads = [threading.Thread(target=take, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(wanted)


def test_cancel_stops_a_waiting_job_now_and_a_running_one_at_its_next_beat(store: Store) -> None:
    queue = store.queue
    running, waiting = queue.submit("run", {}), queue.submit("run", {})
    queue.claim("w", ("auto",))
    assert not queue.beat(running, "w", {"done": 1})
    queue.request_cancel(running)
    queue.request_cancel(waiting)
    assert queue.job(waiting).status == "cancelled"
    assert queue.job(running).status == "running"
    assert queue.beat(running, "w", {"done": 2})
    assert queue.job(running).progress == {"done": 2}


def test_a_worker_that_lost_its_job_cannot_end_it(store: Store) -> None:
    queue = store.queue
    job = queue.submit("run", {})
    queue.claim("slow", ("auto",))
    queue.release(job, "slow")
    queue.claim("other", ("auto",))
    queue.finish(job, "slow", "failed", error="late")
    assert queue.beat(job, "slow", {})
    assert queue.job(job).status == "running"


def _dead_worker(queue: Queue, worker_id: str) -> None:
    """A worker whose process has ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    queue.register(worker_id, "cpu", {})
    with queue.database.write() as connection:
        connection.execute(sa.update(workers).where(workers.c.id == worker_id).values(pid=gone.pid))


def test_jobs_of_the_dead_go_back_and_fail_when_they_keep_killing(store: Store) -> None:
    queue = store.queue
    job = queue.submit("run", {})
    for attempt in range(MAX_ATTEMPTS):
        _dead_worker(queue, f"w{attempt}")
        claimed = queue.claim(f"w{attempt}", ("auto",))
        assert claimed is not None and claimed.attempts == attempt + 1
        assert queue.requeue_lost() == [job]
    assert queue.job(job).status == "failed"
    assert "died 5 times" in (queue.job(job).error or "")


def test_jobs_of_the_living_stay(store: Store) -> None:
    queue = store.queue
    queue.register("me", "cpu", {})
    queue.submit("run", {})
    queue.claim("me", ("auto",))
    assert queue.requeue_lost() == []


def test_a_cancelled_job_of_the_dead_is_cancelled(store: Store) -> None:
    queue = store.queue
    job = queue.submit("run", {})
    _dead_worker(queue, "w")
    queue.claim("w", ("auto",))
    queue.request_cancel(job)
    queue.requeue_lost()
    assert queue.job(job).status == "cancelled"


def test_a_session_cannot_fill_the_queue(store: Store) -> None:
    queue, who = store.queue, ["one"]
    queue.asker = lambda: who[0] or None
    ids = [queue.submit("run", {}) for _ in range(MOST_ASKED)]
    with pytest.raises(InputError, match="jobs of this session are waiting"):
        queue.submit("run", {})
    for somebody in ("another", ""):
        who[0] = somebody
        queue.submit("run", {})
    who[0] = "one"
    queue.request_cancel(ids[3])
    assert queue.submit("run", {}, key="k") == queue.submit("run", {}, key="k")


# -- who lives, whatever the clocks say -----------------------------------------------------------


def changed(queue: Queue, worker_id: str, **values: Any) -> None:
    with queue.database.write() as connection:
        connection.execute(sa.update(workers).where(workers.c.id == worker_id).values(**values))


def at_work(queue: Queue, worker_id: str) -> int:
    queue.register(worker_id, "cpu", {})
    job = queue.submit("run", {})
    assert queue.claim(worker_id, ("auto",)) is not None
    return job


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_is_set_kills_nobody(store: Store, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    queue, now = store.queue, time.time()
    at_work(queue, "me")
    monkeypatch.setattr(time, "time", lambda: now + 3600 * hours)
    assert queue.workers()[0].alive and queue.requeue_lost() == []
    queue.register("another", "cuda:0", {})
    assert {w.id for w in queue.workers()} == {"me", "another"} and queue.requeue_lost() == []


def test_a_number_that_was_given_again_is_another_process(store: Store) -> None:
    job = at_work(store.queue, "me")
    changed(store.queue, "me", ticks=1)
    assert not store.queue.workers()[0].alive and store.queue.requeue_lost() == [job]


def test_a_worker_of_before_the_machine_was_started_again_is_gone_at_once(store: Store) -> None:
    job = at_work(store.queue, "me")
    changed(store.queue, "me", machine="former 1")
    assert not store.queue.workers()[0].alive and store.queue.requeue_lost() == [job]


def test_a_worker_elsewhere_is_judged_by_whether_its_heartbeat_moves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is three hours behind: nothing is given away before it has been watched for as long as it may pause."""
    queue, steady = store.queue, time.monotonic()
    job, beat = at_work(queue, "far"), time.time() - 10_000
    changed(queue, "far", machine="elsewhere 1", host="elsewhere", heartbeat=beat)
    queue.register("near", "cpu", {})
    queue.unregister("near")
    assert not queue.workers()[0].alive and queue.requeue_lost() == []
    for second in range(1, 40):
        monkeypatch.setattr(time, "monotonic", lambda second=second: steady + second)
        changed(queue, "far", heartbeat=beat + second)
        assert queue.requeue_lost() == [] and queue.workers()[0].alive
    monkeypatch.setattr(time, "monotonic", lambda: steady + 39 + STALE_SECONDS + 1)
    assert not queue.workers()[0].alive and queue.requeue_lost() == [job]
    assert queue.workers() == []  # nobody needs the row of one that is gone for long


def test_the_lock_that_is_held_is_believed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that does not beat, stopped say, keeps its device, so nobody else could do its job there."""
    queue, steady = store.queue, time.monotonic()
    job = at_work(queue, "me")
    assert queue.workers()[0].alive
    monkeypatch.setattr(time, "monotonic", lambda: steady + 10 * STALE_SECONDS)
    with FileLock(device_lock(store.settings, "cpu")):
        assert queue.workers()[0].alive and queue.requeue_lost() == []
    assert queue.requeue_lost() == [job]


# -- a device that is gone ------------------------------------------------------------------------


@pytest.fixture
def refusing(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """When workers were started, in seconds: each ends at once with a sentence, the clock goes on by half a second."""
    clock, started, status = [1000.0], list[float](), [supervisor.REFUSED]

    def start(*_: Any, stdout: Any, **__: Any) -> Any:
        started.append(clock[0])
        stdout.write(b"earlier line\nDevice cuda:7 is not on this machine.\n")
        return SimpleNamespace(poll=lambda: status[0], terminate=lambda: None, wait=lambda _: None)

    monkeypatch.setattr(supervisor, "start_python", start)
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    watch = supervisor.Supervisor(store)

    def run(seconds: float, exit_status: int = supervisor.REFUSED) -> list[float]:
        status[0], end = exit_status, clock[0] + seconds
        while clock[0] < end:
            watch.look()
            clock[0] += 0.5
        return started

    return run


def test_a_device_that_is_gone_is_asked_for_less_often_and_its_jobs_fail(
    store: Store, refusing: Callable[..., list[float]]
) -> None:
    other = store.queue.submit("run", {}, device="cuda:1")
    job = store.queue.submit("run", {}, device="cuda:7")
    store.queue.request_cancel(other)
    started = refusing(600)
    assert len(started) < 2 * 20
    failed = store.queue.job(job)
    assert failed.status == "failed" and failed.error == (
        "No worker can be had for device cuda:7: Device cuda:7 is not on this machine."
    )
    assert store.queue.job(other).status == "cancelled"


def test_a_device_that_has_a_worker_fails_no_job(store: Store, refusing: Callable[..., list[float]]) -> None:
    job = store.queue.submit("run", {}, device="cuda:7")
    assert len(refusing(600, ALREADY_SERVED)) < 2 * 20
    assert store.queue.job(job).status == "queued"
