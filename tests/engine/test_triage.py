"""Triage: counts at a threshold, called levels with their sets, images outside, the list and the contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mad_core as mad
from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import InputError
from mad_core.figures import describe_score_threshold, score_threshold
from mad_core.report.contact_sheet import contact_sheet
from mad_core.runs.browsing import Wanted, select
from mad_core.runs.outside import FEWEST, Inside, describe
from mad_core.runs.store import RunRequest, Store
from mad_core.runs.store.tags import ASIDE
from mad_core.runs.triage import (
    ENOUGH,
    UNLIKE,
    calls,
    flagged,
    guarantee_of,
    listed,
    medians_without,
    usual_threshold,
    with_normals,
)
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings
from tests.engine.conftest import make_dataset

LEVELS = st.sampled_from([np.nan, 0.0, 1.0, 2.0])
SCORES = st.one_of(st.just(np.nan), st.integers(0, 9).map(float))


@given(st.lists(st.tuples(LEVELS, SCORES), min_size=1, max_size=30), st.integers(0, 9))
def test_counts_are_those_of_looking_at_each_image(images: list[tuple[float, float]], threshold: int) -> None:
    counts = flagged(*(np.array(column) for column in zip(*images, strict=True)), threshold)
    scored = [(level, score) for level, score in images if score == score]
    assert counts.images == len(scored)
    assert counts.flagged == sum(score >= threshold for _, score in scored)
    assert (counts.abnormal, counts.missed) == (
        sum(level > 0 for level, _ in scored),
        sum(level > 0 and score < threshold for level, score in scored),
    )
    assert (counts.normals, counts.false_alarms) == (
        sum(level == 0 for level, _ in scored),
        sum(level == 0 and score >= threshold for level, score in scored),
    )
    words = counts.in_words()
    assert ("none is labelled" in words) == (counts.abnormal + counts.normals == 0)


def test_the_usual_threshold_is_that_of_normals_where_there_are_enough() -> None:
    scores = np.arange(20.0)
    assert usual_threshold(np.zeros(20), scores) == pytest.approx(np.quantile(scores, 0.95))
    few = np.full(20, np.nan)
    few[: ENOUGH - 1] = 0
    assert usual_threshold(few, scores) == pytest.approx(np.quantile(scores, 0.9))
    assert usual_threshold(np.zeros(2), np.full(2, np.nan)) == 0.0


def scored_dataset(store: Store, dataset: Dataset, score: Any) -> tuple[str, str]:
    """The dataset with a finished run: ``score(row)`` of each test image."""
    dataset_id = store.add_dataset(Imported(dataset))
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    for subset in dataset.subsets:
        rows = dataset.select(split="test", subset=subset).itertuples()
        store.add_scores(run.id, subset, [(Scored(row.image_id, score(row)), None) for row in rows])
    store.update_run(run.id, status="done", finished=1.0)
    return dataset_id, run.id


def view_of(store: Store, dataset_id: str, run_id: str, subset: str) -> pd.DataFrame:
    rows = store.dataset(dataset_id).select(split="test", subset=subset)
    scores = store.scores(run_id).set_index("image_id")["score"]
    return rows.assign(score=scores.reindex(rows["image_id"]).to_numpy())


def test_labelled_scores_call_the_others_with_sets(store: Store) -> None:
    whole = make_dataset(subsets=("a",), per_level=20)
    tests = np.flatnonzero((whole.table["split"] == "test").to_numpy())
    absent = whole.table["level"].mask(whole.table.index.isin(tests[::4]))
    truth = whole.table.set_index("image_id")["level"]
    rng = np.random.default_rng(2)
    noise = dict(zip(whole.table["image_id"], rng.normal(0, 0.1, len(whole.table)), strict=True))
    dataset = Dataset("d", whole.table.assign(level=absent), whole.card, whole.source)
    dataset_id, run_id = scored_dataset(store, dataset, lambda row: float(truth[row.image_id] + noise[row.image_id]))
    view, run = view_of(store, dataset_id, run_id, "a"), store.run(run_id)
    found = calls(store, run, "a", view)
    unlabelled = view["level"].isna().to_numpy()
    expected = truth.reindex(view["image_id"]).to_numpy()
    assert unlabelled.sum() == 15 and (found["called"].to_numpy()[unlabelled] == expected[unlabelled]).mean() > 0.8
    held = [f"L{level:g}" in words for level, words in zip(expected, found["set"], strict=True)]
    assert np.mean(np.array(held)[unlabelled]) >= 0.8
    assert "at least 80%" in guarantee_of(run, found)
    bare = calls(store, run, "a", view.assign(level=np.nan))
    assert bare["called"].isna().to_numpy().all() and guarantee_of(run, bare) == ""
    table = listed(view.assign(**{name: found[name] for name in found}), 1.0, {view["image_id"].iloc[0]: ("x", "y")})
    assert table["Tags"].iloc[0] == "x; y" and set(table["Flagged"]) == {"yes", "no"}
    assert table["Severity"].isna().sum() == 15 and (table["Called Level"] == found["called"].to_numpy()).all()


@given(st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=9))
def test_a_score_is_compared_with_the_median_of_the_others(values: list[float]) -> None:
    expected = [np.median(values[:i] + values[i + 1 :]) for i in range(len(values))]
    assert medians_without(np.array(values)).tolist() == expected


def test_marked_normals_are_trained_on_and_abnormal_ones_are_not() -> None:
    dataset = make_dataset(subsets=("a",))
    tests = dataset.select(split="test")
    normal, severe = (tests.query(f"level == {level}")["image_id"].tolist() for level in (0, 2))
    marked = with_normals(dataset, normal[:2])
    assert len(marked.normals("a")) == 5 and marked.version != dataset.version
    with pytest.raises(InputError, match="labelled abnormal"):
        with_normals(dataset, severe[:1])
    with pytest.raises(InputError, match="Only test images"):
        with_normals(dataset, dataset.normals("a")["image_id"].tolist()[:1])
    bare = Dataset("d", dataset.table.assign(level=dataset.table["level"].where(dataset.table["split"] == "train")))
    with pytest.raises(InputError, match="No image would be left"):
        with_normals(bare, tests["image_id"].tolist())


def test_tags_are_given_taken_and_leave_images_out(store: Store) -> None:
    dataset_id = store.add_dataset(Imported(make_dataset(subsets=("a",))))
    ids = store.dataset(dataset_id).table["image_id"].tolist()
    assert store.tags.add(dataset_id, ids[:3], "  to   rework ") == 3
    assert store.tags.add(dataset_id, ids[:4], "to rework") == 1
    store.tags.add(dataset_id, ids[:1], ASIDE)
    store.tags.remove(dataset_id, ids[1:2], "to rework")
    assert store.tags.of(dataset_id) == {ids[0]: (ASIDE, "to rework"), ids[2]: ("to rework",), ids[3]: ("to rework",)}
    for wrong in ("", " ", "x" * 81):
        with pytest.raises(InputError, match="1 to 80"):
            store.tags.add(dataset_id, ids, wrong)
    table = pd.DataFrame({"template_path": list("abc"), "level": 0.0, "tags": [(ASIDE,), ("x",), ()]})
    assert select(table, Wanted(order="name"))["template_path"].tolist() == ["b", "c"]
    assert select(table, Wanted(order="name", tag=ASIDE))["template_path"].tolist() == ["a"]
    store.delete_dataset(dataset_id)
    assert store.tags.of(dataset_id) == {}


# -- images outside -------------------------------------------------------------------------------


def grainy(path: Path, seed: int, defect: int = 0) -> Path:
    """A plate of two tones with grain; a defect of so many pixels a side."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 8, (72, 96)) + np.where(np.arange(96) < 48, 110, 150)[None, :] + rng.normal(0, 3)
    pixels[10 : 10 + defect, 20 : 20 + defect] = 15
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def others(folder: Path) -> dict[str, Path]:
    """A black frame, an empty page, a mask and another product."""
    folder.mkdir(exist_ok=True)
    mask = np.zeros((72, 96), np.uint8)
    mask[20:40, 30:60] = 255
    other = (np.indices((72, 96)).sum(0) // 6 % 2 * 200 + 20).astype(np.uint8)
    drawn = {"black": np.zeros((72, 96), np.uint8), "white": np.full((72, 96), 255, np.uint8), "blob": mask}
    for name, pixels in {**drawn, "other": other}.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in (*drawn, "other")}


def test_other_pictures_are_outside_and_defects_are_not(tmp_path: Path) -> None:
    fitted = np.array([describe(grainy(tmp_path / f"{seed}.png", seed)) for seed in range(12)])
    inside = Inside.of(fitted)
    assert inside is not None and Inside.of(fitted[: FEWEST - 1]) is None
    new = [
        describe(grainy(tmp_path / f"new{seed}.png", 100 + seed, defect)) for seed, defect in enumerate((0, 8, 30, 45))
    ]
    assert not inside.outside(np.array(new)).any()
    odd = np.array([describe(path) for path in others(tmp_path / "odd").values()])
    assert inside.outside(odd).all()


def test_a_run_says_which_images_are_unlike_all_it_was_fitted_on(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAD_HOME", str(settings.home))
    for seed in range(10):
        grainy(tmp_path / f"parts/train/good/{seed}.png", seed)
    grainy(tmp_path / "parts/test/good/n.png", 50)
    grainy(tmp_path / "parts/test/level_2/d.png", 51, 20)
    run = mad.score(tmp_path / "parts", "filterbank", size=64)
    (entry,) = run.store.run_subsets(run.id)
    assert entry.facts["outside"]["images"] == [] and entry.facts["outside"]["seen"] == 2
    others(tmp_path / "monday")
    added = mad.add(tmp_path / "monday", run.store.run(run.id).dataset_id)
    assert added.added == 4
    (entry,) = run.store.run_subsets(run.id)
    assert len(entry.facts["outside"]["images"]) == 4 and entry.facts["outside"]["seen"] == 6
    now = run.store.run(run.id)
    view = view_of(run.store, now.dataset_id, run.id, "parts")
    found = calls(run.store, now, "parts", view)
    odd = view["level"].isna().to_numpy()
    assert found["unlike"].to_numpy().tolist() == odd.tolist() and found["called"].isna().to_numpy()[odd].all()
    assert set(found["why"][odd]) == {UNLIKE}
    sheet = contact_sheet(
        run.store, now, view.assign(**{name: found[name] for name in found}), 0.0, "<b>Monday</b>", ["A note."]
    )
    assert sheet.count("<figure>") == 6 and sheet.count("data:image/webp") == 6
    assert "&lt;b&gt;Monday&lt;/b&gt;" in sheet and "http" not in sheet.replace("http-equiv", "") and UNLIKE in sheet


# -- the figure -----------------------------------------------------------------------------------


def test_the_figure_counts_all_and_draws_labelled_levels_behind() -> None:
    rng = np.random.default_rng(1)
    levels = np.repeat([np.nan, 0.0, 2.0], [40, 20, 10])
    scores = np.nan_to_num(levels, nan=1.0) + rng.random(70)
    scores[0] = np.nan
    figure = score_threshold(levels, scores, 1.5, level_names={0.0: "good"}, theme="light")
    bars: Any = [trace for trace in figure.data if trace.type == "bar"]
    assert sum(bars[0].y) == 69 and len(figure.data) == 3
    assert describe_score_threshold(levels, scores, 1.5).startswith(f"{(scores >= 1.5).sum()} of 69 scores")
    log = score_threshold(np.full(70, np.nan), 10 ** np.linspace(-3, 3, 70), 1.0, level_names={}, theme="dark")
    assert len(log.data) == 1 and sum(log.data[0].y) == 70
    assert score_threshold([], [], 0.0, level_names={}, theme="light").data == ()
