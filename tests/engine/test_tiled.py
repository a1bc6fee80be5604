"""Large pictures in tiles: they cover, no seam shows, and a small defect in a large picture is found."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mad_core.errors import InputError
from mad_core.scorers import catalog, tiled
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.reductions import SHARES
from mad_core.scorers.tiled import MergedMap, PictureTile, small, tiles_of

LENGTHS = st.integers(1, 400)


@given(height=LENGTHS, width=LENGTHS, side=st.integers(32, 200))
def test_tiles_cover_a_picture_and_overlap(height: int, width: int, side: int) -> None:
    seen = np.zeros((height, width), int)
    for tile in tiles_of(height, width, side):
        assert tile.left >= 0 and tile.top >= 0 and tile.width == min(side, width) and tile.height == min(side, height)
        seen[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert seen.min() >= 1
    for length in (height, width):
        starts = tiled._starts(length, side)
        assert all(0 < later - first <= side - int(side * 0.25) for first, later in pairwise(starts))


@given(height=st.integers(40, 120), width=st.integers(40, 120), seed=st.integers(0, 99))
def test_tiles_of_one_map_merge_to_that_map(height: int, width: int, seed: int) -> None:
    whole = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    tiles = tiles_of(height, width, 40)
    merged = MergedMap((height, width), tiles[0], (40, 40))
    for tile in tiles:
        merged.add(tile, whole[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width])
    np.testing.assert_allclose(merged.whole(), whole, atol=1e-5)


def test_where_tiles_disagree_no_seam_shows() -> None:
    tiles = tiles_of(40, 100, 40)
    merged = MergedMap((40, 100), tiles[0], (40, 40))
    for number, tile in enumerate(tiles):
        merged.add(tile, np.full((40, 40), float(number), np.float32))
    row = merged.whole()[20]
    assert row[0] == 0 and row[-1] == len(tiles) - 1
    assert np.diff(row).max() < 0.2  # ten cells of overlap from one value to the next


def test_the_map_has_a_bounded_number_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled, "MOST_CELLS", 10_000)
    tiles = tiles_of(1000, 3000, 256)
    merged = MergedMap((1000, 3000), tiles[0], (256, 256))
    for tile in tiles:
        spot = tile.left <= 2000 < tile.left + 256 and tile.top <= 500 < tile.top + 256
        values = np.zeros((256, 256), np.float32)
        if spot:
            values[500 - tile.top, 2000 - tile.left] = 1e4
        merged.add(tile, values)
    whole = merged.whole()
    assert whole.size <= 10_200 and merged.cells_of_tile < 300
    row, column = np.unravel_index(int(whole.argmax()), whole.shape)
    assert abs(row / whole.shape[0] - 0.5) < 0.02 and abs(column / whole.shape[1] - 2 / 3) < 0.02


def test_a_small_map_keeps_the_highest_of_each_cell() -> None:
    whole = np.zeros((700, 900), np.float32)
    whole[333, 555] = 7
    shown = small(whole)
    assert shown.shape == (199, 256) and shown.max() == 7
    row, column = np.unravel_index(int(shown.argmax()), shown.shape)
    assert abs((row + 0.5) * 700 / 199 - 333.5) < 3 and abs((column + 0.5) * 900 / 256 - 555.5) < 3
    assert np.count_nonzero(shown) == 1


@pytest.mark.parametrize("said", ["on", "0", "31", "9000", "-1", "1e3", ""])
def test_what_is_no_tile_is_refused_in_a_sentence(said: str) -> None:
    with pytest.raises(InputError, match="tiles"):
        catalog.scorer("filterbank").check({"tiles": said})


def test_every_scorer_with_a_map_offers_tiles() -> None:
    whole = {"knn", "mllm", "endpoint", "hybrid", "graded"}
    for info in catalog.scorers():
        if info.entry.startswith("mad_core.") and info.id not in whole:
            assert info.tiles and info.defaults()["tiles"] == "auto", info.id


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Item], tuple[int, int]]:
    """Three normals of 4000 x 3000, and one with a defect of 12 pixels, whose place is given."""
    folder, rng = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    grain = rng.integers(-12, 13, (375, 500), np.int8)
    across, down = np.sin(np.arange(4000) / 37)[None, :], np.sin(np.arange(3000) / 53)[:, None]
    waves = (128 + 30 * across + 20 * down).astype(np.uint8)
    items = []
    for number in range(4):
        pixels = waves + np.tile(np.roll(grain, 41 * number, (0, 1)), (8, 8)).view(np.uint8)  # modulo 256
        if number == 3:
            pixels[1900:1912, 2704:2716] = 5
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path, compress_level=1)
        items.append(Item(path.name, str(path)))
    return items, (1906, 2710)


@pytest.mark.parametrize(
    ("scorer_id", "parameters"),
    [("filterbank", {"size": 256, "tiles": "800", "bank": 12}), ("subspace", {"size": 256, "tiles": "512"})],
)
def test_a_defect_of_12_pixels_in_a_picture_of_12_million_is_found(
    scorer_id: str,
    parameters: dict[str, Any],
    large: tuple[list[Item], tuple[int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiled, "MOST_TILES", 12)
    items, (y, x) = large
    context = Context(seed=0, weights=tmp_path)
    scorer: Any = catalog.scorer(scorer_id).create(parameters)
    scorer.fit(items[:3], context)
    assert scorer.facts()["tile_side"] == int(parameters["tiles"])
    (defective,) = scorer.score(items[3:], context)
    anomaly_map = defective.map
    assert anomaly_map.shape == (192, 256)
    row, column = np.unravel_index(int(anomaly_map.argmax()), anomaly_map.shape)
    assert abs((row + 0.5) * 3000 / 192 - y) < 40 and abs((column + 0.5) * 4000 / 256 - x) < 40
    highest = anomaly_map.max()
    anomaly_map[row - 5 : row + 6, column - 5 : column + 6] = 0
    assert highest > 1.2 * anomaly_map.max()


def test_few_tiles_and_two_pictures_are_in_memory_at_once(tmp_path: Path) -> None:
    rng, items = np.random.default_rng(0), []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (1200, 1600), np.uint8)).save(path, compress_level=1)
        items.append(Item(path.name, str(path)))
    scorer = catalog.scorer("filterbank").create({"size": 64, "tiles": "400", "bank": 4})
    scorer.fit(items[:4], Context())
    tracemalloc.start()
    list(scorer.score(items[3:], Context()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    picture, merged = 1600 * 1200 * 3, 2 * 4 * 1600 * 1200
    assert peak < 3 * picture + 3 * merged  # all 20 tiles of both at their own maps would be 52 MB more


def test_auto_takes_tiles_of_what_the_scorer_sees_where_normals_are_much_larger(
    pictures: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiled, "MANY_VIEWS", 2)
    for size, side in ((64, 64), (100, None)):  # 200 x 150 is a square of 173
        scorer = catalog.scorer("filterbank").create({"size": size})
        scorer.fit(pictures[:5], Context())
        assert scorer.facts().get("tile_side") == side


@pytest.fixture
def pictures(tmp_path: Path) -> list[Item]:
    """Six normals of 200 x 150, one with a spot, one that cannot be read."""
    rng = np.random.default_rng(0)
    for number in range(7):
        pixels = rng.integers(100, 150, (150, 200, 3), np.uint8)
        if number == 6:
            pixels[100:112, 40:52] = 250
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return [Item(path.name, str(path)) for path in sorted(tmp_path.glob("*.png"))]


@pytest.mark.parametrize("scorer_id", ["filterbank", "patchcore", "padim", "autoencoder", "perturbation"])
def test_detectors_of_every_kind_work_in_tiles_and_come_back(scorer_id: str, pictures: list[Item]) -> None:
    usual = {
        "patchcore": {"weights": "random", "backbone": "mad-formula-s", "size": 64},
        "padim": {"weights": "random", "backbone": "mad-formula-s", "size": 64, "features": 20},
        "autoencoder": {"size": 64, "steps": 2},
        "perturbation": {"size": "64", "width": 4, "steps": 2},
    }
    parameters = {**usual.get(scorer_id, {"size": 64}), "tiles": "120"}
    context = Context(seed=0)
    scorer: Any = catalog.scorer(scorer_id).create(parameters)
    scorer.fit(pictures[:6], context)
    scored = list(scorer.score(pictures[5:], context))
    assert [one.status for one in scored] == ["ok", "ok", "unreadable"]
    assert all(one.map.shape == (192, 256) for one in scored[:2])
    tensors, facts = scorer.state()
    again: Any = catalog.scorer(scorer_id).create(parameters)
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), context)
    np.testing.assert_allclose(
        [one.score for one in again.score(pictures[5:7], context)], [one.score for one in scored[:2]], rtol=1e-4
    )


def test_off_and_auto_see_small_pictures_whole(pictures: list[Item]) -> None:
    scores = []
    for said in ("off", "auto"):
        scorer = catalog.scorer("filterbank").create({"size": 64, "tiles": said})
        scorer.fit(pictures[:6], Context())
        assert "tile_side" not in scorer.facts()
        scores.append([one.score for one in scorer.score(pictures[5:7], Context())])
    assert scores[0] == scores[1]


def test_a_share_of_the_map_is_a_share_of_one_tile() -> None:
    scorer: Any = catalog.scorer("filterbank").create({"size": 64, "tiles": "80", "reduction": "top5"})
    whole = np.arange(1000, dtype=np.float32).reshape(20, 50)
    assert scorer._reduced(whole, 100, 0.0) == whole.ravel()[-round(100 * SHARES["top5"]) :].mean()
    scorer.parameters["reduction"] = "model"
    assert scorer._reduced(whole, 100, 3.5) == 3.5
    assert PictureTile(0, 0, 1, 1).width == 1
