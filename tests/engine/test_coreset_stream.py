"""A coreset of features that come in parts: the same as of all at once where they fit, and about as good where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.features import coreset
from mad_core.scorers.features.coreset import CoresetStream, greedy_coreset
from mad_core.scorers.features.neighbours import nearest_anywhere


def clusters(count: int, channels: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = 5 * torch.randn(30, channels, generator=generator)
    return centres[torch.randint(30, (count,), generator=generator)] + torch.randn(count, channels, generator=generator)


def streamed(rows: torch.Tensor, count: int, part: int) -> torch.Tensor:
    stream = CoresetStream(count, len(rows), Context(seed=3))
    for some in rows.split(part):
        stream.add(some)
    assert stream.rows == len(rows)
    return stream.finish(0, count)


def test_where_all_fits_it_is_the_coreset_of_all() -> None:
    rows = clusters(500)
    assert torch.equal(streamed(rows, 40, 33), rows[greedy_coreset(rows, 40, Context(seed=3), 0, 40)])
    assert len(streamed(rows[:10], 40, 3)) == 10


@pytest.mark.parametrize(("held", "part"), [(500, 1 << 16), (3000, 500)])
def test_in_parts_it_covers_nearly_as_well_and_holds_little(
    held: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = clusters(6000)
    whole = rows[greedy_coreset(rows, 60, Context(seed=3), 0, 60)]
    monkeypatch.setattr(coreset, "HELD_BYTES", held * 8 * 4)
    monkeypatch.setattr(coreset, "PART", part)
    seen: list[int] = []

    def counted(given: torch.Tensor, *further: Any, **named: Any) -> torch.Tensor:
        seen.append(len(given))
        return greedy_coreset(given, *further, **named)

    monkeypatch.setattr(coreset, "greedy_coreset", counted)
    parted = streamed(rows, 60, 50)
    assert parted.shape == (60, 8) and len(torch.unique(parted, dim=0)) == 60
    assert max(seen) <= 12 * 60 and len(seen) == 6000 // 500 + 1  # parts of 500 rows, then what stayed of them
    radius = [float(nearest_anywhere(rows, bank).max()) for bank in (whole, parted)]
    assert radius[1] < 1.25 * radius[0]


def test_patchcore_learns_from_more_features_than_it_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, items = np.random.default_rng(0), []
    for number in range(13):
        pixels = rng.integers(100, 150, (64, 64, 3), np.uint8)
        if number == 12:
            pixels[20:34, 30:44] = 250
        Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
        items.append(Item(str(number), str(tmp_path / f"{number:02d}.png")))
    parameters = {"backbone": "mad-formula-s", "positions": "anywhere", "size": 64, "coreset": 0.1}
    scores = []
    for held in (coreset.HELD_BYTES, 100_000):
        monkeypatch.setattr(coreset, "HELD_BYTES", held)
        scorer: Any = catalog.scorer("patchcore").create(parameters)
        steps: list[tuple[int, int]] = []
        scorer.fit(items[:11], Context(seed=0, progress=lambda done, total, seen=steps: seen.append((done, total))))
        done = [one for one, _ in steps]
        assert done == sorted(done) and done[-1] <= steps[-1][1]
        assert len(scorer.model.memory_bank) == round(11 * 64 * 0.1)
        scores.append([one.score for one in scorer.score(items[11:], Context(seed=0))])
    assert all(spotted > 1.2 * good for good, spotted in scores)
    np.testing.assert_allclose(*scores, rtol=0.15)
