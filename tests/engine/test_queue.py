"""The queue: one job a key, one worker a job, nothing lost when a worker dies."""

from __future__ import annotations

import subprocess
import sys
import threading

import sqlalchemy as sa

from mad_core.runs.database.schema import workers
from mad_core.runs.queue import MAX_ATTEMPTS, Queue
from mad_core.runs.store import Store


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
