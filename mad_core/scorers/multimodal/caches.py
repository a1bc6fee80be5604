"""Keys and values of what a model has read: shared between rows, grown in place, and shortened again.

transformers copies all keys and values for every token that comes behind them. Here they stand in a buffer with room
for what follows, so that a token is written where it belongs; and rows that begin alike share what they have in
common until something is written behind it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

_ROOM = 64
"""Tokens for which a buffer has room beyond those that are written into it."""


@dataclass
class Copies:
    """How much was copied of what stood in caches already, bytes."""

    bytes: int = 0


class GrowingLayer(DynamicLayer):
    """A layer's keys and values, with room for more.

    Parameters
    ----------
    keys, values : Tensor of shape (rows, heads, length, width)
        Never written to, so that others may share them.
    copies : Copies
        Counts.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, copies: Copies) -> None:
        super().__init__()
        self.keys, self.values, self.device, self.is_initialized = keys, values, keys.device, True
        self._copies = copies
        self._buffers: tuple[torch.Tensor, ...] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write behind what stands here; the buffer is as long as it needs to be."""
        assert self.keys is not None and self.values is not None
        before = self.keys.shape[-2]
        end = before + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < end:
            self._buffers = self._copied(self.keys, end), self._copied(self.values, end)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., before:end, :] = states
        self.keys, self.values = (buffer[..., :end, :] for buffer in self._buffers)
        return self.keys, self.values

    def _copied(self, part: torch.Tensor, end: int) -> torch.Tensor:
        rows, heads, length, width = part.shape
        buffer = part.new_empty(rows, heads, end + _ROOM, width)
        buffer[..., :length, :] = part
        self._copies.bytes += part.numel() * part.element_size()
        return buffer

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Take rows; what was a buffer of others is left to them."""
        super().reorder_cache(beam_idx)
        self._buffers = None


def shared(cache: Any, copies: Copies) -> Any:
    """A cache that goes on from another one, which stays as it is; nothing is copied that can be shared."""
    return _with_layers(cache, [_shared_layer(layer, copies) for layer in cache.layers])


def taken(cache: Any, rows: torch.Tensor, copies: Copies) -> Any:
    """Rows of a cache, in a cache of their own; a row may be taken more than once, and one alone costs nothing."""
    return _with_layers(cache, [_taken_layer(layer, rows, copies) for layer in cache.layers])


def croppable(cache: Any) -> bool:
    """Whether tokens can be taken off the end of a cache without loss."""
    layers = getattr(cache, "layers", ())
    return bool(layers) and all(map(_is_plain, layers))


def row_bytes(cache: Any) -> int:
    """What one row of a cache takes, bytes."""
    tensors = [tensor for layer in cache.layers for tensor in _tensors(layer)]
    return sum(tensor[0].numel() * tensor.element_size() for tensor in tensors if tensor.ndim > 1 and len(tensor))


def _is_plain(layer: Any) -> bool:
    return type(layer) is DynamicLayer or isinstance(layer, GrowingLayer)


def _with_layers(cache: Any, layers: list[Any]) -> Any:
    made = copy.copy(cache)
    made.layers = layers
    return made


def _shared_layer(layer: Any, copies: Copies) -> Any:
    if not _is_plain(layer) or not layer.is_initialized:
        return _counted(layer, copies)
    return GrowingLayer(layer.keys, layer.values, copies)


def _taken_layer(layer: Any, rows: torch.Tensor, copies: Copies) -> Any:
    if not _is_plain(layer) or not layer.is_initialized:
        made = _counted(layer, copies)
        made.reorder_cache(rows)
        return made
    return GrowingLayer(_rows_of(layer.keys, rows, copies), _rows_of(layer.values, rows, copies), copies)


def _rows_of(part: torch.Tensor, rows: torch.Tensor, copies: Copies) -> torch.Tensor:
    if len(part) == 1:
        return part.expand(len(rows), -1, -1, -1)
    selected = part.index_select(0, rows)
    copies.bytes += selected.numel() * selected.element_size()
    return selected


def _counted(layer: Any, copies: Copies) -> Any:
    """A copy of a layer that keeps a running state or a window, of which nothing can be shared."""
    copies.bytes += sum(tensor.numel() * tensor.element_size() for tensor in _tensors(layer))
    return copy.deepcopy(layer)


def _tensors(layer: Any) -> Iterator[torch.Tensor]:
    for value in vars(layer).values():
        for part in value.values() if isinstance(value, dict) else (value,):
            if isinstance(part, torch.Tensor):
                yield part
