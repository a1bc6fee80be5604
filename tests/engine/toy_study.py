"""A toy study for tests of the frame: the mean score of each run, or what the test wants of it."""

from __future__ import annotations

import time

import pandas as pd
import pytest

from mad_core.errors import InputError
from mad_core.runs.results import run_table
from mad_core.runs.store import Run, RunRequest, RunSubset, Store
from mad_core.scorers.contract import Parameter, Scored
from mad_core.studies import study
from mad_core.studies.finding import Finding
from mad_core.studies.study import StudyInfo, Work

TOY = StudyInfo(
    id="toy",
    title="Toy study",
    question="What is the mean score?",
    about="A mean.",
    needs="A run.",
    entry="tests.engine.toy_study:mean_scores",
    parameters=(
        Parameter("steps", "int", 3, "How many steps.", 1, 1000),
        Parameter("wait", "float", 0.0, "Seconds a step.", 0, 1),
        Parameter("fails", "bool", False, "Whether it fails."),
    ),
)
done: list[str] = []
"""The device of each time it was done."""


def mean_scores(work: Work) -> Finding:
    done.append(work.device)
    for step in range(work.parameters["steps"]):
        work.check_cancel()
        time.sleep(work.parameters["wait"])
        work.progress(step + 1, work.parameters["steps"])
    if work.parameters["fails"]:
        raise InputError("The toy broke.")
    means = [float(run_table(work.store, run.id)["score"].mean()) for run in work.runs]
    table = pd.DataFrame({"run": [run.id for run in work.runs], "mean": means})
    images = work.dataset.select(split="test")["image_id"].tolist()
    return Finding(
        "toy", TOY.title, f"The mean is {means[0]:.3f}.", "A toy.", {"means": table}, {}, {"Some": images[:4]}
    )


def use_toy_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put it into the catalogue for one test."""
    study.studies()
    monkeypatch.setitem(study._STUDIES, "toy", TOY)
    done.clear()


def add_run(store: Store, dataset_id: str, title: str = "one", shift: float = 0.0, seconds: float = 1.0) -> Run:
    """A finished run whose scores are the images' levels and a little more, without a scorer."""
    run = store.request_run(RunRequest(dataset_id, "filterbank", {"title": title}, title=title))
    for subset in run.subsets:
        rows = store.test_images(store.dataset(dataset_id), [subset])
        results = [
            (Scored(row.image_id, row.level + shift + 0.01 * place), None)
            for place, row in enumerate(rows.itertuples())
        ]
        store.add_scores(run.id, subset, results)
        store.save_run_subset(run.id, RunSubset(subset, None, seconds, seconds, {}))
    for job in store.queue.active():
        store.queue.request_cancel(job.id)
    store.update_run(run.id, status="done", finished=1.0)
    return store.run(run.id)
