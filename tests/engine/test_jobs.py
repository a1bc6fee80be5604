"""What jobs are told, and what people read of them."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from mad_core.errors import InputError, WorkError
from mad_core.runs.in_process import do_here
from mad_core.runs.jobs import (
    KINDS,
    FeaturesJob,
    FetchJob,
    ImportJob,
    JobPayload,
    MapJob,
    ProbeJob,
    ReasonJob,
    ReportRequest,
    RunJob,
    SingleJob,
    StudyJob,
    about,
    handler_of,
    payload_of,
    submit,
    title_of,
)
from mad_core.runs.store import RunRequest, Store

PAYLOADS = [
    RunJob("r1"),
    SingleJob("r1", "a", "/up/b249", "/up/b249.map", "bolt.png"),
    MapJob("r1", "i1"),
    ProbeJob("d1", "filterbank", {"bank": 5}, "a"),
    ReasonJob("r1", "i1"),
    ImportJob("/data/parts", policy="/data/policy.csv"),
    ImportJob("demo", then=("filterbank", "mllm")),
    FetchJob("mvtec", "/data/madbench", then="import"),
    StudyJob("s1"),
    FeaturesJob("d1"),
    ReportRequest(("r1", "r2"), subset="a", draws=20),
]
OF_THE_VERSION_BEFORE: list[tuple[dict[str, Any], JobPayload]] = [
    ({"run": "r1"}, RunJob("r1")),
    (
        {"run": "r1", "subset": "a", "path": "/u/x", "name": "x.png", "map": "/u/m"},
        SingleJob("r1", "a", "/u/x", "/u/m", "x.png"),
    ),
    ({"run": "r1", "image": "i1"}, MapJob("r1", "i1")),
    ({"dataset": "d1", "scorer": "filterbank"}, ProbeJob("d1", "filterbank")),
    ({"run": "r1", "image": "i1"}, ReasonJob("r1", "i1")),
    ({"source": "/d", "policy": None}, ImportJob("/d")),
    ({"source": "/d", "name": "parts"}, ImportJob("/d", name="parts")),
    ({"source": "demo", "then": ["filterbank"]}, ImportJob("demo", then=("filterbank",))),
    ({"benchmark": "madbench", "only": "", "to": "/d", "then": ""}, FetchJob("", "/d")),
    ({"study": "s1"}, StudyJob("s1")),
    ({"dataset": "d1"}, FeaturesJob("d1")),
    ({"runs": ["r1"], "subset": None, "rule": None, "draws": 1000, "seed": 0}, ReportRequest(("r1",))),
]


def test_every_kind_is_tried_here() -> None:
    assert {p.kind for p in PAYLOADS} == {p.kind for _, p in OF_THE_VERSION_BEFORE} == set(KINDS)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_comes_back_from_the_queue_as_it_went_in(store: Store, payload: JobPayload) -> None:
    job = store.queue.job(submit(store.queue, payload))
    assert payload_of(job) == payload and callable(handler_of(job)) and title_of(job)
    assert submit(store.queue, payload) == job.id or not payload.key
    assert type(payload).from_json(json.loads(json.dumps(payload.to_json()))) == payload


@pytest.mark.parametrize(("data", "payload"), OF_THE_VERSION_BEFORE)
def test_what_the_version_before_queued_is_understood(data: dict[str, Any], payload: JobPayload) -> None:
    assert type(payload).from_json(data) == payload


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_does_not_fit_is_a_sentence(payload: JobPayload) -> None:
    with pytest.raises(InputError, match=f"'{payload.kind}' knows no 'colour'"):
        type(payload).from_json({**payload.to_json(), "colour": "red"})
    first = fields(payload)[0].name
    with pytest.raises(InputError, match=f"needs '{first}', which is missing"):
        type(payload).from_json({k: v for k, v in payload.to_json().items() if k != first})


@pytest.mark.parametrize(
    ("kind", "payload", "sentence"),
    [
        ("run", {}, "needs 'run'"),
        ("map", {"run": "r1", "image": "i1", "side": 3}, "knows no 'side'"),
        ("dance", {}, "no jobs of the kind 'dance'"),
    ],
)
def test_a_job_that_cannot_be_read_fails_with_a_sentence(
    store: Store, kind: str, payload: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(WorkError, match=sentence):
        do_here(store, store.queue.submit(kind, payload), "cpu", lambda facts: None)


def test_a_job_says_what_it_is_about(store: Store, dataset_id: str) -> None:
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}, title="Filter bank"))
    image = store.dataset(dataset_id).table["image_id"].iloc[0]

    def said(payload: JobPayload) -> tuple[str, str]:
        job = store.queue.job(submit(store.queue, payload))
        return title_of(job), about(store, job)

    assert said(RunJob(run.id)) == ("Run", "Filter bank on parts")
    assert said(SingleJob(run.id, "a", "/u/x", "/u/m", "x.png")) == ("One image", "x.png, Filter bank, a")
    assert said(MapJob(run.id, image)) == ("Anomaly map", "train/level_0/0.png, Filter bank")
    assert said(ImportJob("demo")) == ("Demo dataset", "the demo dataset")
    assert said(ImportJob("/data/parts.zip", name="parts")) == ("Import", "parts")
    assert said(FetchJob("mvtec", "/data/m")) == ("Download", "mvtec into /data/m")
    assert said(ReportRequest((run.id,))) == ("Report", "Filter bank on parts")
    assert said(RunJob("deleted")) == ("Run", "")
    store.studies.find_or_insert(
        {
            "id": "s1",
            "dataset_id": dataset_id,
            "dataset_version": "v",
            "study": "area",
            "parameters": {},
            "runs": [run.id],
            "quick": True,
            "seed": 0,
            "request": "d",
            "status": "queued",
            "created": 0.0,
        }
    )
    assert said(StudyJob("s1")) == ("Study", "area on parts")
