"""Regions that count for nothing: what lies in them changes no fit, score, map or area."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli import main
from mad_core.datasets.dataset import Card, SubsetCard
from mad_core.errors import InputError
from mad_core.ignored import IgnoredRegion
from mad_core.runs.map_reductions import mask_areas, reduce_stored, reduced_table
from mad_core.runs.store import Store
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, LabelledItem
from mad_core.scorers.reductions import reduce_map
from mad_core.settings import Settings

CORNER = (0.0, 0.0, 0.375, 0.25)
"""Left, top, right, bottom of the region that is ignored below."""


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_mask_of_the_pictures_size_comes_back(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    if mask.all() or not mask.any():
        with pytest.raises(InputError):
            IgnoredRegion.of_mask(mask)
        return
    region = IgnoredRegion.of_mask(mask)
    assert np.array_equal(region.on((height, width, 3)), mask)
    assert region.share == pytest.approx(mask.mean())
    again = IgnoredRegion.from_json(json.loads(json.dumps(region.to_json())))
    assert again is not None and again == region and again.key == region.key


def test_a_large_mask_is_kept_small_and_loses_no_marked_pixel() -> None:
    mask = np.zeros((3000, 2000), bool)
    mask[1234, 567] = True
    region = IgnoredRegion.of_mask(mask)
    assert region.height == 1024 and len(region.cells) < 2000
    assert region.on((3000, 2000))[1234, 567]


def test_boxes_are_parts_of_the_picture() -> None:
    there = IgnoredRegion.of_boxes([CORNER, (0.5, 0.5, 1.0, 1.0)]).on((160, 80))
    wanted = np.zeros((160, 80), bool)
    wanted[:40, :30] = wanted[80:, 40:] = True
    assert np.array_equal(there, wanted)


@pytest.mark.parametrize("boxes", [[], [(0, 0, 1, 1)], [(0.5, 0, 0.4, 1)], [(-0.1, 0, 0.5, 0.5)], [(0, 0, 2, 0.5)]])
def test_what_is_no_box_is_refused_in_a_sentence(boxes: list[Any]) -> None:
    with pytest.raises(InputError, match=r"\.$"):
        IgnoredRegion.of_boxes(boxes)


@pytest.mark.parametrize(
    "data",
    [None, 1, {}, {"height": 1, "width": 1, "cells": "!"}, {"height": 9**9, "width": 9**9, "cells": "eJwDAAAAAAE="}],
)
def test_a_card_with_a_broken_region_has_none(data: Any) -> None:
    assert IgnoredRegion.from_json(data) is None
    assert Card.from_json({"subsets": {"a": {"ignored": data}}}).subset("a") == SubsetCard()


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[list[Item], list[Item]]:
    """Normals and two test pictures; and the same ones with other pixels in the corner."""
    rng, folders = np.random.default_rng(0), (tmp_path / "one", tmp_path / "other")
    for folder in folders:
        folder.mkdir()
    for number in range(8):
        pixels = rng.integers(100, 150, (96, 128, 3), np.uint8)
        if number == 7:
            pixels[60:70, 80:90] = 250
        Image.fromarray(pixels).save(folders[0] / f"{number}.png")
        pixels[:24, :48] = rng.integers(0, 255, (24, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folders[1] / f"{number}.png")
    region = IgnoredRegion.of_boxes([CORNER])
    return tuple(  # type: ignore[return-value]
        [Item(path.name, str(path), ignored=region) for path in sorted(folder.glob("*.png"))] for folder in folders
    )


@pytest.mark.parametrize(
    ("scorer_id", "parameters"),
    [
        ("filterbank", {"size": 64}),
        ("filterbank", {"size": 64, "tiles": "80"}),
        ("filterbank", {"size": 64, "reduction": "mean"}),
        ("patchcore", {"backbone": "mad-formula-s", "size": 64, "coreset": 0.1}),
        ("subspace", {"backbone": "mad-formula-s", "size": 64, "tiles": "64"}),
        ("autoencoder", {"size": 64, "steps": 2}),
        ("knn", {"backbone": "mad-formula-s", "size": 64}),
    ],
)
def test_what_lies_in_it_changes_neither_fit_nor_score_nor_map(
    scorer_id: str, parameters: dict[str, Any], pictures: tuple[list[Item], list[Item]]
) -> None:
    found = []
    for items in pictures:
        scorer = catalog.scorer(scorer_id).create(parameters)
        scorer.fit(items[:6], Context(seed=0))
        found.append(list(scorer.score(items[6:], Context(seed=0))))
    for one, other in zip(*found, strict=True):
        assert one.score == other.score
        if one.map is not None:
            np.testing.assert_array_equal(one.map, other.map)
            there = IgnoredRegion.of_boxes([CORNER]).on(one.map.shape)
            assert np.all(one.map[there] == one.map[~there].min())
            if parameters.get("reduction") == "mean":
                assert one.score == pytest.approx(float(one.map[~there].mean(dtype=np.float64)))


def test_labelled_images_are_seen_without_it_too(pictures: tuple[list[Item], list[Item]]) -> None:
    from mad_core.scorers.image_loading import deepest_of

    seen = [
        deepest_of(LabelledItem(i.image_id, i.path, 1.0, ignored=i.ignored), np.array)
        for i in (items[0] for items in pictures)
    ]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert len(np.unique(seen[0][:24, :48].reshape(-1, 3), axis=0)) == 1


def test_reductions_of_stored_maps_leave_it_out() -> None:
    rng, region = np.random.default_rng(0), IgnoredRegion.of_boxes([CORNER])
    stored = rng.random((16, 32)).astype(np.float16)
    stored[:4, :12] = 9
    there = region.on(stored.shape)
    rest = stored[~there].astype(np.float64)[None]
    found = reduce_stored(stored, 2.0, 1.0, region)
    for name in ("max", "top5", "mean", "rms"):
        assert found[name] == pytest.approx(reduce_map(2 * rest, name))
    assert found["area"] == pytest.approx(float((2 * rest > 1.0).mean()))
    shut = np.where(there, 0, stored.astype(np.float32) * 2)
    assert found["regions"] == reduce_map(shut, "regions", 1.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of twelve pictures with a mask for its defects, and a mask of what is to be ignored."""
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    rng, made = np.random.default_rng(0), tmp_path / "parts"
    for place, count in (("train/good", 5), ("test/good", 3), ("test/level_1", 3)):
        (made / place).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(100, 150, (48, 64, 3), np.uint8)
            pixels[:12, :24] = rng.integers(0, 255)
            if place == "test/level_1":
                pixels[24:36, 32:48] = 250
            Image.fromarray(pixels).save(made / place / f"{number}.png")
    defects = np.zeros((48, 64), np.uint8)
    defects[24:36, 32:48] = defects[6:12, :8] = 255
    (made / "ground_truth/level_1").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(defects).save(made / f"ground_truth/level_1/{number}_mask.png")
    ignored = np.zeros((48, 64), np.uint8)
    ignored[:12, :24] = 255
    Image.fromarray(ignored).save(tmp_path / "ignore.png")
    return made


def test_a_dataset_with_a_region_is_a_version_of_its_own_and_says_so_everywhere(folder: Path, tmp_path: Path) -> None:
    plain, without = mad.load(folder), mad.load(folder, ignore=tmp_path / "ignore.png")
    assert plain.dataset.version != without.dataset.version
    run = mad.score(without, "filterbank", size=64, reduction="max", device="cpu")
    assert "left out of fits, scores, maps and areas: 9.4 %" in run.metrics(draws=0)["notes"][0]
    store = Store(Settings.from_environment())
    stored = store.run(run.id)
    dataset = store.dataset(stored.dataset_id)
    assert dataset.version == without.dataset.version and dataset.ignored["parts"].share == 0.09375
    assert stored.record["ignored"] == {"parts": 0.09375}
    areas = mask_areas(store, stored, ["parts"])
    assert list(areas.of.values()) == pytest.approx([12 * 16 / (48 * 64 - 12 * 24)] * 3)
    table, _ = reduced_table(store, run.id, "max")
    np.testing.assert_allclose(table["score"], run.table["score"], rtol=2e-3)
    (entry,) = store.run_subsets(run.id)
    other = mad.score(plain, "filterbank", size=64, device="cpu")
    assert other.id != run.id and store.run_subsets(other.id)[0].fit != entry.fit
    assert "notes" in other.metrics(draws=0) and not any("left out" in n for n in other.metrics(draws=0)["notes"])


def test_the_command_takes_masks_by_subset(folder: Path, tmp_path: Path) -> None:
    def check(*given: str) -> tuple[int, str]:
        words = ["check", str(folder), "--json"]
        done = CliRunner().invoke(main.app, [*words, *(w for mask in given for w in ("--ignore", mask))])
        return done.exit_code, done.output or str(done.exception)

    status, said = check(f"parts={tmp_path / 'ignore.png'}")
    assert status == 0 and json.loads(said)["subsets"][0]["ignored"] == 0.09375
    for mask, words in (
        (f"bolts={tmp_path / 'ignore.png'}", "no subset 'bolts'"),
        (str(tmp_path / "nothing.png"), "nothing.png"),
        (str(tmp_path / "narrow.png"), "no picture of subset 'parts' has that shape"),
        (str(tmp_path / "black.png"), "marks nothing"),
    ):
        Image.new("L", (10, 90), 0).save(tmp_path / "black.png")
        narrow = Image.new("L", (10, 90), 0)
        narrow.putpixel((5, 5), 255)
        narrow.save(tmp_path / "narrow.png")
        status, said = check(mask)
        assert status == 1 and words in said
