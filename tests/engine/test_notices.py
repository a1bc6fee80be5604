"""Which ends of runs a person has not seen yet."""

from __future__ import annotations

import time

from mad_core.runs.store import Run, RunRequest, Store


def ended(store: Store, dataset_id: str, title: str, status: str = "done", scorer: str = "filterbank") -> Run:
    run = store.request_run(RunRequest(dataset_id, scorer, {"title": title}, title=title))
    store.update_run(run.id, status=status, finished=time.time())
    return store.run(run.id)


def titles(store: Store, person: str = "") -> list[str]:
    return [run.title for run in store.notices.of(person)]


def test_each_person_sees_each_end_once(store: Store, dataset_id: str) -> None:
    ended(store, dataset_id, "before anybody came")
    assert titles(store) == titles(store, "ada") == []
    first, second = (ended(store, dataset_id, title, status) for title, status in (("a", "done"), ("b", "failed")))
    ended(store, dataset_id, "c", "cancelled")  # a person did that
    assert titles(store) == titles(store, "ada") == ["a", "b"]
    store.notices.see("", [second.id, "nobody"])
    assert titles(store) == ["a"] and titles(store, "ada") == ["a", "b"]
    store.notices.see("", [first.id])
    assert titles(store) == [] and titles(store, "ada") == ["a", "b"]
    assert titles(store, "bob") == []  # who comes now has missed nothing
    store.notices.see("nobody yet", [first.id])


def test_a_run_that_goes_on_and_ends_again_is_told_of_again(store: Store, dataset_id: str) -> None:
    assert titles(store) == []
    run, other = (ended(store, dataset_id, title) for title in "ab")
    store.notices.see("", [run.id])
    store.resume_run(run.id)
    assert titles(store) == ["b"]
    store.update_run(run.id, status="failed", finished=time.time())
    assert titles(store) == ["b", "a"]
    store.notices.see("", [run.id, other.id])
    assert titles(store) == []
    store.update_run(run.id, finished=time.time())
    assert titles(store) == ["a"]
