"""The first start queues what can run here, and says of runs which labels they owe their scores to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mad_core.runs import first_start
from mad_core.runs.comparing import supervision_note
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog


def pretend(monkeypatch: pytest.MonkeyPatch, **sentences: str | None) -> None:
    """Let scorers say that they can (None) or cannot run."""
    catalog.scorers()
    for name, sentence in sentences.items():
        info = replace(catalog.scorer(name), why_not=lambda parameters, sentence=sentence: sentence)
        monkeypatch.setitem(catalog._CATALOG, name, info)


@pytest.mark.parametrize(("why", "expected"), [(None, ["subspace", "mllm"]), ("The model is not there.", ["subspace"])])
def test_the_first_start_queues_what_can_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, why: str | None, expected: list[str]
) -> None:
    pretend(monkeypatch, mllm=why)
    first_start.prepare_first_start(store)
    (job,) = store.queue.active()
    assert (job.kind, job.payload["source"], job.payload["then"]) == ("import", "demo", expected)
    first_start.prepare_first_start(store)
    assert len(store.queue.active()) == 1


def test_the_detector_looks_before_the_first_multimodal_run(
    store: Store, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, mllm=None)
    first = store.run(first_start.queue_first(store, dataset_id, "mllm"))
    assert first.parameters["detector_first"] == "yes"
    assert store.run(first_start.queue_default(store, dataset_id, "mllm")).parameters["detector_first"] == "auto"


def test_runs_say_which_labels_they_owe_their_scores_to(store: Store, dataset_id: str) -> None:
    def note(scorer: str, facts: list[dict[str, Any]], **given: Any) -> str:
        run = store.request_run(RunRequest(dataset_id, scorer, catalog.scorer(scorer).check(given)))
        return supervision_note(run, facts)

    assert note("filterbank", []) == ""
    assert note("mllm", []) == "trained with severity labels on generated images"
    assert note("mllm", [{"supervision": "told"}] * 2, anchors=True) == (
        "told; shown calibration images with their levels"
    )
    assert note("hybrid", [], detector="a", mllm="b").endswith("learned on calibration labels")
