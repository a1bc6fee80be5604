"""Cuts are kept with their run, replace each other, and go with it."""

from __future__ import annotations

import numpy as np
import pytest

from mad_core.errors import InputError, NotFoundError
from mad_core.runs.store import RunRequest, Store
from mad_core.runs.store.cuts import COST


def test_cuts_live_and_die_with_their_run(store: Store, dataset_id: str) -> None:
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    assert store.cuts.of_run(run.id) == {}
    store.cuts.save(run.id, "a", (0, 1, 2), (0.5, 1.5))
    kept = store.cuts.save(run.id, "a", (0, 1, 2), (0.25, 1.5), COST)
    store.cuts.save(run.id, "b", (0, 1, 2), (3, 4))
    assert store.cuts.of_run(run.id)["a"] == kept and set(store.cuts.of_run(run.id)) == {"a", "b"}
    called = kept.call([0.3, 9.0, np.nan, -1.0])
    assert called[[0, 1, 3]].tolist() == [1.0, 2.0, 0.0] and np.isnan(called[2])
    store.cuts.delete(run.id, "b")
    store.cuts.delete(run.id, "b")
    assert set(store.cuts.of_run(run.id)) == {"a"}
    store.delete_run(run.id)
    assert store.cuts.of_run(run.id) == {}


def test_a_run_that_is_scored_anew_forgets_its_cuts(store: Store, dataset_id: str) -> None:
    wanted = RunRequest(dataset_id, "filterbank", {})
    run = store.request_run(wanted)
    store.cuts.save(run.id, "a", (0, 1, 2), (0.5, 1.5))
    store.cancel_run(run.id)
    store.request_run(wanted)
    assert set(store.cuts.of_run(run.id)) == {"a"}
    store.cancel_run(run.id)
    assert store.request_run(wanted, force=True).id == run.id
    assert store.cuts.of_run(run.id) == {}


def test_what_does_not_fit_is_a_sentence(store: Store, dataset_id: str) -> None:
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    with pytest.raises(InputError, match="no subset 'c'"):
        store.cuts.save(run.id, "c", (0, 1), (0.5,))
    with pytest.raises(InputError, match="ascending"):
        store.cuts.save(run.id, "a", (0, 1, 2), (2.0, 1.0))
    with pytest.raises(InputError, match="not by 'magic'"):
        store.cuts.save(run.id, "a", (0, 1), (0.5,), "magic")
    with pytest.raises(NotFoundError):
        store.cuts.save("none", "a", (0, 1), (0.5,))
    assert store.cuts.of_run(run.id) == {}
