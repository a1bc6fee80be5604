"""Keys and values that grow in place are those that transformers' own cache holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from mad_core.scorers.multimodal.caches import Copies, croppable, row_bytes, shared, taken


def states(rng: np.random.Generator, rows: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(rng.random((rows, 2, tokens, 4))), torch.tensor(rng.random((rows, 2, tokens, 4)))


def filled(rng: np.random.Generator, rows: int, tokens: int) -> DynamicCache:
    cache = DynamicCache()
    cache.update(*states(rng, rows, tokens), 0)
    return cache


@pytest.mark.parametrize("seed", range(5))
def test_growing_shortening_and_taking_rows_is_as_with_the_usual_cache(seed):
    rng = np.random.default_rng(seed)
    usual = filled(rng, 1, 7)
    rows = torch.zeros(3, dtype=torch.long)
    ours = taken(usual, rows, Copies())
    usual.reorder_cache(rows)
    for _ in range(12):
        more = states(rng, len(rows), int(rng.integers(1, 40)))
        for a, b in zip(ours.update(*more, 0), usual.update(*more, 0), strict=True):
            assert torch.equal(a, b)
        less = int(rng.integers(0, 3))
        if less and less <= more[0].shape[2]:
            ours.crop(-less)
            usual.crop(-less)
        if rng.random() < 0.3:
            rows = torch.tensor(rng.integers(0, len(rows), len(rows)))
            ours = taken(ours, rows, Copies())
            usual.reorder_cache(rows)
        assert ours.get_seq_length() == usual.get_seq_length() and croppable(ours)


def test_what_goes_on_from_a_cache_leaves_it_as_it_is_and_copies_it_once():
    rng, copies = np.random.default_rng(0), Copies()
    first = filled(rng, 2, 5)
    before = first.layers[0].keys.clone()
    one, other = shared(first, copies), shared(first, copies)
    assert copies.bytes == 0 and row_bytes(first) == 2 * 2 * 5 * 4 * 8
    one.update(*states(rng, 2, 3), 0)
    assert copies.bytes == 2 * row_bytes(first)
    for _ in range(20):
        one.update(*states(rng, 2, 1), 0)
    assert copies.bytes == 2 * row_bytes(first)
    assert torch.equal(first.layers[0].keys, before) and other.get_seq_length() == 5
