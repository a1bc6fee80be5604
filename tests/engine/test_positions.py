"""Normals that lie alike are told from those that do not, and parts at the wrong place are seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mad_core.scorers.features.positions import ALIKE, GRID, bank_of_cells, cells, likeness, nearby_distance, on_grid


def drawn(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def parts(count: int, noise: float) -> torch.Tensor:
    """The same part every time, and something of its own on each."""
    return drawn(0, (1, 8, GRID, GRID)) + noise * drawn(1, (count, 8, GRID, GRID))


def test_pictures_of_the_same_part_lie_alike_and_cloth_does_not() -> None:
    assert likeness(parts(12, 0.2)) < 0.3 < ALIKE
    assert likeness(drawn(2, (12, 8, GRID, GRID))) == pytest.approx(1, abs=0.05)


def test_it_grows_with_what_each_has_of_its_own() -> None:
    found = [likeness(parts(12, noise)) for noise in (0.1, 0.5, 1.0, 3.0)]
    assert found == sorted(found)


def test_blank_normals_tell_nothing() -> None:
    assert likeness(torch.zeros(6, 4, GRID, GRID)) == 1.0


def test_a_part_at_the_wrong_place_is_far_from_what_is_nearby() -> None:
    normals = parts(6, 0.1)
    moved = normals[:1].clone()
    moved[..., 4:8, 4:8] = normals[:1, :, 20:24, 20:24]
    found = nearby_distance(moved, bank_of_cells(cells(normals[1:])))[0]
    inside = found[5:7, 5:7]
    assert inside.min() > 2 * found[12:, 12:].max() and inside.mean() > 5 * found[12:, 12:].mean()


def test_it_is_the_nearest_of_the_same_and_the_adjacent_cells_of_all_normals() -> None:
    normals, query = drawn(3, (3, 5, GRID, GRID)), drawn(4, (1, 5, GRID, GRID))
    found = nearby_distance(query, bank_of_cells(cells(normals)))[0]
    for row, column in [(0, 0), (7, 30), (31, 31), (16, 5)]:
        near = [
            float((query[0, :, row, column] - normals[m, :, r, c]).square().mean().sqrt())
            for m in range(3)
            for r in range(max(0, row - 1), min(GRID, row + 2))
            for c in range(max(0, column - 1), min(GRID, column + 2))
        ]
        assert float(found[row, column]) == pytest.approx(min(near), rel=1e-4)


def test_pictures_of_any_shape_come_onto_the_grid() -> None:
    assert on_grid(torch.rand(2, 3, 12, 40)).shape == (2, 3, GRID, GRID)
    square = torch.rand(1, 3, GRID, GRID)
    assert on_grid(square) is square
