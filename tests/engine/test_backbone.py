"""The backbone that ships: its pictures, its loss, a smoke training, and that its weights come back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mad_core.scorers.features.backbones import formula_net
from mad_core.scorers.features.formula_net import CHANNELS, LAYERS, STRIDES, FormulaNet, Standardised
from tools.backbone import train
from tools.backbone.blemishes import BLEMISHES
from tools.backbone.episodes import BLEMISHED, NORMALS, SIDE, SOUND, draw_episode
from tools.backbone.ship import ship
from tools.backbone.surfaces import SHEET, draw_sheet


@pytest.fixture(scope="module")
def pool() -> np.ndarray:
    return np.stack([draw_sheet(number) for number in range(6)])


def test_sheets_are_drawn_from_their_number(pool: np.ndarray) -> None:
    assert pool.shape == (6, SHEET, SHEET) and pool.dtype == np.uint8
    np.testing.assert_array_equal(draw_sheet(3), pool[3])
    assert pool.std((1, 2)).min() > 8


@pytest.mark.parametrize("blemish", dict.fromkeys(BLEMISHES), ids=lambda blemish: blemish.__name__)
def test_a_blemish_changes_what_it_says_and_nothing_else(blemish) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        before = np.clip(0.5 + 0.1 * rng.standard_normal((SIDE, SIDE, 3)), 0, 1).astype(np.float32)
        after = before.copy()
        share = np.asarray(blemish(after, rng, before[::-1].copy()), np.float32)
        changed = np.abs(after - before).max(2)
        assert share.shape == (SIDE, SIDE) and share.min() >= 0 and share.max() <= 1.001
        assert changed[share > 0.5].mean() > 1.4 * changed[share <= 0].mean()


def test_an_episode_has_normals_and_pieces_to_judge(pool: np.ndarray) -> None:
    for seed in range(8):
        episode = draw_episode(pool, np.random.default_rng(seed))
        assert episode.normals.shape == (NORMALS, SIDE, SIDE, 3)
        assert episode.tests.shape == (BLEMISHED + SOUND, SIDE, SIDE, 3)
        assert episode.tests.min() >= 0 and episode.tests.max() <= 1
        assert not episode.shares[BLEMISHED:].any()
    again = draw_episode(pool, np.random.default_rng(7))
    np.testing.assert_array_equal(again.tests, episode.tests)


def test_distances_are_those_to_the_nearest_row() -> None:
    generator = torch.Generator().manual_seed(0)
    query, bank = torch.randn(9, 5, generator=generator), torch.randn(7, 5, generator=generator)
    twin = [min(float((q - b).norm()) for b in bank) for q in query]
    np.testing.assert_allclose(train.distances(query, bank), twin, rtol=1e-4)


def test_patches_are_blemished_sound_or_left_out() -> None:
    shares = torch.zeros(2, 32, 32)
    shares[0, 8:16, 8:16] = 1
    blemished, sound = train.marks_of(shares)
    assert blemished[0].nonzero().flatten().tolist() == [5]
    assert not (blemished & sound).any()
    assert sound[0].nonzero().flatten().tolist() == [3, 7, 11, 12, 13, 14, 15]
    assert sound[1].all() and not blemished[1].any()


def test_light_does_not_reach_the_first_convolution() -> None:
    rng = torch.Generator().manual_seed(0)
    image = 0.5 * torch.randn(1, 3, 96, 80, generator=rng)
    plain = Standardised()(image)
    assert plain.shape == (1, 4, 96, 80)
    torch.testing.assert_close(Standardised()(0.5 * image - 0.3), plain, rtol=0.1, atol=0.1)
    slope = torch.linspace(-1, 1, 80).expand(1, 3, 96, 80)
    assert (Standardised()(image + 0.3 * slope)[:, 3] - plain[:, 3]).abs().mean() < 0.15


@pytest.mark.slow
def test_a_smoke_training_is_taken_up_and_its_weights_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "JUDGED", 2)
    for steps in (2, 3):
        arguments = ["--out", tmp_path / "net.pt", "--steps", steps, "--episodes", 1, "--sheets", 6]
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        train.main()
    assert torch.load(tmp_path / "net.pt", weights_only=True)["step"] == 3
    net = formula_net(ship(tmp_path / "net.pt", tmp_path / "out"), (1, 2))
    assert net.feature_info.channels() == list(CHANNELS[1:]) and net.feature_info.reduction() == list(STRIDES[1:])
    whole = FormulaNet(LAYERS)
    whole.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True)["model"])
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for found, known in zip(net(image), whole.eval()(image)[1:], strict=True):
        assert found.shape == known.shape
        torch.testing.assert_close(found, known, rtol=0.02, atol=0.02)
