"""Reductions of stored maps: their brute-force twins, the threshold from normals, and severity against area."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage
from scipy.stats import spearmanr

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import CancelledError, InputError, WorkError
from mad_core.images import content_hash, read_mask
from mad_core.map_files import MapStore
from mad_core.metrics.association import (
    bootstrap_rank_correlation,
    in_words,
    leaders,
    rank_correlation,
    severity_and_area,
)
from mad_core.metrics.summary import evaluate
from mad_core.runs import map_reductions, map_thresholds
from mad_core.runs.in_process import do_here
from mad_core.runs.map_reductions import OWN, compare_reductions, reduce_run, reduce_stored, reduced_table
from mad_core.runs.map_thresholds import FACT, NormalMaps, find
from mad_core.runs.store import Run, RunRequest, RunSubset, Store
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Item, Parameter, Scored, Scorer
from mad_core.scorers.reductions import ALL, THRESHOLDED, TITLES, count_regions, reduce_map

from .conftest import make_dataset

# -- one map ------------------------------------------------------------------------------------

half = st.floats(-1, 1, width=16)
stored_maps = hnp.arrays(np.float16, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=half)
few_values = hnp.arrays(
    np.float16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([-1, 0, 0.5, 1])
)


def flood(marked: np.ndarray) -> int:
    """Connected components by naive flood fill, corners included."""
    left, found = set(zip(*np.nonzero(marked), strict=True)), 0
    while left:
        found += 1
        open_pixels = [left.pop()]
        while open_pixels:
            y, x = open_pixels.pop()
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            open_pixels += near
    return found


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 16), st.integers(1, 16))))
def test_regions_are_those_of_a_flood_fill(marked: np.ndarray) -> None:
    assert count_regions(marked) == flood(marked) == ndimage.label(marked, np.ones((3, 3)))[1]


@settings(max_examples=150, deadline=None)
@given(st.one_of(stored_maps, few_values), st.sampled_from([1.0, 0.37, 812.5, 3e6]), half)
def test_every_reduction_is_that_of_the_map_itself(stored: np.ndarray, scale: float, at: float) -> None:
    """The way by counts gives what reducing the map, pixel by pixel, gives."""
    raw = stored.astype(np.float64) * scale
    found = reduce_stored(stored, scale, at * scale)
    assert set(found) == set(ALL)
    for name in ALL:
        twin = reduce_map(raw, name, at * scale)
        assert found[name] == pytest.approx(twin, rel=1e-9, abs=1e-9 * scale), name


@given(stored_maps, half)
def test_area_and_mass_by_their_definitions(stored: np.ndarray, at: float) -> None:
    values = [float(v) for v in stored.ravel()]
    found = reduce_stored(stored, 1.0, at)
    assert found["area"] == sum(v > at for v in values) / len(values)
    assert found["mass"] == pytest.approx(sum(v - at for v in values if v > at) / len(values), abs=1e-12)
    assert found["mass"] <= found["area"] * (found["max"] - at) + 1e-12


@given(stored_maps)
def test_a_higher_threshold_leaves_less(stored: np.ndarray) -> None:
    low, high = (reduce_stored(stored, 2.0, t) for t in (-0.5, 0.5))
    assert high["area"] <= low["area"] and high["mass"] <= low["mass"]
    above = reduce_stored(stored, 2.0, 2.0)
    assert (above["area"], above["mass"], above["regions"]) == (0, 0, 0)


def test_without_a_threshold_the_rest_is_still_there() -> None:
    found = reduce_stored(np.ones((3, 4), np.float16), 2.0, None)
    assert found["max"] == 2 and all(np.isnan(found[name]) for name in THRESHOLDED)
    broken = np.ones((3, 4), np.float16)
    broken[1, 1] = np.nan
    assert all(np.isnan(value) for value in reduce_stored(broken, 2.0, 0.5).values())
    with pytest.raises(InputError, match="needs a threshold"):
        reduce_map(np.ones((2, 2)), "area")
    with pytest.raises(InputError, match=r"max, top1.*regions"):
        reduce_map(np.ones((2, 2)), "median")


def test_many_maps_come_from_one_mapped_file(tmp_path: Path) -> None:
    store, rng = MapStore(tmp_path), np.random.default_rng(0)
    maps = {f"i{n}": rng.normal(size=(20 + n, 30)).astype(np.float32) for n in range(5)}
    refs = {name: store.write("r", "s", 7 - n, one, 64) for n, (name, one) in enumerate(maps.items())}
    found = {name: stored.astype(np.float32) * scale for name, stored, scale in store.stored("r", "s", refs, 64)}
    assert list(found) == list(maps)[::-1]  # in the order of slots
    for name, ref in refs.items():
        np.testing.assert_array_equal(found[name], store.read("r", "s", ref, 64))
    short = replace(refs["i0"], row=99)
    with pytest.raises(WorkError, match="score the images again"):
        list(store.stored("r", "s", {"i0": short}, 64))
    with pytest.raises(WorkError, match="score the images again"):
        list(store.stored("r", "none", refs, 64))
    assert list(store.stored("r", "none", {}, 64)) == []


def test_ten_thousand_maps_take_seconds(tmp_path: Path) -> None:
    store, rng = MapStore(tmp_path), np.random.default_rng(0)
    one = rng.gamma(1.0, 1.0, (192, 256)).astype(np.float32)
    refs = {f"i{n}": store.write("r", "s", n, np.roll(one, n, axis=0), 256) for n in range(1_000)}
    started = time.process_time()
    for _, stored, scale in store.stored("r", "s", refs, 256):
        reduce_stored(stored, scale, 5.0)
    assert (time.process_time() - started) * 10 < 60  # 10,000 maps, on a machine that is busy


# -- severity and area --------------------------------------------------------------------------

numbers = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30))
def test_the_rank_correlation_is_spearmans(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs).T
    found = rank_correlation(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), numbers, numbers), min_size=4, max_size=20), st.integers(0, 9))
def test_the_bootstrap_ranks_every_resample_anew(rows: list[tuple[int, float, float]], seed: int) -> None:
    levels, first, second = np.array(rows, dtype=np.float64).T
    found = bootstrap_rank_correlation(levels, first, second, draws=5, seed=seed)
    rng, groups = np.random.default_rng(seed), [np.flatnonzero(levels == level) for level in np.unique(levels)]
    chosen = np.concatenate([g[rng.integers(0, len(g), (5, len(g)))] for g in groups], axis=1)
    for value, drawn in zip(found, chosen, strict=True):
        a, b = first[drawn], second[drawn]
        if len(set(a)) == 1 or len(set(b)) == 1:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(spearmanr(a, b).statistic)


def made_up(seed: int = 1, n: int = 60) -> tuple[np.ndarray, ...]:
    """Levels, areas that have nothing to do with them, two subsets in different units."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 4, 2 * n).astype(np.float64)
    areas = np.where(levels > 0, rng.uniform(0.01, 0.5, 2 * n), np.nan)
    return levels, areas, np.repeat(["a", "b"], n), rng.normal(0, 0.3, 2 * n), np.repeat([1.0, 1000.0], n)


def test_subsets_are_averaged_never_pooled() -> None:
    levels, areas, subsets, noise, units = made_up()
    scores = (np.nan_to_num(areas) + 0.1 * noise) * units
    found = severity_and_area(levels, scores, areas, subsets, draws=50)
    parts = [spearmanr(scores[rows], areas[rows]).statistic for rows in ((subsets == s) & (levels > 0) for s in "ab")]
    assert found["area"]["rank_correlation"] == pytest.approx(np.mean(parts))
    assert found["area"]["n"] == int((levels > 0).sum()) and found["area"]["subsets"] == 2
    low, high = found["area"]["interval"]
    assert low < found["area"]["rank_correlation"] < high
    assert found["c_index"] == evaluate(levels, scores, subsets, draws=0)["c_index"]


def test_words_tell_what_follows_severity_from_what_follows_area() -> None:
    levels, areas, subsets, noise, _ = made_up()
    scores = {
        "max": levels + noise,
        "area": np.nan_to_num(areas) + 0.02 * noise,
        "regions": noise,
    }
    founds = {name: severity_and_area(levels, s, areas, subsets, draws=300) for name, s in scores.items()}
    said = in_words(founds, TITLES, "the area of the mask")
    assert said[0].startswith("Maximum follows severity best (C-index among abnormal images 1.00")
    assert said[1].startswith("Area above threshold follows the area of the mask best (rank correlation 1.00")
    assert said[2] == "What follows severity here is not what follows the area of the mask."


def test_words_stay_silent_where_intervals_overlap() -> None:
    levels, areas, subsets, _, _ = made_up(n=40)
    rng = np.random.default_rng(5)
    founds = {
        name: severity_and_area(levels, rng.normal(size=80), areas, subsets, draws=200) for name in ("max", "mean")
    }
    said = in_words(founds, TITLES, "the area of the mask")
    assert said[0].startswith("No clear difference in how they follow severity")
    assert said[1] == "None of them is told from chance in its order of severity."
    assert said[2].startswith("No clear difference in how they follow the area of the mask")
    assert len(said) == 3
    bare = {name: severity_and_area(levels, levels, areas * np.nan, subsets, draws=0) for name in ("max", "mean")}
    assert [s.split(":")[0] for s in in_words(bare, TITLES, "the area")] == [
        "Nothing can be said about severity",
        "Nothing can be said about the area",
    ]


def test_leaders_are_those_whose_intervals_overlap_the_highest() -> None:
    estimates = {"a": (0.6, [0.5, 0.7]), "b": (0.8, [0.7, 0.9]), "c": (0.3, [0.2, 0.69])}
    assert leaders(estimates) == ["b", "a"]
    assert leaders({}) == []


# -- the threshold from normals -----------------------------------------------------------------


class Brightness(Scorer):
    """The map is how far each pixel lies from the nearest normal image at that place: exactly 0 on fitted normals."""

    bank: np.ndarray

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        if len(normals) < self.parameters["fewest"]:
            raise InputError("Too few.")
        for done in range(40 if len(normals) < 20 else 1):  # a second fit is slow where asked for
            time.sleep(self.parameters["pause"])
            context.step(done, 40)
        self.bank = np.stack([np.load(item.path) for item in normals])

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            found = np.abs(self.bank - np.load(item.path)[None]).min(axis=0).astype(np.float32)
            yield Scored.of(item.image_id, float(found.max()), found, 0.001)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        return {"bank": torch.from_numpy(self.bank)}, {}

    def restore(self, tensors: Any, facts: Any, context: Context) -> None:
        self.bank = tensors["bank"].numpy()


BRIGHTNESS = ScorerInfo(
    id="brightness",
    title="Brightness",
    family="filter bank",
    entry="tests.engine.test_reducing:Brightness",
    paper="none",
    summary="Difference.",
    needs="nothing",
    cost="nothing",
    parameters=(
        Parameter("fewest", "int", 1, "Normals needed.", 1, 99),
        Parameter("pause", "float", 0.0, "Seconds a step.", 0, 10),
    ),
)
NORMALS, SIDE = 24, 32


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog._CATALOG, "brightness", BRIGHTNESS)


@pytest.fixture
def parts(tmp_path: Path) -> Dataset:
    """Noise with a bright square whose value is the severity; its area has nothing to do with it."""
    base, rng = make_dataset(subsets=("a", "b"), per_level=8), np.random.default_rng(3)
    some: Any = base.table
    normals = [
        some[some["subset"] == subset]
        .iloc[[0]]
        .assign(image_id=f"{subset}{n}", content_hash=f"{subset}{n}", split="train")
        for subset in ("a", "b")
        for n in range(NORMALS - 3)
    ]
    table = pd.concat([some, *normals], ignore_index=True)
    paths, masks = [], []
    for row in table.itertuples():
        values, side = rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), int(rng.integers(3, 12))
        mask = None
        if row.level:
            values[4 : 4 + side, 4 : 4 + side] += 10 * row.level
            mask = tmp_path / f"{row.image_id}_mask.png"
            marked = np.zeros((SIDE, SIDE), np.uint8)
            marked[4 : 4 + side, 4 : 4 + side] = 255
            Image.fromarray(marked).save(mask)
        np.save(tmp_path / f"{row.image_id}.npy", values)
        paths.append(str(tmp_path / f"{row.image_id}.npy"))
        masks.append(str(mask) if mask and row.subset == "a" else None)
    digests = [mask and content_hash(Path(mask)) for mask in masks]
    table = table.assign(path=paths, mask_path=pd.Series(masks, dtype=object), width=SIDE, height=SIDE)
    table = table.assign(mask_hash=pd.Series(digests, dtype=object))
    return Dataset("parts", table, base.card, "/data/parts")


def scored_run(store: Store, dataset: Dataset, **parameters: Any) -> Run:
    request = RunRequest(store.add_dataset(Imported(dataset)), "brightness", BRIGHTNESS.check(parameters))
    run = store.request_run(request)
    go(store, run)
    return store.run(run.id)


def go(store: Store, run: Run) -> None:
    job = store.queue.active_for(run.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)


def facts_of(store: Store, run: Run, subset: str = "a") -> dict[str, Any]:
    return next(dict(e.facts[FACT]) for e in store.run_subsets(run.id) if e.subset == subset)


def test_the_threshold_comes_from_normals_held_out_of_the_fit(store: Store, parts: Dataset) -> None:
    run = scored_run(store, parts)
    found = facts_of(store, run)
    assert found["quantile"] == map_thresholds.QUANTILE and found["maps"] == NORMALS // 3
    assert found["of"] == f"training normals held out of a second fit on {NORMALS - NORMALS // 3} others"
    assert 0.5 < found["threshold"] < 5  # noise against noise; the defects lie ten above
    assert run.status == "done" and all(e.fit for e in store.run_subsets(run.id))
    reduced = reduce_run(store, run.id)
    assert set(reduced.thresholds) == {"a", "b"} and reduced.notes == ()
    table = reduced.table
    assert (table.loc[table["level"] == 0, "area"] < 0.01).all()
    assert (table.loc[table["level"] > 0, "area"] > 0.005).all()
    for row in table.itertuples():
        twin = store.read_map(run, str(row.image_id))
        assert twin is not None
        for name in ALL:
            value = reduce_map(twin, name, reduced.thresholds[str(row.subset)].threshold)
            assert getattr(row, name) == pytest.approx(value, rel=1e-5, abs=1e-6), name


def turned(parts: Dataset) -> Dataset:
    """Another version: the levels of the test images the other way round."""
    tests = parts.table["split"] == "test"
    table = parts.table.assign(level=parts.table["level"].where(~tests, 2 - parts.table["level"]))
    return Dataset("turned", table, parts.card, "/turned")


def test_test_labels_never_move_the_threshold(store: Store, parts: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = facts_of(store, scored_run(store, parts))
    monkeypatch.setattr(map_thresholds, "of_same_fit", lambda *_: None)
    assert facts_of(store, scored_run(store, turned(parts))) == first


def test_what_the_same_fit_found_on_another_version_is_not_looked_for_again(
    store: Store, parts: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = facts_of(store, scored_run(store, parts))
    with monkeypatch.context() as patch:
        patch.setattr(map_thresholds, "find", lambda *_, **__: pytest.fail("it was found already"))
        assert facts_of(store, scored_run(store, turned(parts))) == first
    aside = scored_run(store, parts.with_calibration(4))  # its own normals that nothing learned from come first
    assert facts_of(store, aside)["of"] == map_thresholds.CALIBRATION
    later = Dataset("later", turned(parts).table, parts.card, "/later")
    assert facts_of(store, scored_run(store, later)) == first


def test_calibration_normals_are_taken_first(store: Store, parts: Dataset) -> None:
    run = scored_run(store, parts.with_calibration(4))
    assert facts_of(store, run)["of"] == "calibration normals" and facts_of(store, run)["maps"] == 4


def test_fitted_normals_are_taken_where_nothing_can_be_held_out(store: Store, parts: Dataset) -> None:
    run = scored_run(store, parts, fewest=NORMALS)
    found = facts_of(store, run)
    assert "fitted on, which look too normal" in found["of"] and found["threshold"] == 0  # distance to themselves


def test_a_second_fit_that_takes_long_is_given_up(store: Store, parts: Dataset, monkeypatch) -> None:
    monkeypatch.setattr(map_thresholds, "LONG_FIT", 0.4)
    started = time.monotonic()
    run = scored_run(store, parts, pause=0.1)  # the first fit is one step, the second forty
    assert "fitted on" in facts_of(store, run)["of"] and time.monotonic() - started < 7


def test_a_threshold_is_found_once_for_a_fit(store: Store, parts: Dataset, monkeypatch) -> None:
    run = scored_run(store, parts)
    monkeypatch.setattr(map_thresholds, "find", None)  # would fail
    again = store.request_run(replace(RunRequest(run.dataset_id, "brightness", dict(run.parameters)), limit=3))
    go(store, again)
    assert facts_of(store, again) == facts_of(store, run)


def test_a_run_does_not_fail_by_its_threshold(store: Store, parts: Dataset, monkeypatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ValueError("no luck")

    monkeypatch.setattr(map_thresholds, "find", broken)
    run = scored_run(store, parts)
    assert run.status == "done" and facts_of(store, run).keys() == {"why_not"}
    assert "could not be looked at: ValueError: no luck" in reduce_run(store, run.id).notes[0]


def test_an_older_run_gets_its_threshold_without_being_scored_again(store: Store, parts: Dataset) -> None:
    run = scored_run(store, parts)
    known, before = facts_of(store, run), store.scores(run.id)
    for entry in store.run_subsets(run.id):
        rest = {k: v for k, v in entry.facts.items() if k != FACT}
        store.save_run_subset(run.id, RunSubset(entry.subset, entry.fit, entry.seconds_fit, entry.seconds_score, rest))
    reduced = reduce_run(store, run.id)
    assert reduced.table["area"].isna().all() and reduced.table["max"].notna().all()
    sentence = f"`python -m mad_core resume {run.id}` finds it without scoring again"
    assert sentence in reduced.notes[0]
    with pytest.raises(InputError, match="resume"):
        reduced_table(store, run.id, "regions")
    assert map_reductions.can_find_threshold(store, run)
    store.resume_run(run.id)
    go(store, run)
    assert facts_of(store, run) == known and not map_reductions.can_find_threshold(store, store.run(run.id))
    assert store.scores(run.id).equals(before)


def test_no_maps_is_a_sentence(store: Store, parts: Dataset) -> None:
    run = store.request_run(
        RunRequest(store.add_dataset(Imported(parts)), "brightness", {"fewest": 1, "pause": 0.0}, map_policy="none")
    )
    go(store, run)
    assert all(FACT not in e.facts for e in store.run_subsets(run.id))
    with pytest.raises(InputError, match="no stored anomaly maps"):
        compare_reductions(store, run.id)


def test_cancelling_between_scores_and_threshold_keeps_the_scores(store: Store, parts: Dataset, monkeypatch) -> None:
    def cancelled(*args: Any, **kwargs: Any) -> None:
        raise CancelledError("stop")

    monkeypatch.setattr(map_thresholds, "find", cancelled)
    with pytest.raises(CancelledError):
        scored_run(store, parts)
    (run,) = store.runs()
    assert store.scores(run.id)["score"].notna().all()
    monkeypatch.undo()
    monkeypatch.setitem(catalog._CATALOG, "brightness", BRIGHTNESS)
    store.resume_run(run.id)
    go(store, run)
    assert facts_of(store, run)["maps"] == NORMALS // 3


def test_the_quantile_is_of_all_pixels() -> None:
    dataset = make_dataset(subsets=("a",))
    maps = [np.full((10, 10), 1.0, np.float32), np.linspace(0, 100, 400, dtype=np.float32).reshape(20, 20)]

    def fitted(items: Sequence[Item]) -> list[Scored]:
        assert {item.image_id for item in items} == set(dataset.select(split="train")["image_id"])
        found = [Scored.of(item.image_id, 1.0, one, 0.0) for item, one in zip(items, maps, strict=False)]
        return [*found, Scored.failed(items[-1].image_id, "unreadable", "No.")]

    found = find(dataset, "a", seed=0, side=256, calibration=True, fitted=fitted, held_out=None)
    everything = np.concatenate([one.ravel() for one in maps])
    assert found == NormalMaps(float(np.quantile(everything, 0.999)), 0.999, 2, found.of)
    assert "0.999 quantile of all pixels in the maps of 2 training normals" in found.in_words()
    with pytest.raises(InputError, match="None of the normal images"):
        find(dataset, "a", seed=0, side=9, calibration=True, fitted=lambda items: [], held_out=None)


# -- a run compared -----------------------------------------------------------------------------


def test_reductions_of_a_run_beside_each_other(store: Store, parts: Dataset) -> None:
    run = scored_run(store, parts)
    found = compare_reductions(store, run.id, draws=200)
    assert list(found.metrics) == [OWN, *TITLES]
    table = reduce_run(store, run.id).table
    for name in ("max", "mass"):
        alone = evaluate(table["level"], table[name], table["subset"], draws=0)
        assert found.metrics[name]["c_index"] == alone["c_index"]
    assert found.area == "the area of the mask"
    assert "On b there are no masks, so the area above the threshold stands" in found.notes[0]
    assert "Masks of 16 of " in found.notes[-1] and "without a mask" in found.notes[-1]
    rows: Any = table[(table["subset"] == "a") & (table["level"] > 0)]
    areas = rows["image_id"].map(map_reductions.mask_areas(store, run, ["a", "b"]).of)
    expected = spearmanr(rows["area"], areas).statistic
    assert found.metrics["area"]["area"] == {
        **found.metrics["area"]["area"],
        "rank_correlation": pytest.approx(expected),
        "n": 16,
        "subsets": 1,  # not b, where it would be compared with itself
    }
    assert found.metrics["max"]["area"]["subsets"] == 2
    severity = {name: f["abnormal_only"]["c_index"] for name, f in found.metrics.items()}
    assert severity["max"] > 0.95 > severity["area"] and expected > 0.9
    assert found.sentences[0].startswith("Maximum follows severity")
    assert "Area above threshold follows the area of the mask" in found.sentences[1]


def test_one_subset_alone(store: Store, parts: Dataset) -> None:
    run = scored_run(store, parts)
    found = compare_reductions(store, run.id, ["b"], draws=0)
    assert found.area == "the area above the threshold" and set(found.thresholds) == {"b"}
    assert found.metrics["area"]["area"]["rank_correlation"] is None
    assert found.metrics["mean"]["area"]["rank_correlation"] is not None


def test_a_mask_that_changed_since_it_was_imported_is_named_and_measures_nothing(store: Store, parts: Dataset) -> None:
    run = scored_run(store, parts)
    before = map_reductions.mask_areas(store, run, ["a"])
    path = Path(parts.table["mask_path"].dropna().iloc[0])
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    after = map_reductions.mask_areas(store, run, ["a"])
    assert len(after.of) == len(before.of) - 1 and set(after.of) < set(before.of)
    assert "1 with a mask that changed since it was imported" in after.in_words()


def test_masks_that_say_nothing_of_the_defect_are_counted_and_left_out(store: Store, parts: Dataset) -> None:
    parts = replace(parts, table=parts.table.assign(mask_hash=None))  # as a store of the version before has them
    run = scored_run(store, parts)
    rows: Any = parts.table[(parts.table["level"] > 0) & parts.table["mask_path"].notna()]
    empty, narrow = rows["mask_path"].iloc[0], rows["mask_path"].iloc[1]
    before = map_reductions.mask_areas(store, run, ["a"])
    Image.fromarray(np.zeros(read_mask(Path(empty)).shape, np.uint8)).save(empty)
    Image.fromarray(np.full((8, 64), 255, np.uint8)).save(narrow)
    after = map_reductions.mask_areas(store, run, ["a"])
    assert before.of.keys() - after.of.keys() == set(rows["image_id"].iloc[:2])
    assert after.asked == before.asked
    assert (
        "1 with a mask that marks nothing" in after.in_words() and "1 with a mask of another shape" in after.in_words()
    )
