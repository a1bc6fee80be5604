"""Robustness: which level breaks first, from scores made up either way, and end to end with a light scorer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.runs.here import do_here
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.studies.robustness import robustness, run
from mad_core.studies.robustness_scoring import packed, unpacked
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


def test_an_image_without_a_score_leaves_every_condition() -> None:
    table = cells({})
    table.loc[(table["image_id"] == "i3") & (table["strength"] == 1), "score"] = np.nan
    assert robustness(table, {"r": "one"}, draws=20).facts["images_used"] == {"one": 179}


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
        row = {"image_id": image_id("a", name), "content_hash": name, "path": str(path), "template_path": name}
        row |= {"split": split, "subset": "a", "level": float(level), "defect": None, "mask_path": None}
        rows.append(row | {"width": 64, "height": 56})
    return Dataset.from_rows("squares", rows, Card(title="squares"), source=str(folder))


def scored(store: Store, dataset_id: str) -> Run:
    made = store.request_run(RunRequest(dataset_id, "filterbank", catalog.scorer("filterbank").check({})))
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
    monkeypatch.setattr("mad_core.studies.scoring.fitted", None)  # a second scoring would fail
    again = run(work)
    assert again.to_json() == found.to_json()


def test_the_figures_are_drawn_and_the_slider_carries_its_pictures(store: Store, tmp_path: Path) -> None:
    from mad_core.studies.drawing import figures

    dataset_id = store.add_dataset(Imported(pictures(tmp_path / "images")))
    made = scored(store, dataset_id)
    found = run(Work(store, dataset_id, store.dataset(dataset_id), [made], {"corruptions": "blur"}))
    drawn = figures(found, "light")
    assert len(drawn) == 3 and all(words for _, words in drawn.values())
    slider: Any = drawn["One image under Blur"][0]
    assert len(slider.layout.sliders[0].steps) == 4 and sum(trace.visible is True for trace in slider.data) == 2
