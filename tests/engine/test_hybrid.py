"""The hybrid scorer over two stored runs: a detector that sees size, and a model that sees severity."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import InputError, WorkError
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.runs.in_process import do_here
from mad_core.runs.parts import resolve_parts
from mad_core.runs.results import run_table
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Item, Parameter, Scored, Scorer
from mad_core.scorers.hybrid import Fitted, ScoreScale, _threshold

from .conftest import make_dataset

CALLS: list[tuple[str, tuple[str, ...]]] = []
"""Which part was asked to score which images."""


class Size(Scorer):
    """The first number of an image, as far as it is from the normals it learned; 0 for those it has learned."""

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        values = [float(np.load(item.path)[0]) for item in normals]
        self.mean, self.known = float(np.mean(values)), set(values)

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        CALLS.append(("size", tuple(item.image_id for item in images)))
        for item in images:
            value = float(np.load(item.path)[0])
            if np.isnan(value):
                yield Scored.failed(item.image_id, "unreadable", "It cannot be read.")
                continue
            distance = 0.0 if value in self.known else abs(value - self.mean)
            yield Scored.of(item.image_id, distance, np.full((4, 6), distance, np.float32), 0.25)

    def state(self) -> Any:
        import torch

        return {"mean": torch.tensor([self.mean], dtype=torch.float64)}, {"known": sorted(self.known)}

    def restore(self, tensors: Any, facts: Any, context: Context) -> None:
        self.mean, self.known = float(tensors["mean"][0]), set(facts["known"])


class Meaning(Scorer):
    """The second number of an image, 0-100, with a reason; NaN is a refusal."""

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        assert not normals

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        CALLS.append(("meaning", tuple(item.image_id for item in images)))
        for item in images:
            value = float(np.load(item.path)[1])
            if np.isnan(value):
                yield Scored.failed(item.image_id, "refused", "The model refused to judge this image.", 0.5)
            else:
                yield Scored(item.image_id, value, reason=f"It costs {value:.0f}.", seconds=0.5)


def _declare(scorer_id: str, family: str, entry: str, *, needs_fit: bool) -> None:
    catalog.scorers()
    if scorer_id not in catalog._CATALOG:
        parameters = (Parameter("mark", "int", 0, "Tells runs apart."),)
        facts = {"paper": "none", "summary": "", "needs": "", "cost": "", "parameters": parameters}
        catalog.register(ScorerInfo(scorer_id, scorer_id, family, entry, needs_fit=needs_fit, **facts))


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    _declare("size", "filter bank", "tests.engine.test_hybrid:Size", needs_fit=True)
    _declare("meaning", "multimodal LLM", "tests.engine.test_hybrid:Meaning", needs_fit=False)
    CALLS.clear()
    yield
    for name in ("size", "meaning"):
        catalog._CATALOG.pop(name, None)


def numbers(folder: Path, noise: tuple[float, float] = (0.2, 5.0), normals: int = 20, per_level: int = 12) -> Dataset:
    """Sizes separate normal from abnormal and say nothing beyond; meanings order severity, with noise."""
    rng = np.random.default_rng(5)
    base = make_dataset(subsets=("a",), per_level=per_level).table
    train = base[base["split"] == "train"].iloc[:1]
    more = [train.assign(image_id=f"n{i:02d}", content_hash=f"n{i}") for i in range(normals)]
    table = pd.concat([*more, base[base["split"] == "test"]], ignore_index=True)
    paths = []
    for row in table.itertuples():
        path = folder / f"{row.image_id}.npy"
        size = rng.normal(0, noise[0]) + (3 + rng.uniform(0, 3) if row.level else 0)
        np.save(path, np.array([size, row.level * 30 + 5 + rng.normal(0, noise[1])]))
        paths.append(str(path))
    return Dataset("numbers", table.assign(path=paths), source="/data/numbers")


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return numbers(tmp_path)


def score(store: Store, dataset: Dataset, scorer: str, limit: int | None = None, **parameters: Any) -> Run:
    info = catalog.scorer(scorer)
    dataset_id = store.add_dataset(Imported(dataset))
    checked = resolve_parts(store, info, info.check(parameters), dataset)
    run = store.request_run(RunRequest(dataset_id, scorer, checked, limit=limit, title=scorer))
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    return store.run(run.id)


def facts_of(store: Store, run: Run) -> dict[str, Any]:
    return json.loads(json.dumps(dict(store.run_subsets(run.id)[0].facts)))


def order(table: Any, rows: Any = slice(None)) -> float:
    part = table.loc[rows]
    value = c_index(count_pairs(part["level"].to_numpy(), part["score"].to_numpy()))
    assert value is not None
    return value


def test_stages_order_normals_by_the_detector_and_the_rest_by_the_model(store, data) -> None:
    detector, model = score(store, data, "size"), score(store, data, "meaning")
    run = score(store, data, "hybrid")
    assert run.parameters["detector"] == detector.id and run.parameters["mllm"] == model.id
    table = run_table(store, run.id).set_index("image_id")
    first = run_table(store, detector.id).set_index("image_id")["score"]
    second = run_table(store, model.id).set_index("image_id")["score"]
    threshold = facts_of(store, run)["threshold_value"]
    below = table.index[first[table.index] <= threshold]
    above = table.index.difference(below)
    assert 0 < len(below) <= 12 and len(above) >= 24
    assert table.loc[below, "score"].between(-1, 0).all()
    assert (table.loc[below, "score"].rank() == first[below].rank()).all()
    assert (table.loc[above, "score"] == second[above]).all()
    assert order(table) > order(run_table(store, detector.id))
    detail = store.score(run.id, below[0])
    assert detail.detail["stage"] == "detector" and "not above its threshold" in detail.reason
    assert detail.seconds == pytest.approx(0.25)
    shown = store.score(run.id, above[0])
    assert shown.detail["stage"] == "mllm" and shown.reason.startswith("It costs") and shown.map is not None
    assert shown.seconds == pytest.approx(0.75)


def test_the_threshold_comes_from_normals_that_the_fit_has_not_seen(store, data) -> None:
    """The detector scores what it learned 0, so an in-sample threshold would be 0."""
    score(store, data, "size"), score(store, data, "meaning")
    CALLS.clear()
    run = score(store, data, "hybrid", quantile=0.9)
    facts = facts_of(store, run)
    assert facts["threshold_value"] > 0.1
    assert facts["normals"] == "20 training normals, each judged by a fit on the other folds of them"
    halves = [set(ids) for part, ids in CALLS if part == "size"]
    assert len(halves) == 10 and len(set.union(*halves)) == 20 and all(len(half) == 2 for half in halves)
    values = {r.image_id: float(np.load(r.path)[0]) for r in data.select(split="train").itertuples()}
    names = sorted(values)
    means = [np.mean([values[n] for i, n in enumerate(names) if i % 10 != k]) for k in range(10)]
    unseen = sorted(abs(values[n] - means[i % 10]) for i, n in enumerate(names))
    assert facts["threshold_value"] == pytest.approx(unseen[18])  # the 19th of 20: ceil(21 · 0.9)
    assert facts["threshold"].startswith("90 % of new normals stay up to it on average")


def test_of_new_normals_the_asked_share_passes() -> None:
    """Scores of a nearest-neighbour detector: fits on nine tenths are about those of the full fit, on halves not."""
    rng, passed = np.random.default_rng(2), {2: [], 10: []}
    for _ in range(60):
        known, new = rng.normal(size=(60, 4)), rng.normal(size=(300, 4))

        def distance(points: np.ndarray, bank: np.ndarray) -> np.ndarray:
            return np.sqrt(((points[:, None] - bank[None]) ** 2).sum(-1)).min(1)

        for folds, own in passed.items():
            fold = np.arange(60) % folds
            scores = np.concatenate([distance(known[fold == k], known[fold != k]) for k in range(folds)])
            own.append((distance(new, known) <= _threshold(scores, 0.9)).mean())
    assert np.mean(passed[10]) == pytest.approx(0.9, abs=0.02) and np.mean(passed[2]) > 0.93


def test_calibration_normals_set_the_threshold_where_there_are_enough(store, tmp_path) -> None:
    data = numbers(tmp_path, per_level=24).with_calibration(12)
    score(store, data, "size"), score(store, data, "meaning")
    facts = facts_of(store, score(store, data, "hybrid"))
    assert facts["normals"] == "12 calibration normals"


def test_images_that_a_part_has_not_scored_are_scored_by_it(store, data) -> None:
    score(store, data, "size", limit=6), score(store, data, "meaning")
    CALLS.clear()
    run = score(store, data, "hybrid")
    assert store.scores(run.id)["score"].notna().all()
    more = {i for part, ids in CALLS if part == "size" for i in ids} & set(data.select(split="test")["image_id"])
    assert len(more) == 36 - 6 and not [1 for part, _ in CALLS if part == "meaning"]


@pytest.mark.parametrize("mode", ["stages", "blend"])
def test_a_part_that_failed_fails_the_image_by_name(store, data, mode) -> None:
    tests = data.select(split="test")
    abnormal = tests[tests["level"] == 2]
    for row, place in ((abnormal.iloc[0], 0), (abnormal.iloc[1], 1)):
        values = np.load(row["path"])
        values[place] = np.nan
        np.save(row["path"], values)
    score(store, data, "size"), score(store, data, "meaning")
    run = score(store, data, "hybrid", mode=mode)
    table = store.scores(run.id).set_index("image_id")
    lost = table.loc[abnormal["image_id"].iloc[:2]]
    assert lost["status"].tolist() == ["detector-failed", "mllm-failed"] and lost["score"].isna().all()
    assert "refused to judge" in lost["reason"].iloc[1]
    assert table["score"].notna().sum() == 34


def test_blend_learns_its_weight_on_calibration_alone(store, tmp_path) -> None:
    data = numbers(tmp_path, per_level=24).with_calibration(6)
    score(store, data, "size"), score(store, data, "meaning")
    run = score(store, data, "hybrid", mode="blend")
    facts = facts_of(store, run)
    assert 0 <= facts["weight_of_detector"] < 1  # the detector alone does not order severity
    assert facts["weight_from"] == "highest C-index on 18 calibration images of 3 levels"
    learned = facts["calibration_c_index"]
    assert learned["blend"] >= max(learned["detector alone"], learned["mllm alone"])
    scored = set(store.scores(run.id)["image_id"])
    assert not scored & set(data.select(split="calibration")["image_id"])
    assert order(run_table(store, run.id)) > 0.9


@pytest.mark.parametrize(("noise", "detector_is_right"), [((0.2, 400.0), True), ((30.0, 12.0), False)])
def test_blend_follows_the_part_that_is_right(store, tmp_path, noise, detector_is_right) -> None:
    data = numbers(tmp_path, noise=noise, per_level=24).with_calibration(8)
    score(store, data, "size"), score(store, data, "meaning")
    weight = facts_of(store, score(store, data, "hybrid", mode="blend"))["weight_of_detector"]
    assert (weight > 0.5) == detector_is_right and weight != 0.5


def test_blend_without_labels_is_half_and_half_and_says_so(store, data) -> None:
    score(store, data, "size"), score(store, data, "meaning")
    facts = facts_of(store, score(store, data, "hybrid", mode="blend"))
    assert facts["weight_of_detector"] == 0.5 and facts["weight_from"].startswith("0.5, not learned: 0 labelled")


def test_the_fit_depends_on_the_runs_and_labels(store, tmp_path) -> None:
    data = numbers(tmp_path, per_level=24).with_calibration(6)
    first, model = score(store, data, "size"), score(store, data, "meaning")
    one = score(store, data, "hybrid")
    other = score(store, data, "hybrid", detector=score(store, data, "size", mark=1).id, mllm=model.id)
    again = score(store, data, "hybrid", detector=first.id, mllm=model.id, limit=5)
    fits = [store.run_subsets(run.id)[0].fit for run in (one, other, again)]
    assert fits[0] == fits[2] != fits[1]
    assert store.run_subsets(again.id)[0].facts["normals"]  # the kept fit came back whole


def test_an_uploaded_image_goes_through_both_parts(store, data, tmp_path) -> None:
    score(store, data, "size"), score(store, data, "meaning")
    run = score(store, data, "hybrid")
    path = store.settings.uploads / "new.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array([6.0, 77.0]))
    payload = {"run": run.id, "subset": "a", "path": str(path), "map": str(tmp_path / "map")}
    job = store.queue.submit("single", payload, key="single", device="cpu")
    result = do_here(store, job, "cpu", lambda progress: None).result
    assert result["score"] == 77.0 and result["map"] and "77" in result["reason"]


def test_parts_that_are_missing_or_wrong_are_sentences(store, data) -> None:
    with pytest.raises(InputError, match="a conventional detector"):
        score(store, data, "hybrid")
    detector = score(store, data, "size")
    with pytest.raises(InputError, match="a multimodal model"):
        score(store, data, "hybrid")
    model = score(store, data, "meaning")
    with pytest.raises(InputError, match="is not of a conventional detector"):
        score(store, data, "hybrid", detector=model.id)
    with pytest.raises(InputError, match="There is no run 'nothing'"):
        score(store, data, "hybrid", detector="nothing")
    store.update_run(detector.id, status="failed")
    with pytest.raises(InputError, match="is failed; let it finish"):
        score(store, data, "hybrid", detector=detector.id)
    others = data.table["content_hash"].str[::-1]  # levels alone would not matter: scorers do not see them
    other = Dataset("other", data.table.assign(content_hash=others), source="/data/other")
    with pytest.raises(InputError, match="scored another dataset"):
        score(store, other, "hybrid", mllm=model.id, detector=model.id)


def test_a_part_that_is_deleted_before_the_work_is_a_sentence(store, data) -> None:
    detector = score(store, data, "size")
    score(store, data, "meaning")
    info = catalog.scorer("hybrid")
    parameters = resolve_parts(store, info, info.check({}), data)
    run = store.request_run(RunRequest(store.add_dataset(Imported(data)), "hybrid", parameters))
    store.delete_run(detector.id)
    job = store.queue.active_for(run.job_key)
    assert job is not None
    with pytest.raises(WorkError, match="There is no run"):
        do_here(store, job.id, "cpu", lambda progress: None)


def test_fitted_comes_back_from_json_bit_by_bit() -> None:
    fitted = Fitted(0.1 + 0.2, ScoreScale(1 / 3, 2 / 7), None, 0.35, {"a": 1})
    assert Fitted.from_json(json.loads(json.dumps(asdict(fitted)))) == fitted


def test_the_normal_side_keeps_order_and_stays_below_zero() -> None:
    fitted = Fitted(2.0, ScoreScale(1.0, 0.5), None, 1.0, {})
    values = [fitted.normal_side(score) for score in (-1e6, 0.0, 1.0, 1.9, 2.0)]
    assert values == sorted(values) and len(set(values)) == 5 and values[0] > -1 and values[-1] == 0


def test_equal_normals_still_have_a_spread() -> None:
    scale = ScoreScale.of(np.full(9, 3.0), 1e-9)
    assert scale.spread == 1e-9 and np.isfinite(scale.standard(1e12))


# -- setting images aside -----------------------------------------------------------------------


def test_calibration_is_even_over_levels_and_the_same_every_time() -> None:
    data = make_dataset(per_level=8)
    moved = data.with_calibration(3)
    rows = moved.select(split="calibration")
    assert rows.groupby(["subset", "level"]).size().tolist() == [3] * 6
    assert moved.version != data.version and "3 a level for calibration" in moved.name
    shuffled = Dataset(data.name, data.table.sample(frac=1, random_state=1), data.card, data.source)
    assert set(shuffled.with_calibration(3).select(split="calibration")["image_id"]) == set(rows["image_id"])
    assert set(data.with_calibration(3, seed=1).select(split="calibration")["image_id"]) != set(rows["image_id"])
    assert len(moved.select(split="test")) == 48 - 18 and len(moved.select(split="train")) == 6


def test_a_level_keeps_half_of_its_test_images_and_twins_stay_together() -> None:
    data = make_dataset(subsets=("a",), per_level=4)
    assert data.with_calibration(99).select(split="test").groupby("level").size().tolist() == [2, 2, 2]
    twins = data.table.copy()
    level2 = twins.index[(twins["split"] == "test") & (twins["level"] == 2)]
    twins.loc[level2, "content_hash"] = "the same"
    moved = Dataset("twins", twins).with_calibration(2)
    assert (moved.select(split="calibration")["level"] < 2).all()
    with pytest.raises(InputError, match="too few test images"):
        Dataset("none", twins[twins["split"] == "train"]).with_calibration(1)
