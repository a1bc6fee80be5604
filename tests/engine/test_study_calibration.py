"""Calibration images: scored once by a run's kept fit; cuts are placed on them, and all test images measure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.errors import CancelledError
from mad_core.runs.in_process import do_here
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.studies.decisions import calibration
from mad_core.studies.decisions.calibration import calibration_scores, stored_calibration
from mad_core.studies.decisions.run import CALIBRATION, HALF, by_calibration, parts_of, run
from mad_core.studies.study import Work

from .toy import register_toy

PARAMETERS = {"under": 5.0, "over": 1.0, "overkill": 0.05, "confidence": 0.5}


@pytest.fixture
def numbers(tmp_path: Path) -> Dataset:
    """Images that are arrays of numbers, brighter with the level; five of each level are set aside."""
    register_toy()
    rng, rows = np.random.default_rng(0), []
    places = [("train", 0, i) for i in range(4)]
    places += [
        (split, level, i) for split, n in (("calibration", 5), ("test", 8)) for level in range(3) for i in range(n)
    ]
    for split, level, number in places:
        name = f"{split}/level_{level}/{number}.npy"
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((4, 4), level + rng.normal(0, 0.3)))
        row = {"image_id": image_id("a", name), "content_hash": name, "path": str(path), "template_path": name}
        row |= {"split": split, "subset": "a", "level": float(level), "defect": None, "mask_path": None}
        rows.append(row | {"width": 4, "height": 4})
    return Dataset.from_rows("numbers", rows, Card(title="numbers"), str(tmp_path))


def scored(store: Store, dataset: Dataset) -> tuple[Work, Run]:
    dataset_id = store.add_dataset(Imported(dataset))
    made = store.request_run(RunRequest(dataset_id, "toy", catalog.scorer("toy").check({})))
    job = store.queue.active_for(made.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    made = store.run(made.id)
    return Work(store, dataset_id, store.dataset(dataset_id), [made], PARAMETERS, quick=False), made


def test_cuts_are_placed_on_calibration_images_and_measured_on_all_test_images(
    store: Store, numbers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, made = scored(store, numbers)
    assert stored_calibration(store, made, "a").empty
    finding = run(work)
    assert "Cuts are placed on 15 calibration images and measured on 24 test images." in finding.sentence
    assert finding.facts["cuts"]["a"]["placed_on"] == CALIBRATION
    assert set(finding.tables["ways"]["images"]) == {24}
    table = stored_calibration(store, made, "a")
    truth = {i: np.load(p).mean() for i, p in zip(numbers.table["image_id"], numbers.table["path"], strict=True)}
    offset = {round(s - truth[i], 9) for i, s in zip(table["image_id"], table["score"], strict=True)}
    assert len(table) == 15 and len(offset) == 1  # the fit on the same normals for all of them
    monkeypatch.setattr(calibration, "fitted_scorer", None)  # scoring again would fail
    assert run(work).to_json() == finding.to_json()
    store.cancel_run(made.id)
    store.request_run(RunRequest(work.dataset_id, "toy", made.parameters), force=True)
    assert stored_calibration(store, made, "a").empty  # it went with the scores


def test_quick_mode_scores_a_sample_of_them(store: Store, numbers: Dataset) -> None:
    work, made = scored(store, numbers)
    table, why_not = calibration_scores(work, made, "a", limit=6)
    assert table["level"].value_counts().to_dict() == {0.0: 2, 1.0: 2, 2.0: 2} and not why_not


def test_where_they_cannot_be_used_half_of_the_test_images_are_and_it_says_why(
    store: Store, numbers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, made = scored(store, numbers)
    monkeypatch.setattr(type(catalog.scorer("toy")), "uses_labels", lambda info, parameters: True)
    finding = run(work)
    assert finding.facts["cuts"]["a"]["placed_on"] == HALF
    assert "half of the test images (12) and measured on the other half (12)" in finding.sentence
    assert "has learned from the labels of the calibration images" in finding.caveat
    elsewhere = replace(made, scorer="external")
    assert calibration_scores(work, elsewhere, "a")[1].endswith("its calibration images have no scores.")


def test_a_level_without_calibration_images_falls_back_and_others_are_left_out(store: Store, numbers: Dataset) -> None:
    work, made = scored(store, numbers)
    test = store.scores(made.id).merge(numbers.table[["image_id", "level"]])
    table, _ = calibration_scores(work, made, "a")
    some: Any = table[table["level"] < 2]
    assert by_calibration(test, some) is None and parts_of(test, some).placed_on == HALF
    lower: Any = test[test["level"] < 2]
    parts = by_calibration(lower, table)
    assert parts is not None and parts.scale.tolist() == [0.0, 1.0] and len(parts.fit[0]) == 10


def test_a_stop_is_a_stop_and_cuts_by_hand_are_measured_too(store: Store, numbers: Dataset) -> None:
    work, made = scored(store, numbers)

    def stop() -> None:
        raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        run(replace(work, check_cancel=stop))
    store.cuts.save(made.id, "a", (0, 1, 2), (0.5, 1.5))
    assert run(work).tables["ways"]["way"].tolist() == ["cost", "isotonic", "hand"]
