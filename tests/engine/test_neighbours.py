"""The search of a bank of rows, against brute force; PatchCore through it against anomalib's own search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.features import neighbours
from mad_core.scorers.features.neighbours import RowBank, nearest_anywhere
from tests.benchmarks.pairs import Cost, Row, joined


def drawn(count: int, channels: int, seed: int) -> torch.Tensor:
    """Rows near a few centres, far from zero, some of them twice."""
    generator = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(5, channels, generator=generator) + 20
    rows = centres[torch.randint(5, (count,), generator=generator)] + torch.randn(count, channels, generator=generator)
    if count:
        rows[::7] = rows[0].clone()
    return rows


def brute(queries: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return (queries.double()[:, None] - rows.double()[None]).square().sum(2).sqrt().amin(1)


def rounding(bank: torch.Tensor, asked: torch.Tensor) -> float:
    """What single precision may leave of a squared distance: a part of the squared norms that make it up."""
    return 3e-6 * float((torch.cat([bank, asked]) - bank.mean(0)).square().sum(1).max())


@given(
    rows=st.integers(1, 60),
    channels=st.integers(1, 12),
    queries=st.integers(0, 20),
    seed=st.integers(0, 50),
    bound=st.booleans(),
)
def test_the_nearest_row_is_that_of_brute_force(rows: int, channels: int, queries: int, seed: int, bound: bool) -> None:
    patched = {"QUERIES": 7, "BLOCK": 5, "DIRECTIONS": 2, "_PAIRS": 3}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in patched.items():
            patch.setattr(neighbours, name, value)
        patch.setattr(neighbours, "MANY_ROWS", 0 if bound else 10**9)
        patch.setattr(neighbours, "WIDE", 0)
        bank, asked = drawn(rows, channels, seed), drawn(queries, channels, seed + 1)
        ours = RowBank(bank)
        assert ours.bound == bound
        wanted = brute(asked, bank) if queries else torch.zeros(0)
        np.testing.assert_allclose(ours.nearest(asked) ** 2, wanted**2, atol=rounding(bank, asked), rtol=1e-5)


@pytest.mark.parametrize("bound", [False, True])
def test_a_row_that_is_there_has_no_distance_and_others_keep_their_digits(
    bound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "MANY_ROWS", 0 if bound else 10**9)
    bank = drawn(3000, 300, 0)
    asked = torch.cat([bank[1500:1505], drawn(40, 300, 9)])
    found = RowBank(bank).nearest(asked)
    assert float(found[:5].max()) ** 2 < rounding(bank, asked)
    np.testing.assert_allclose(found[5:], brute(asked[5:], bank), rtol=1e-4)
    np.testing.assert_allclose(nearest_anywhere(asked, bank) * 300**0.5, found, rtol=1e-5)


def test_patchcore_gives_what_anomalibs_model_gives(tmp_path: Path) -> None:
    rng, items = np.random.default_rng(0), []
    for number in range(7):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / f"{number}.png")
        items.append(Item(str(number), str(tmp_path / f"{number}.png")))
    parameters = {"backbone": "mad-formula-s", "positions": "anywhere", "size": 64, "coreset": 0.3}
    scorer: Any = catalog.scorer("patchcore").create(parameters)
    scorer.fit(items[:5], Context(seed=0))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        scores, maps = scorer.inner.predict(images)
        output = scorer.model(images)
    np.testing.assert_allclose(scores, output.pred_score.flatten(), rtol=1e-4)
    np.testing.assert_allclose(maps, output.anomaly_map.view(2, 64, 64), rtol=1e-4, atol=1e-5)


def test_pairs_of_several_processes_stand_together() -> None:
    first, second = (Row("a", "b", f"run {k}", [Cost(k, k)], [Cost(1, 1)]) for k in (2, 5))
    (row,) = joined([[first], [second]])
    assert row == Row("a", "b", "run 2", [Cost(2, 2), Cost(5, 5)], [Cost(1, 1), Cost(1, 1)])
    assert "[2.00, 5.0]" in row.markdown()
