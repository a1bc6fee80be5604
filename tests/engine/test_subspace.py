"""The subspace of normal patches: its parts against brute force, and that it finds what is strange."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.subspace import (
    SHARE,
    Described,
    Moments,
    bank_of,
    directions_beside,
    extremes,
    folds,
    highest,
)
from mad_core.scorers.features import compiled
from mad_core.scorers.features.filters import blur
from mad_core.scorers.features.frozen import patches


def test_moments_of_parts_are_those_of_the_whole() -> None:
    rows = torch.randn(300, 7, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 8) + 100
    moments = Moments()
    for part in rows.split(77):
        moments.add(part)
    np.testing.assert_allclose(moments.mean(), rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments.covariance(), np.cov(rows.T.double(), bias=True), rtol=1e-3, atol=1e-3)


def test_what_is_beside_the_subspace_holds_the_rest_of_the_variance() -> None:
    rows = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = rows @ torch.diag(torch.tensor([10.0, 5, 1, 0.1, 0]).double())
    beside = directions_beside(torch.from_numpy(np.cov(rows.T, bias=True)), 0.99)
    assert beside.shape == (5, 3)  # 100 + 25 of 126.01
    np.testing.assert_allclose(beside.T @ beside, np.eye(3), atol=1e-9)
    residual = ((rows - rows.mean(0)) @ beside).square().sum(1).mean() / rows.var(0, unbiased=False).sum()
    assert residual < 0.01
    assert directions_beside(torch.eye(3), 0.9999).shape == (3, 1)


def surface(rng: np.random.Generator, shape: tuple[int, int] = (96, 128)) -> np.ndarray:
    """Stripes with some grain, 0-255."""
    return 120 + 30 * np.sin(np.arange(shape[1]) / 4)[None, :] + rng.normal(0, 6, shape)


def saved(path: Path, pixels: np.ndarray) -> Item:
    Image.fromarray(np.repeat(pixels[..., None], 3, 2).clip(0, 255).astype(np.uint8)).save(path)
    return Item(path.name, str(path))


def fitted(normals: list[Item], folder: Path, **parameters: object) -> Any:
    scorer = catalog.scorer("subspace").create(parameters)
    scorer.fit(normals, Context(weights=folder))
    return scorer


def scored(scorer: Any, items: list[Item]) -> list[Any]:
    return list(scorer.score(items, Context()))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Eight normals, a normal and a spotted one, of two shapes."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    found = []
    for number in range(10):
        pixels = surface(rng, (96, 128) if number % 2 else (128, 96))
        if number == 9:
            pixels[40:56, 60:80] = 240
        found.append(saved(folder / f"{number}.png", pixels))
    return found


@pytest.mark.parametrize(
    ("backbone", "fine"), [("efficientnet-lite0", 0.5), ("mad-formula-s", 0.5), ("mad-formula-s", 0.0)]
)
def test_a_spot_is_found_and_the_state_comes_back(
    backbone: str, fine: float, pictures: list[Item], tmp_path: Path
) -> None:
    parameters = {"backbone": backbone, "size": 128, "fine": fine}
    scorer = fitted(pictures[:8], tmp_path, **parameters)
    good, spotted = scored(scorer, pictures[8:])
    assert spotted.score > (good.score + 3 if fine else 1.5 * good.score)
    assert spotted.map.min() >= 0 and (not fine or good.map.mean() < 1 + fine < spotted.map.max())
    row, column = np.unravel_index(int(spotted.map.argmax()), spotted.map.shape)
    assert 30 <= row * 96 / spotted.map.shape[0] <= 66 and 50 <= column * 128 / spotted.map.shape[1] <= 90
    tensors, facts = scorer.state()
    again = catalog.scorer("subspace").create(parameters)
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), Context(weights=tmp_path))
    assert [one.score for one in scored(again, pictures[8:])] == [good.score, spotted.score]


def test_without_the_fine_part_the_score_is_the_residual(pictures: list[Item], tmp_path: Path) -> None:
    scorer = fitted(pictures[:8], tmp_path, backbone="mad-formula-s", size=64, fine=0.0)
    assert not any(scorer.state()[0][name].numel() for name in ("windows", "normals"))
    assert scorer.facts()["normals_compared"] == 0
    (one,) = scored(scorer, pictures[9:])
    with torch.inference_mode():
        image = scorer.normalised(scorer.prepare(np.asarray(Image.open(pictures[9].path)))[0][None], Context())
        features = patches(scorer.model.layers(image))[0]
    mean, beside = scorer.model.mean, scorer.model.beside
    lengths = np.array(
        [[float(((cell - mean) @ beside).norm()) for cell in row] for row in features.permute(1, 2, 0)], np.float32
    )
    cells = blur(torch.from_numpy(lengths)[None, None], 1.0)[0, 0]
    count = round(SHARE * cells.numel())
    assert one.score == pytest.approx(np.sort(cells.numpy().ravel())[-count:].mean(), rel=1e-4)
    assert one.map.max() == pytest.approx(float(cells.max()), rel=1e-3)


@pytest.mark.parametrize(("count", "parts"), [(4, 4), (7, 7), (8, 2), (31, 2)])
def test_every_normal_is_left_out_once(count: int, parts: int) -> None:
    found = folds(count, Context(seed=1))
    assert len(found) == parts and sorted(k for fold in found for k in fold) == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_what_normals_score_is_measured_on_those_left_out(pictures: list[Item], tmp_path: Path) -> None:
    """Scored by themselves they lie at no distance: who divided by that would take every picture for a defect."""
    context = Context(weights=tmp_path)
    scorer = fitted(pictures[:8], tmp_path, backbone="mad-formula-s", size=64)
    prepared = [scorer.prepare(np.asarray(Image.open(item.path)))[0][None] for item in pictures[:8]]
    with torch.inference_mode():
        described = [scorer._described(scorer.normalised(one, context)) for one in prepared]
        inside = scorer.model.distances(torch.cat([one.windows for one in described]))
        outside = torch.empty_like(inside)
        first = set(np.random.default_rng(0).permutation(8)[::2].tolist())
        for number, one in enumerate(described):
            others = [k for k in range(8) if (k in first) != (number in first)]
            outside[number] = bank_of(torch.cat([described[k].windows for k in others])).distance(one.windows)[0]
    scores = outside.flatten(1).sort().values[:, -round(0.05 * 1024) :].mean(1).log()
    assert inside.max() < 0.1 * outside.mean()
    expected = [scores.mean(), scores.std(), torch.quantile(outside.flatten(), 0.99)]
    np.testing.assert_allclose(scorer.model.normals[1], expected, rtol=1e-3)
    assert all(abs(one.score) < 12 for one in scored(scorer, pictures[8:9]))


def test_the_fine_part_adds_what_the_coarse_layers_do_not_know(
    pictures: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = fitted(pictures[:8], tmp_path, backbone="mad-formula-s", size=64)
    image = scorer.normalised(scorer.prepare(np.asarray(Image.open(pictures[8].path)))[0][None], Context())
    with torch.inference_mode():
        described, (score, cells) = scorer._described(image), scorer.predict(image)
        windows = described.windows.clone()
        windows[..., 10:14, 20:24] += 9
        monkeypatch.setattr(scorer.inner, "_described", lambda images: Described(described.features, windows))
        spiked, spiked_cells = scorer.predict(image)
        before, after = (highest(scorer.model.distances(one), 0.05) for one in (described.windows, windows))
    assert float(spiked - score) == pytest.approx(0.5 * float((after / before).log() / scorer.model.normals[1, 1]))
    assert spiked > score + 1
    assert set(zip(*np.nonzero((spiked_cells > cells + 0.5)[0].numpy()), strict=True)) == {
        (row, column) for row in range(10, 14) for column in range(20, 24)
    }


def clouds(rng: np.random.Generator, side: int = 192) -> np.ndarray:
    """Coarse and fine clouds that lie elsewhere in each picture, with some grain, 0-255."""
    parts = [blur(torch.from_numpy(rng.normal(size=(1, 1, side, side))).float(), scale)[0, 0] for scale in (12.0, 3.0)]
    coarse, fine = ((part / part.std()).numpy() for part in parts)
    return 120 + 25 * coarse + 20 * fine + rng.normal(0, 4, (side, side))


def test_a_hairline_that_the_residual_misses_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    normals = [saved(tmp_path / f"{number}.png", clouds(rng)) for number in range(16)]
    sound = [clouds(rng) for _ in range(4)]
    scratched = sound[3].copy()
    for step in range(12):
        scratched[90 + step // 2, 80 + step] += 100
    items = [saved(tmp_path / f"test{number}.png", pixels) for number, pixels in enumerate([*sound, scratched])]
    both, residual = (
        scored(fitted(normals, tmp_path, backbone="efficientnet-lite0", size=192, fine=fine), items)
        for fine in (0.5, 0.0)
    )
    assert both[4].score > max(one.score for one in both[:4]) + 0.5
    row, column = np.array(np.unravel_index(int(both[4].map.argmax()), both[4].map.shape)) * 192 / 256
    assert 84 <= row <= 102 and 74 <= column <= 98
    assert residual[4].score < max(one.score for one in residual[:4])


def test_normals_without_any_difference_still_give_finite_scores(tmp_path: Path) -> None:
    one = surface(np.random.default_rng(0))
    normals = [saved(tmp_path / f"{number}.png", one) for number in range(4)]
    same, blank = scored(
        fitted(normals, tmp_path, backbone="mad-formula-s", size=64),
        [normals[0], saved(tmp_path / "blank.png", np.zeros((96, 128)))],
    )
    assert np.isfinite([same.score, blank.score]).all() and same.score < blank.score
    assert np.isfinite(same.map).all() and np.isfinite(blank.map).all()


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((512, 512), (256, 256)),
        ((30, 30), (256, 256)),
        ((3000, 4000), (224, 288)),
        ((1, 40_000), (48, 2048)),
    ],
)
def test_every_picture_gets_its_own_scale_and_none_grows_beyond_bounds(
    shape: tuple[int, int], sides: tuple[int, int]
) -> None:
    scorer: Any = catalog.scorer("subspace").create({"backbone": "mad-formula-s"})
    assert scorer.prepare(np.zeros((*shape, 3), np.uint8))[0].shape == (3, *sides)


def test_extremes_are_those_of_a_loop() -> None:
    layer = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = extremes(layer)
    own = (layer[1, 2] - layer[1, 2].mean()) / (layer[1, 2].std() + 1e-3)
    for row, column in [(0, 0), (5, 31), (17, 9)]:
        window = own[max(0, 2 * row - 1) : 2 * row + 3, max(0, 2 * column - 1) : 2 * column + 3]
        assert float(found[1, 2, row, column]) == pytest.approx(float(window.max()), rel=1e-5)
        assert float(found[1, 5, row, column]) == pytest.approx(float(-window.min()), rel=1e-5)
    assert extremes(torch.randn(1, 3, 12, 100)).shape == (1, 6, 32, 32)


def test_scores_do_not_depend_on_what_computes_the_features(
    pictures: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")

    def scores() -> list[float]:
        scorer = fitted(pictures[:6], tmp_path, backbone="mad-formula-s", size=64)
        return [one.score for one in scored(scorer, pictures[8:])]

    fast = scores()
    monkeypatch.setattr(compiled, "compiled", lambda net: net)
    np.testing.assert_allclose(scores(), fast, rtol=1e-3, atol=1e-3)
