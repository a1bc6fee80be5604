"""The scorer that learns from grades, from pictures to the store: what it may see, what it says, what it keeps."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import mad_core as mad
from mad_core.audit.events import Event
from mad_core.audit.grades import learn_from_ratings, learned_runs, rated_levels, with_ratings
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import Imported
from mad_core.errors import InputError
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.runs import execute
from mad_core.runs.in_process import do_here
from mad_core.runs.learned import learned_images
from mad_core.runs.request import request_run
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import graded
from mad_core.scorers.features.answers import ANSWER, answer, spread_over
from mad_core.settings import Settings


class Averages:
    """Stands for a network: mean colours on three grids."""

    digest = "none"
    calls: ClassVar[list[int]] = []

    def __init__(self, *given: Any) -> None:
        pass

    def layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.calls.append(len(images))
        return [F.avg_pool2d(images.float() / 255, step) for step in (8, 16, 32)]


def picture(rng: np.random.Generator, level: int) -> Image.Image:
    """Grey noise; a spot of one size and random brightness, the redder the more severe."""
    pixels = rng.normal(120, 8, (64, 96, 3))
    if level:
        row, column = rng.integers(8, 40), rng.integers(8, 70)
        pixels[row : row + 16, column : column + 16] += rng.uniform(-40, 40)
        pixels[row : row + 16, column : column + 16, 0] += 30 * level
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("spots") / "spots", np.random.default_rng(0)
    places = [("train/good", 0, 12), ("test/good_level_0", 0, 12)]
    places += [(f"test/spot_level_{level}", level, 12) for level in (1, 2, 3)]
    for name, level, count in places:
        (root / name).mkdir(parents=True)
        for number in range(count):
            picture(rng, level).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def scored(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store's folder in which a detector has scored the spots, and that run's id."""
    home = tmp_path_factory.mktemp("scored") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAD_HOME", str(home))
        return home, mad.score(folder, "filterbank", size=64).id


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scored: tuple[Path, str]) -> None:
    """A copy of that store for each test; as few fits score unseen normals as where a fit takes long."""
    shutil.copytree(scored[0], tmp_path / "home")
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(graded, "FrozenBackbone", Averages)
    monkeypatch.setattr(execute, "FOLDS", execute.FEW_FOLDS)
    Averages.calls.clear()


@pytest.fixture
def detector(scored: tuple[Path, str]) -> mad.ScoredRun:
    return mad.run(scored[1])


def order(rows: Any, scores: Sequence[float]) -> float:
    value = c_index(count_pairs(rows["level"].to_numpy(), np.asarray(scores)))
    assert value is not None
    return value


def test_five_grades_a_level_order_what_a_detector_cannot(folder: Path, detector: mad.ScoredRun) -> None:
    run = mad.learn(folder, detector, 5, size=96)
    table = run.table
    assert len(table) == 4 * 7  # the graded images are not among them
    assert table["score"].notna().all()
    base = detector.table.set_index("image_id")["score"][table["image_id"]]
    assert order(table, table["score"]) > max(0.9, order(table, base))


def test_what_is_said_of_an_image_and_what_the_run_keeps(folder: Path, detector: mad.ScoredRun) -> None:
    run = mad.learn(folder, detector, 4, size=96)
    store = Store(Settings.from_environment())
    facts = store.run_subsets(run.id)[0].facts
    assert facts["grades"] == {"0": 4, "1": 4, "2": 4, "3": 4}
    assert not set(facts["graded_images"]) & set(run.table["image_id"])
    assert facts["supervision"] == "16 grades"
    assert sum(share["share"] for share in facts["shares"]) == pytest.approx(1)
    stored = store.score(run.id, run.table["image_id"].iloc[0])
    assert stored is not None
    assert stored.reason.startswith("Called L")
    assert stored.detail["level"] in stored.detail["levels"]
    assert sum(stored.detail["probabilities"].values()) == pytest.approx(1)
    assert {near["image_id"] for near in stored.detail["nearest"]} <= set(facts["graded_images"])


def test_another_grade_costs_no_look(folder: Path, detector: mad.ScoredRun) -> None:
    mad.learn(folder, detector, 3, size=96)
    before = len(Averages.calls)
    mad.learn(folder, detector, 4, size=96)
    assert len(Averages.calls) == before + 12  # the normals' alone, whose patches are compared with
    store = Store(Settings.from_environment())
    run = mad.learn(folder, detector, 4, size=96)
    images = learned_images(store, store.run(run.id), store.run(run.id).subsets[0])
    assert len(images.image_ids) == 48
    assert len(images.grades) == 16
    chosen = images.next(5)
    assert len(set(chosen)) == 5
    assert not set(chosen) & set(images.grades)
    curve = images.curve(draws=2)
    assert curve.points[0].grades < curve.points[-1].grades
    judged = images.learner().predict(images.evidence).severity
    scores = dict(zip(images.image_ids, judged.tolist(), strict=True))
    for image_id, score in zip(run.table["image_id"], run.table["score"], strict=True):
        assert scores[image_id] == pytest.approx(score, abs=1e-6)


def test_ratings_of_the_audit_are_grades_and_the_rated_images_leave_the_metrics(
    folder: Path, detector: mad.ScoredRun
) -> None:
    store = Store(Settings.from_environment())
    dataset_id = store.run(detector.id).dataset_id
    with pytest.raises(InputError, match="Nobody has rated"):
        with_ratings(store, dataset_id)
    audit = AuditStore(store)
    audit.reviewer("Ana")
    rated = store.dataset(dataset_id).select(split="test").groupby("level").head(4)
    for image_id, level in zip(rated["image_id"], rated["level"], strict=True):
        audit.record(Event(dataset_id, image_id, "Ana", "level", after=float(level)))
    run = mad.learn(folder, detector, "ratings", size=96)
    assert not set(run.table["image_id"]) & set(rated["image_id"])
    facts = store.run_subsets(run.id)[0].facts
    assert set(facts["graded_images"]) == set(rated["image_id"])


def test_levels_by_image_and_what_is_no_grade(folder: Path, detector: mad.ScoredRun) -> None:
    table = detector.table
    few = {name: float(level) for name, level in zip(table["image_id"][::3], table["level"][::3], strict=True)}
    run = mad.learn(folder, detector, few, size=96)
    assert len(run.table) == len(table) - len(few)
    with pytest.raises(InputError, match="no test image 'nobody'"):
        mad.learn(folder, detector, {"nobody": 1.0})
    with pytest.raises(InputError, match="Grades are a number"):
        mad.learn(folder, detector, "guesses")
    with pytest.raises(InputError, match="none is left"):
        mad.learn(folder, detector, dict.fromkeys(table["image_id"], 1.0))


def test_the_audit_learns_beside_its_detector_which_scores_nothing_twice(folder: Path, detector: mad.ScoredRun) -> None:
    store = Store(Settings.from_environment())
    dataset_id = store.run(detector.id).dataset_id
    audit = AuditStore(store)
    audit.reviewer("Ana")
    with pytest.raises(InputError, match="0 images are graded; in one subset 4 grades of 2 levels are needed"):
        learn_from_ratings(store, dataset_id)
    rated = store.dataset(dataset_id).select(split="test").groupby("level").head(3)
    for image_id, level in zip(rated["image_id"], rated["level"], strict=True):
        audit.record(Event(dataset_id, image_id, "Ana", "level", after=float(level)))
    run = learn_from_ratings(store, dataset_id)
    beside = next(one for one in store.runs(run.dataset_id) if one.scorer == "filterbank")
    for one in (beside, run):
        job = store.queue.active_for(one.job_key)
        assert job is not None
        do_here(store, job.id, "cpu", lambda facts: None)
    assert store.run(run.id).status == "done"
    before, after = (store.scores(name).set_index("image_id") for name in (detector.id, beside.id))
    assert len(after) == len(before) - len(rated)
    assert after["score"].equals(before["score"][after.index])
    assert store.run_subsets(beside.id)[0].facts["same_fit"] == {detector.id: len(after)}
    kept = store.read_map(store.run(beside.id), after.index[0])
    assert kept is not None
    np.testing.assert_array_equal(kept, store.read_map(store.run(detector.id), after.index[0]))
    assert [one.id for one in learned_runs(store, dataset_id)] == [run.id]
    assert learn_from_ratings(store, dataset_id).id == run.id  # nothing new was graded
    assert rated_levels(store, run.dataset_id) == {}  # there they are set aside
    more = store.dataset(run.dataset_id).select(split="test")["image_id"].iloc[0]
    audit.record(Event(run.dataset_id, more, "Ana", "level", after=1.0))
    further = learn_from_ratings(store, run.dataset_id)
    assert len(store.dataset(further.dataset_id).select(split="calibration")) == len(rated) + 1


def test_what_a_multimodal_model_says_is_learned_from_too(folder: Path, detector: mad.ScoredRun) -> None:
    @mad.scorer("judge", title="Judge", family="multimodal LLM")
    def judge(normals: Sequence[np.ndarray]) -> Any:
        def said(image: np.ndarray) -> float:
            red = image[..., 0].astype(float) - image[..., 1]
            return float(np.clip(red.max() - 20, 0, 100))

        return said

    model = mad.score(folder, judge)
    store = Store(Settings.from_environment())
    base = store.run(detector.id)
    dataset = store.dataset(base.dataset_id).with_calibration(3)
    own = store.add_dataset(Imported(dataset))
    asked = RunRequest(own, "graded", {"detector": detector.id, "model": model.id, "size": 96})
    run = request_run(store, asked)
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda facts: None)
    facts = store.run_subsets(run.id)[0].facts
    assert ANSWER in {share["name"] for share in facts["shares"]}
    assert len(facts["graded_answers"]) == 12
    scores = store.scores(run.id).set_index("image_id")["score"]
    images = learned_images(store, store.run(run.id), run.subsets[0])
    judged = dict(zip(images.image_ids, images.learner().predict(images.evidence).severity.tolist(), strict=True))
    for image_id, score in scores.items():
        assert judged[image_id] == pytest.approx(score, abs=1e-6)
    without = mad.learn(folder, detector, 3, size=96)
    assert ANSWER not in {share["name"] for share in store.run_subsets(without.id)[0].facts["shares"]}
    with pytest.raises(InputError, match="is not of a multimodal model"):
        request_run(store, replace(asked, parameters={**asked.parameters, "model": detector.id}))


def test_an_answer_in_numbers() -> None:
    distribution = np.zeros(101)
    distribution[[40, 60]] = 0.5
    np.testing.assert_allclose(answer(50.0, distribution), [50, 10, 0.5])
    np.testing.assert_allclose(answer(70.0, None), [70, 0, 1])
    rows = spread_over([np.array([1.0, 0, 0]), np.array([3.0, 0, 0])], [0, 2], 3)
    assert rows[:, 0].tolist() == [1, 2, 3]


def test_a_run_that_learns_says_that_names_suggest_groups(tmp_path: Path) -> None:
    root, rng = tmp_path / "parts", np.random.default_rng(1)
    for place, level, count in (("train/good", 0, 8), ("test/good_level_0", 0, 12), ("test/spot_level_1", 1, 12)):
        (root / place).mkdir(parents=True)
        for number in range(count):
            picture(rng, level).save(root / place / f"P{level}{number // 2}_{number % 2}.png")
    run = mad.learn(root, mad.score(root, "filterbank", size=64), 4, size=96)
    assert any("--group-from-name before-underscore" in note for note in run.metrics(draws=0)["notes"])


def test_answers_to_which_is_worse_teach_as_well(folder: Path, detector: mad.ScoredRun) -> None:
    store = Store(Settings.from_environment())
    dataset_id = store.run(detector.id).dataset_id
    audit = AuditStore(store)
    audit.reviewer("Ana")
    tests = store.dataset(dataset_id).select(split="test")
    rated = tests.groupby("level").head(4)
    for image_id, level in zip(rated["image_id"], rated["level"], strict=True):
        audit.record(Event(dataset_id, image_id, "Ana", "level", after=min(float(level), 2.0)))  # L3 not told from L2
    mild, severe = (rated.loc[rated["level"] == level, "image_id"].tolist() for level in (2, 3))
    other = tests.loc[tests["level"] == 1, "image_id"].iloc[-1]
    without = learn_from_ratings(store, dataset_id)
    for first, second in zip(mild, severe, strict=True):
        audit.record(Event(dataset_id, first, "Ana", "compare", after=0.0, other=second))
    audit.record(Event(dataset_id, mild[0], "Ana", "compare", after=0.0, other=other))
    run = learn_from_ratings(store, dataset_id)
    assert run.id != without.id
    for one in (without, run):
        job = store.queue.active_for(one.job_key)
        assert job is not None
        do_here(store, job.id, "cpu", lambda facts: None)
    facts = store.run_subsets(run.id)[0].facts
    assert facts["comparisons"] == 4  # the fifth is about an image that is tested
    assert other in set(store.scores(run.id)["image_id"])

    def apart(run_id: str) -> float:
        """By how much those that were called worse are judged worse than those beside them."""
        images = learned_images(store, store.run(run_id), run.subsets[0])
        severity = pd.Series(images.learner().predict(images.evidence).severity, index=pd.Index(images.image_ids))
        return float(severity[severe].mean() - severity[mild].mean())

    assert apart(run.id) > apart(without.id) + 0.02
    images = learned_images(store, store.run(run.id), run.subsets[0])
    judged = dict(zip(images.image_ids, images.learner().predict(images.evidence).severity.tolist(), strict=True))
    for image_id, score in zip(store.scores(run.id)["image_id"], store.scores(run.id)["score"], strict=True):
        assert judged[image_id] == pytest.approx(score, abs=1e-6)
