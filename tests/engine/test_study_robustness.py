"""Robustness: which level breaks first, from scores made up either way, and end to end with a light scorer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.errors import CancelledError
from mad_core.images import content_hash
from mad_core.runs.in_process import do_here
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.studies.estimates import Estimate, clearly_above
from mad_core.studies.robustness import scoring
from mad_core.studies.robustness.run import robustness, run
from mad_core.studies.robustness.scoring import packed, unpacked
from mad_core.studies.study import Work


def cells(lost: dict[int, float], per_level: int = 60) -> pd.DataFrame:
    """Scores whose levels 1 and 2 fall towards the normals by a share of their distance."""
    rng = np.random.default_rng(2)
    rows = []
    for number, level in enumerate(np.repeat([0, 1, 2], per_level)):
        base, grain = 2.0 * (level > 0), rng.normal(0, 0.5)
        for corruption, strength in (("", 0), ("blur", 1), ("blur", 2)):
            score = base * (1 - lost.get(int(level), 0) * strength / 2) + grain
            rows.append(("r", "s", f"i{number}", float(level), corruption, strength, score))
    return pd.DataFrame(rows, columns=["run", "subset", "image_id", "level", "corruption", "strength", "score"])


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_the_level_that_falls_is_named(first: int, second: int) -> None:
    found = robustness(cells({first: 1.0}), {"r": "one"}, draws=200)
    assert found.sentence.startswith(f"L{first} breaks first")
    breaks = found.tables["breaks"].set_index("level")["breaks_at"]
    assert breaks.to_dict()[first] == 1 and np.isnan(breaks.to_dict()[second])


def test_no_clear_difference_is_said() -> None:
    found = robustness(cells({}), {"r": "one"}, draws=200)
    assert "No clear difference between the levels" in found.sentence and "shows no clear loss" in found.sentence
    same = robustness(cells({1: 0.8, 2: 0.8}), {"r": "one"}, draws=200)
    assert "No clear difference between the levels" in same.sentence and "loses most to blur" in same.sentence


def test_losses_are_those_of_counting() -> None:
    table = cells({1: 1.0})
    found = robustness(table, {"r": "one"}, draws=50).tables["levels"]
    part = table[(table["strength"] == 2)]
    normal, first = (part.loc[part["level"] == level, "score"].to_numpy() for level in (0, 1))
    brute = float(np.mean([(b > a) + 0.5 * (b == a) for a in normal for b in first]))
    row = found[(found["strength"] == 2) & (found["level"] == 1)].iloc[0]
    assert row["auroc"] == pytest.approx(brute) and row["loss_low"] <= row["loss"] <= row["loss_high"]


def test_an_image_without_a_score_leaves_every_condition_and_every_run() -> None:
    table = cells({})
    table.loc[(table["image_id"] == "i3") & (table["strength"] == 1), "score"] = np.nan
    both = pd.concat([table, cells({}).assign(run="other")])
    found = robustness(both, {"r": "one", "other": "two"}, draws=20)
    assert found.facts["images_used"] == {"one": 179, "two": 179}
    assert found.caveat.endswith("1 of 180 images have no score under some corruption and are left out.")
    table["score"] = np.nan
    found = robustness(pd.concat([table, cells({}).assign(run="other")]), {"r": "one", "other": "two"}, draws=20)
    assert found.facts["images_used"] == {"one": 0, "two": 180} and "one scored no image" in found.caveat
    assert set(found.tables["curves"]["scorer"]) == {"two"}


def test_levels_are_averaged_over_scorers_draw_by_draw() -> None:
    names = {"r": "one", "other": "two"}
    found = robustness(pd.concat([cells({1: 1.0}), cells({2: 1.0}).assign(run="other")]), names, draws=100)
    rows, own = found.tables["detection"], found.tables["levels"]
    assert set(rows["scorers"]) == {2} and len(rows) == 6
    assert ((rows["auroc_low"] <= rows["auroc"]) & (rows["auroc"] <= rows["auroc_high"])).all()
    means = own.groupby(["corruption", "strength", "level"])["auroc"].mean()
    assert rows.set_index(["corruption", "strength", "level"])["auroc"].to_dict() == pytest.approx(means.to_dict())
    alike = robustness(pd.concat([cells({1: 1.0}), cells({1: 1.0}).assign(run="other")]), names, draws=100)
    alone = robustness(cells({1: 1.0}), {"r": "one"}, draws=100)
    ends = ["auroc_low", "auroc_high"]  # the same scorer twice says no more than once
    assert alike.tables["detection"][ends].to_numpy() == pytest.approx(alone.tables["detection"][ends].to_numpy())


def test_many_questions_at_once_find_nothing_in_noise() -> None:
    rng = np.random.default_rng(0)
    false, found = 0, 0
    for _ in range(300):
        shared = rng.normal(size=201)
        noise = {k: shared + rng.normal(size=201) for k in range(40)}
        estimates = {k: Estimate(float(v[0]), v[0] + v[1:]) for k, v in noise.items()}
        false += bool(clearly_above(estimates))
        found += 7 in clearly_above(estimates | {7: Estimate(8.0, 8.0 + noise[7][1:])})
    assert false <= 16 and found > 290  # 2.5 % of 300 and three deviations
    assert clearly_above({"always": Estimate(0.5, np.full(9, 0.5)), "never": Estimate(0.0, np.zeros(9))}) == ["always"]
    assert clearly_above({"unknown": Estimate(0.5, np.full(9, np.nan))}) == clearly_above({}) == []


def test_maps_come_back() -> None:
    values = np.linspace(-2, 5, 48).reshape(6, 8)
    assert np.abs(unpacked(packed(values)) - values).max() < 7 / 255


def pictures(folder: Path, per_level: int = 4) -> Dataset:
    """Grey images with a bright square that grows with the level."""
    rng, rows = np.random.default_rng(0), []
    places = [("train", 0, i) for i in range(6)] + [("test", v, i) for v in range(3) for i in range(per_level)]
    for split, level, number in places:
        name = f"{split}/level_{level}/{number}.png"
        pixels = rng.normal(110, 6, (56, 64, 3))
        pixels[10 : 10 + 6 * level, 12 : 12 + 6 * level] += 60
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        row = {"image_id": image_id("a", name), "content_hash": content_hash(path), "path": str(path)}
        row |= {"template_path": name, "split": split, "subset": "a", "level": float(level), "defect": None}
        rows.append(row | {"mask_path": None, "width": 64, "height": 56})
    return Dataset.from_rows("squares", rows, Card(title="squares"), source=str(folder))


def scored(store: Store, dataset_id: str) -> Run:
    made = store.request_run(RunRequest(dataset_id, "filterbank", catalog.scorer("filterbank").check({"size": 64})))
    job = store.queue.active_for(made.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    return store.run(made.id)


def test_end_to_end_and_what_is_kept_is_not_scored_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = store.add_dataset(Imported(pictures(tmp_path / "images")))
    made = scored(store, dataset_id)
    work = Work(store, dataset_id, store.dataset(dataset_id), [made], {"corruptions": "noise,blur"})
    found = run(work)
    assert found.sentence.startswith("On a sample of 12 of 12 test images: ")
    assert len(found.tables["curves"]) == 1 + 2 * 3
    steps = found.facts["example"]["steps"]
    assert len(steps) == 7 and all(step["image"].startswith("data:image/webp") and step["maps"] for step in steps)
    monkeypatch.setattr("mad_core.studies.scoring.fitted_scorer", None)  # a second scoring would fail
    again = run(work)
    assert again.to_json() == found.to_json()


def test_a_stopped_study_and_a_full_one_go_on_image_by_image(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = store.add_dataset(Imported(pictures(tmp_path / "images", per_level=10)))
    made = scored(store, dataset_id)
    monkeypatch.setattr("mad_core.studies.robustness.scoring.CHUNK", 4)
    monkeypatch.setattr("mad_core.studies.robustness.run.QUICK_STRENGTHS", (5,))
    monkeypatch.setattr("mad_core.studies.robustness.run.STRENGTHS", (5,))
    asked: list[str] = []
    spoil = scoring.corrupted

    def counted(image: np.ndarray, corruption: str, strength: int, *, image_id: str, seed: int = 0) -> np.ndarray:
        asked.append(image_id)
        return spoil(image, corruption, strength, image_id=image_id, seed=seed)

    def stop() -> None:
        if len(asked) > 9:
            raise CancelledError("Stopped.")

    monkeypatch.setattr(scoring, "corrupted", counted)
    work = Work(store, dataset_id, store.dataset(dataset_id), [made], {"corruptions": "blur"})
    with pytest.raises(CancelledError):
        run(replace(work, check_cancel=stop))
    assert len(asked) == 10  # the clean example and two chunks of four are kept
    shown = 2  # the slider's pictures
    steps: list[tuple[int, int]] = []
    quick = run(replace(work, progress=lambda done, total: steps.append((done, total))))
    assert quick.facts["images"] == 20 and len(asked) <= 10 + 20 + 1 - 8 + shown and steps[-1] == (20, 20)
    asked.clear()
    full = run(replace(work, quick=False))
    assert full.facts["images"] == 30 and len(asked) <= 10 + shown
    assert full.facts["example"]["image_id"] == quick.facts["example"]["image_id"]


def test_the_figures_are_drawn_and_the_slider_carries_its_pictures(store: Store, tmp_path: Path) -> None:
    from mad_core.studies.study import figures

    dataset_id = store.add_dataset(Imported(pictures(tmp_path / "images")))
    made = scored(store, dataset_id)
    found = run(Work(store, dataset_id, store.dataset(dataset_id), [made], {"corruptions": "blur"}))
    plots = {plot.title: plot for plot in figures(found, "light")}
    assert len(plots) == 5 and all(plot.alt for plot in plots.values())
    slider: Any = plots["One image under Blur"].figure
    assert len(slider.layout.sliders[0].steps) == 4 and sum(trace.visible is True for trace in slider.data) == 2
    lows, highs = ({trace[end] for trace in slider.data if trace.type == "heatmap"} for end in ("zmin", "zmax"))
    assert len(lows) == len(highs) == 1  # one range over all strengths
    clean, spoilt = found.facts["example"]["steps"][0], found.facts["example"]["steps"][-1]
    assert clean["image"] != spoilt["image"] and clean["maps"] != spoilt["maps"]
