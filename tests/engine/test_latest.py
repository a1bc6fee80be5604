"""The newest answers of a run."""

from __future__ import annotations

import time

import pytest

from mad_core.errors import NotFoundError
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored


def test_the_newest_answers_come_first(store: Store, dataset_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    rows = store.dataset(dataset_id).select(split="test", subset="a")
    ids = rows["image_id"].tolist()
    told = [
        Scored(ids[0], 1.0, reason="first"),
        Scored(ids[1], 2.0, reason=None),
        Scored(ids[2], 3.0, reason=""),
        Scored.failed(ids[3], "refused", "it refused"),
        Scored(ids[8], 4.0, reason="last"),
    ]
    for moment, scored in enumerate(told):
        monkeypatch.setattr(time, "time", lambda moment=moment: 1000.0 + moment)
        store.add_scores(run.id, "a", [(scored, None)])
    found = store.latest_answers(run.id, 2)
    assert [(a.image_id, a.reason, a.score, a.status) for a in found] == [
        (ids[8], "last", 4.0, "ok"),
        (ids[3], "it refused", None, "refused"),
    ]
    last = rows.iloc[8]
    assert (found[0].subset, found[0].path, found[0].level) == ("a", last["path"], last["level"])
    assert [a.reason for a in store.latest_answers(run.id, 9)] == ["last", "it refused", "first"]


def test_answers_of_other_runs_stay_out(store: Store, dataset_id: str) -> None:
    mine, other = (store.request_run(RunRequest(dataset_id, "filterbank", {}, seed=seed)) for seed in (0, 1))
    image = store.dataset(dataset_id).select(split="test", subset="a")["image_id"].iloc[0]
    store.add_scores(other.id, "a", [(Scored(image, 1.0, reason="not mine"), None)])
    assert store.latest_answers(mine.id, 5) == []
    with pytest.raises(NotFoundError):
        store.latest_answers("nowhere", 5)
