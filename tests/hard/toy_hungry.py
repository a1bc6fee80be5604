"""A toy scorer that asks for more memory than a GPU has, at a chosen image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mad_core.scorers.contract import Context, Item, Scored
from tests.engine.toy import TOY, Toy

HUNGRY = replace(TOY, id="hungry", title="Hungry", entry="tests.hard.toy_hungry:Hungry")


def too_large(path: str | Path) -> Path:
    """The file that says that this image asks for too much memory."""
    return Path(path).with_suffix(".large")


class Hungry(Toy):
    """The toy, until an image is too large for the GPU."""

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            if too_large(item.path).exists():
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            yield from super().score([item], context)


def register_hungry() -> None:
    """Put it into the catalogue of this process, once."""
    from mad_core.scorers import catalog

    catalog.scorers()
    if "hungry" not in catalog._CATALOG:
        catalog.register(HUNGRY)
