"""Where no image is known to be normal detectors learn from the images themselves, and none judges itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mad_core as mad
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.own_normals import FEWEST, OwnNormals, with_own_normals, without_normals
from mad_core.errors import InputError, WorkError
from mad_core.runs.out_of_fold import FOLDS, OutOfFold
from mad_core.runs.parts import judges_the_same
from mad_core.scorers.contract import Context, Item, Scored, Scorer
from mad_core.settings import Settings
from tests.engine.pictures import tree

ODD = ("14.png", "15.png")


def inbox(root: Path, images: int = 16) -> Path:
    """A plain folder: grainy grey pictures, the last two with a bright spot."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(5)
    for number in range(images):
        pixels = rng.normal(120, 6, (40, 48)).clip(0, 255).astype(np.uint8)
        if f"{number}.png" in ODD:
            pixels[12:24, 16:30] = 250
        Image.fromarray(pixels).save(root / f"{number}.png")
    return root


class Distance(Scorer):
    """Distance of a number in an image's id from the mean of those that it has learned from; 0 where it knows it."""

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        self.known = [float(item.image_id) for item in normals]

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            number = float(item.image_id)
            yield Scored(item.image_id, 0.0 if number in self.known else 1 + abs(number - np.mean(self.known)))


def items(numbers: Sequence[float]) -> list[Item]:
    return [Item(str(number), "", f"content {number}") for number in numbers]


@pytest.mark.parametrize(("way", "learned"), [("all", 12), ("typical", 6)])
def test_no_image_is_scored_by_a_fit_that_has_seen_it(way: str, learned: int) -> None:
    numbers = [*np.linspace(-1, 1, 9), 50.0, 60.0, 70.0]
    scorer = OutOfFold(Distance, OwnNormals(way, ()))
    scorer.fit(items(numbers), Context())
    assert scorer.facts()["own_normals"]["learned"] == learned
    copy = Item("0.25", "", "content 0.25")
    images = [*items([*numbers, 3.0]), copy]
    found = list(scorer.score(images, Context()))
    assert [one.image_id for one in found] == [item.image_id for item in images]
    assert all(one.score is not None and one.score >= 1 for one in found)
    kept = set(scorer.facts()["own_normals"]["images"])
    assert way == "all" or not {"50.0", "60.0", "70.0"} & kept


def test_what_was_learned_from_is_kept_with_the_fit() -> None:
    scorer = OutOfFold(Distance, OwnNormals("all", ()))
    scorer.fit(items(range(8)), Context())
    again = OutOfFold(Distance, OwnNormals("all", ()))
    again.restore({}, json.loads(json.dumps(scorer.state()[1])), Context())
    again._scorer.fit(items(range(8)), Context())
    assert [one.score for one in again.score(items(range(9)), Context())] == [
        one.score for one in scorer.score(items(range(9)), Context())
    ]


def test_a_plain_folder_is_said_to_have_no_normals_and_a_person_chooses(tmp_path: Path, settings: Settings) -> None:
    root = inbox(tmp_path / "monday")
    imported = import_dataset(root, settings)
    (said,) = [p for p in imported.problems if p.kind == "empty-level"]
    assert "none is known to be normal" in said.message and "--normals-from typical" in said.message
    assert without_normals(imported.dataset) == ["monday"] and imported.dataset.normals("monday").empty
    chosen = import_dataset(root, settings, normals_from="typical")
    assert not [p for p in chosen.problems if p.kind == "empty-level"]
    assert "score each of these by a fit that has not seen it" in chosen.problems[-1].message
    dataset = chosen.dataset
    assert len(dataset.normals("monday")) == 16 and dataset.version != imported.dataset.version
    assert import_dataset(root, settings, normals_from="typical").dataset.version == dataset.version
    few = with_own_normals(imported.dataset, "12")
    assert len(few.normals("monday")) == 12 and few.version not in (dataset.version, imported.dataset.version)
    assert dataset.counts()[0]["own_normals"] == 16
    for way in ("7", "typically", "1e9", "-3"):
        with pytest.raises(InputError, match="Detectors learn from"):
            import_dataset(root, settings, normals_from=way)
    small = tree(tmp_path / "small", [f"{i}.png" for i in range(FEWEST - 1)])
    with pytest.raises(InputError, match="a detector needs"):
        import_dataset(small, settings, normals_from="all")


def test_known_normals_are_learned_from_in_any_case() -> None:
    scorer = OutOfFold(Distance, OwnNormals("typical", ()), {"50.0"})
    scorer.fit(items([*np.linspace(-1, 1, 8), 50.0, 60.0]), Context())
    kept = scorer.facts()["own_normals"]["images"]
    assert "50.0" in kept and "60.0" not in kept and len(kept) == 6


def test_training_normals_count_where_there_are_any(tmp_path: Path, settings: Settings) -> None:
    root = inbox(tmp_path / "monday")
    tree(root / "train", [f"good/{i}.png" for i in range(4)])
    dataset = import_dataset(root, settings, normals_from="typical").dataset
    (subset,) = dataset.subsets
    assert dataset.own_normals(subset) is None and set(dataset.normals(subset)["split"]) == {"train"}


def test_a_run_learns_from_the_pictures_and_says_so(tmp_path: Path, settings: Settings, monkeypatch: Any) -> None:
    monkeypatch.setenv("MAD_HOME", str(settings.home))
    root = inbox(tmp_path / "monday")
    with pytest.raises(WorkError, match="--normals-from typical"):
        mad.score(root)
    run = mad.score(mad.load(root, normals_from="typical"))
    table = run.table.sort_values("score")
    assert bool(table["score"].notna().all()) and set(table["path"].tail(2)) == set(ODD)
    (entry,) = run.store.run_subsets(run.id)
    learned = entry.facts["own_normals"]
    assert learned["drawn"] == 16 and learned["learned"] == 8
    assert any("detectors learn from the half of 16" in note for note in run.metrics()["notes"])
    again = mad.score(mad.load(root, normals_from="typical"))
    assert again.id == run.id
    dataset = run.store.dataset(run.store.run(run.id).dataset_id)
    first = dataset.table["image_id"].iloc[0]
    graded = dataset.with_grades({first: 2.0})
    assert judges_the_same(run.store, run.store.run(run.id), graded)
    assert not judges_the_same(run.store, run.store.run(run.id), with_own_normals(dataset, "all", dataset.subsets))
    assert FOLDS > 1
