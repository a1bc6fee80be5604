"""The subspace of normal patches: its parts against brute force, and that it finds what is strange."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.subspace import Moments, directions_beside
from mad_core.scorers.features import compiled


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


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Item]:
    """Eight normals, a normal and a spotted one, of two shapes."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(10):
        shape = (96, 128) if number % 2 else (128, 96)
        pixels = 120 + 30 * np.sin(np.arange(shape[1]) / 4)[None, :] + rng.normal(0, 6, shape)
        if number == 9:
            pixels[40:56, 60:80] = 240
        Image.fromarray(np.repeat(pixels[..., None], 3, 2).clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return [Item(path.name, str(path)) for path in sorted(Path(folder).glob("*.png"))]


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "mad-formula-s"])
def test_a_spot_is_found_and_the_state_comes_back(backbone: str, pictures: list[Item], tmp_path: Path) -> None:
    context, parameters = Context(weights=tmp_path), {"backbone": backbone, "size": 128}
    scorer = catalog.scorer("subspace").create(parameters)
    scorer.fit(pictures[:8], context)
    good, spotted = scorer.score(pictures[8:], context)
    assert spotted.score > 1.5 * good.score
    row, column = np.unravel_index(int(spotted.map.argmax()), spotted.map.shape)
    assert 30 <= row * 96 / spotted.map.shape[0] <= 66 and 50 <= column * 128 / spotted.map.shape[1] <= 90
    tensors, facts = scorer.state()
    again = catalog.scorer("subspace").create(parameters)
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), context)
    np.testing.assert_allclose([one.score for one in again.score(pictures[8:], context)], [good.score, spotted.score])


def test_scores_do_not_depend_on_what_computes_the_features(
    pictures: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")

    def scored() -> list[float]:
        scorer = catalog.scorer("subspace").create({"backbone": "mad-formula-s", "size": 64})
        scorer.fit(pictures[:6], Context(weights=tmp_path))
        return [one.score for one in scorer.score(pictures[8:], Context(weights=tmp_path))]

    fast = scored()
    monkeypatch.setattr(compiled, "compiled", lambda net: net)
    np.testing.assert_allclose(scored(), fast, rtol=1e-4)
