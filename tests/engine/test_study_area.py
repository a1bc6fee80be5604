"""Area against severity: a scorer of severity and one of area, and the opposite sentence for the opposite data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mad_core.datasets.dataset import Imported
from mad_core.errors import InputError
from mad_core.runs.map_reductions import MASK_AREA
from mad_core.runs.map_thresholds import FACT, NormalMaps
from mad_core.runs.store import Run, RunRequest, RunSubset, Store
from mad_core.scorers.contract import Scored
from mad_core.studies.area.run import Areas, area_and_severity, areas_of, misled, points_of, run
from mad_core.studies.finding import finding_from_json
from mad_core.studies.sampling import Sample, sample_of
from mad_core.studies.study import Work

from .conftest import make_dataset

PER_LEVEL = 60
PAIR = (("First", 1.0), ("Second", 50.0))
Scorer = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def made(scorers: dict[str, Scorer], *, tie: float = 0.5, seed: int = 0) -> tuple[Sample, Areas]:
    """Levels 0 to 3 of one subset; the area goes with the level as strongly as ``tie`` says."""
    rng = np.random.default_rng(seed)
    levels = np.repeat([0.0, 1.0, 2.0, 3.0], PER_LEVEL)
    areas = tie * levels + rng.normal(0, 1, len(levels))
    areas = 0.01 * (areas - areas.min() + 0.1)
    ids = [f"i{n}" for n in range(len(levels))]
    tables = {}
    for name, scorer in scorers.items():
        table = {"image_id": ids, "subset": "a", "level": levels, "score": scorer(levels, areas, rng)}
        tables[name] = pd.DataFrame(table)
    return (
        Sample(tables, {name: name for name in scorers}, len(ids), len(ids), 200),
        Areas(dict(zip(ids, areas.tolist(), strict=True)), {"a": MASK_AREA}),
    )


def by_level(levels: np.ndarray, areas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return levels + rng.normal(0, 0.5, len(levels))


def by_area(levels: np.ndarray, areas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return areas + rng.normal(0, 0.0005, len(levels))


def by_chance(levels: np.ndarray, areas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.random(len(levels))


def backwards(levels: np.ndarray, areas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return -levels + rng.normal(0, 0.5, len(levels))


def test_each_scorer_is_told_for_what_it_follows() -> None:
    finding = area_and_severity(*made({"Risk": by_level, "Size": by_area, "Dice": by_chance}))
    rows = finding.tables["scorers"].set_index("scorer")
    assert rows.loc["Size", "explained"] > 0.8 > 0.5 > rows.loc["Risk", "explained"]
    assert np.isnan(rows.loc["Dice", "explained"])
    assert rows.loc["Size", "within"] > 0.9 and abs(rows.loc["Risk", "within"]) < 0.2
    assert rows.loc["Size", "c_area"] > rows.loc["Size", "c_risk"]
    said = finding.sentence
    assert "Area alone orders severity better than chance" in said
    assert "At fixed area Risk still follows severity" in said
    assert "Risk follows severity more closely than area." in said
    assert "Size follows area more closely than severity." in said
    assert "no clear difference from an order at random for" in said and "Dice" in said
    assert finding_from_json(finding.to_json()).sentence == said


def test_the_opposite_data_give_the_opposite_sentences() -> None:
    said = area_and_severity(*made({"Risk": backwards}, tie=-0.8)).sentence
    assert "Area alone orders severity backwards" in said
    assert "At fixed area Risk runs against severity." in said
    assert "still follows" not in said and "better than chance" not in said


def test_nothing_is_claimed_where_the_interval_holds_zero() -> None:
    said = area_and_severity(*made({"Dice": by_chance}, tie=0.0, seed=3)).sentence
    assert "Between area alone and an order of severity at random there is no clear difference" in said
    assert "At fixed area there is no clear difference from an order at random for Dice" in said


def test_levels_by_area_have_the_sizes_of_those_by_risk_and_strips_show_what_misleads() -> None:
    sample, areas = made({"Size": by_area})
    finding = area_and_severity(sample, areas)
    points = finding.tables["points"]
    assert points["area_level"].value_counts().to_dict() == dict.fromkeys([1.0, 2.0, 3.0], PER_LEVEL)
    assert finding.tables["levels"]["images"].sum() == 3 * PER_LEVEL
    by_id = points.set_index("image_id")
    small = by_id.loc[finding.images["Small but severe"]]
    large = by_id.loc[finding.images["Large but mild"]]
    assert small["level"].min() > 1 and large["level"].max() < 3
    assert small["area"].max() < large["area"].min()
    wrong = finding.images["Misled with the area: Size"]
    assert set(wrong) & (set(small.index) | set(large.index))


def test_a_scorer_that_errs_the_other_way_is_not_misled_by_the_area() -> None:
    points = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "subset": "s",
            "level": [1.0, 2.0, 3.0, 4.0],
            "area": [4.0, 2.0, 3.0, 1.0],  # a is large but mild, d small but severe
            "score": [3.0, 2.0, 4.0, 1.0],  # errs with the area at a and d
        }
    )
    assert misled(points) == ["d", "a"]
    assert misled(points.assign(score=points["level"])) == []


def test_subsets_are_averaged_never_pooled() -> None:
    sample, areas = made({"Risk": by_level})
    table = sample.tables["Risk"]
    shifted = table.assign(image_id=table["image_id"] + "x", subset="b", score=1000 - table["score"])
    both = replace(sample, tables={"Risk": pd.concat([table, shifted], ignore_index=True)})
    wide = Areas({**areas.of, **{f"{k}x": v for k, v in areas.of.items()}}, {"a": MASK_AREA, "b": MASK_AREA})
    row = area_and_severity(both, wide).tables["scorers"].iloc[0]
    assert row["subsets"] == 2 and row["c_risk"] == pytest.approx(0.5) and row["tau"] == pytest.approx(0.0, abs=1e-9)


def test_without_an_area_it_says_what_to_do() -> None:
    sample, _ = made({"Risk": by_level})
    assert points_of(sample, Areas({}, {})).empty
    with pytest.raises(InputError, match="masks"):
        area_and_severity(sample, Areas({}, {}))


def test_it_runs_on_a_store_with_masks(store: Store, tmp_path) -> None:
    dataset = make_dataset(subsets=("a",), per_level=8)
    paths = []
    for number, row in enumerate(dataset.table.itertuples()):
        side = 4 + (7 * number) % 24
        pixels = np.zeros((32, 32), np.uint8)
        pixels[:side, :side] = 255
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        paths.append(str(path) if row.level else None)
    table = dataset.table.assign(mask_path=pd.Series(paths, dtype=object), width=32, height=32)
    masked = replace(dataset, table=table)
    dataset_id = store.add_dataset(Imported(masked))
    made_run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    rows = store.test_images(store.dataset(dataset_id), ["a"])
    results = [(Scored(row.image_id, row.level + 0.1 * n), None) for n, row in enumerate(rows.itertuples())]
    store.add_scores(made_run.id, "a", results)
    work = Work(store, dataset_id, store.dataset(dataset_id), [store.run(made_run.id)], {}, quick=True)
    assert areas_of(work).sources == {"a": MASK_AREA}
    finding = run(work)
    assert finding.sentence.startswith("On a sample of 24 of 24 test images: ")
    assert len(finding.tables["points"]) == 16 and finding.facts["area"] == {"a": MASK_AREA}


def with_maps(store: Store, dataset_id: str, title: str, scale: float, seed: int) -> Run:
    """A run without masks whose maps mark a square of a size of its own, and whose scores follow that size."""
    made_run = store.request_run(RunRequest(dataset_id, "filterbank", {"title": title}, map_policy="all", map_side=32))
    store.rename_run(made_run.id, title)
    rng, results = np.random.default_rng(seed), []
    for slot, row in enumerate(store.test_images(store.dataset(dataset_id), ["a"]).itertuples()):
        side = int(rng.integers(2, 12))
        values = np.zeros((32, 32), np.float32)
        values[:side, :side] = 2 * scale
        ref = store.maps.write(made_run.id, "a", slot, values, 32)
        results.append((Scored(row.image_id, side + 0.01 * rng.random()), ref))
    store.add_scores(made_run.id, "a", results)
    facts = {FACT: NormalMaps(scale, 0.999, 8, "training normals").to_json()}
    store.save_run_subset(made_run.id, RunSubset("a", None, 0.0, 0.0, facts))
    store.update_run(made_run.id, status="done", finished=1.0)
    return store.run(made_run.id)


def test_without_masks_a_scorer_is_judged_by_the_maps_of_another_one(store: Store) -> None:
    dataset_id = store.add_dataset(Imported(make_dataset(subsets=("a",), per_level=30)))
    first, second = (with_maps(store, dataset_id, title, scale, n) for n, (title, scale) in enumerate(PAIR))
    work = Work(store, dataset_id, store.dataset(dataset_id), [first, second], {}, quick=False)
    areas = areas_of(work)
    assert areas.makers == {"a": first.id} and "in the maps of First" in areas.sources["a"]
    assert set(areas.of) == set(areas.others) and areas.of != areas.others
    finding = run(work)
    rows = finding.tables["scorers"].set_index("scorer")
    # Each follows the size in its own maps without fail; judged by the other one's maps nothing is left of that.
    assert rows["within"].abs().max() < 0.4
    assert "There are no masks of a: area is the area above the threshold in the maps of First" in finding.caveat
    assert finding.facts["not_judged"] == []
    own = area_and_severity(sample_of(work), Areas(areas.of, areas.sources))  # as if it were a mask's
    assert own.tables["scorers"].set_index("scorer").loc["First", "within"] > 0.9


def test_alone_a_scorer_is_not_judged_by_its_own_maps(store: Store) -> None:
    dataset_id = store.add_dataset(Imported(make_dataset(subsets=("a",), per_level=30)))
    first = with_maps(store, dataset_id, "First", 1.0, 0)
    work = Work(store, dataset_id, store.dataset(dataset_id), [first], {}, quick=False)
    with pytest.raises(InputError, match="maps of First says nothing about the scorer itself"):
        run(work)
    mapless = store.request_run(RunRequest(dataset_id, "filterbank", {"title": "Mapless"}, map_policy="none"))
    store.rename_run(mapless.id, "Mapless")
    scores = store.scores(first.id).to_dict("records")
    store.add_scores(mapless.id, "a", [(Scored(row["image_id"], row["score"]), None) for row in scores])
    finding = run(replace(work, runs=[first, store.run(mapless.id)]))
    assert finding.tables["scorers"]["scorer"].tolist() == ["Mapless"]
    assert "First made these maps and cannot be judged by them." in finding.caveat
    assert "First" not in finding.sentence and finding.facts["not_judged"] == ["First"]
    assert not [name for name in finding.images if name.endswith("First")]


def test_no_side_is_claimed_of_scorers_that_know_nothing() -> None:
    claims = 0
    for seed in range(6):
        said = area_and_severity(*made(dict.fromkeys("AB", by_chance), tie=0.0, seed=100 + seed)).sentence
        claims += "still follow" in said or "against severity" in said or "more closely than" in said
    assert claims <= 1
