"""Filter responses and distances to nearby normals against slow ways that say the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mad_core.scorers.features import filters, neighbours
from mad_core.scorers.features.filters import blur, gaussian, responses, separable
from mad_core.scorers.features.windows import in_windows


def drawn(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def pooled(x: torch.Tensor, cells: int) -> torch.Tensor:
    if min(x.shape[2:]) >= cells:
        return F.adaptive_max_pool2d(x, cells)
    return F.interpolate(x, (cells, cells), mode="bilinear", align_corners=False)


def derivatives(x: torch.Tensor, scale: float) -> torch.Tensor:
    """Every response of every pixel, a filter at a time."""
    g0, g1, g2 = (gaussian(scale, order) for order in (0, 1, 2))
    xx, yy, xy = separable(x, g2, g0), separable(x, g0, g2), separable(x, g1, g1)
    dx, dy = separable(x, g1, g0).abs(), separable(x, g0, g1).abs()
    middle, half = (xx + yy) / 2, torch.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    high, low = middle + half, middle - half
    return torch.cat([high, -low, low, -high, xx, -xx, yy, -yy, dx, dy, torch.hypot(dx, dy)], 1).clamp_min(0)


@pytest.mark.parametrize("shape", [(64, 64), (73, 130), (48, 90), (40, 33)])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_strongest_of_a_cell_is_that_of_every_pixel(shape: tuple[int, int], scale: float) -> None:
    x = drawn(0, (1, 2, *shape))
    found = filters._shapes(x, scale, 32)
    torch.testing.assert_close(found, pooled(derivatives(x, scale), 32), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 96), (65, 127), (33, 32)])
def test_cells_are_those_of_adaptive_pooling(shape: tuple[int, int]) -> None:
    x = drawn(1, (2, 3, *shape))
    assert torch.equal(filters._in_cells(x, 32, torch.amax), F.adaptive_max_pool2d(x, 32))
    assert torch.equal(filters._in_cells(x, 32, torch.amin), -F.adaptive_max_pool2d(-x, 32))


def test_windows_are_those_of_overlapping_pooling() -> None:
    x = drawn(5, (3, 12, 12))
    assert torch.equal(in_windows(x), F.max_pool2d(x[None], kernel_size=4, stride=2, padding=1)[0])


def test_a_bright_and_a_dark_spot_are_the_same_but_for_the_sign() -> None:
    spot = blur(F.pad(torch.full((1, 1, 1, 1), 0.4), (40, 40, 40, 40)), 2.0)[0]
    bright, dark = (responses((0.5 + sign * 30 * spot).expand(3, -1, -1), 16) for sign in (1, -1))
    assert bright.shape == dark.shape and not torch.allclose(bright, dark)
    streams = 2
    high, no_low, low, no_high = bright[: 4 * streams].split(streams)
    torch.testing.assert_close(dark[: 4 * streams], torch.cat([no_low, high, no_high, low]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("reach", [0, 1, 3])
@pytest.mark.parametrize("at_once", [1, 1 << 18])
def test_the_nearest_is_that_of_all_nearby_cells(reach: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_AT_ONCE", {"cpu": at_once})
    grid, normals, channels = 6, 4, 5
    bank, query = drawn(2, (grid * grid, normals, channels)), drawn(3, (3, grid * grid, channels))
    weight = drawn(4, (grid * grid, channels)).abs() + 0.1
    found = neighbours.NearbyBank(bank, weight, reach).nearest(query)
    for image in range(len(query)):
        for cell in range(grid * grid):
            row, column = divmod(cell, grid)
            near = [
                bank[r * grid + c]
                for r in range(max(0, row - reach), min(grid, row + reach + 1))
                for c in range(max(0, column - reach), min(grid, column + reach + 1))
            ]
            squared = (weight[cell] * (query[image, cell] - torch.cat(near)) ** 2).mean(1)
            assert float(found[image, cell]) == pytest.approx(float(squared.min().sqrt()), rel=1e-4, abs=1e-3)
