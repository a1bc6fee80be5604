"""A toy scorer whose process dies over certain images: once, or each time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mad_core.scorers.contract import Context, Item, Scored

from .toy import TOY, Toy

MORTAL = replace(TOY, id="mortal", title="Mortal", entry="tests.engine.toy_cluster:Mortal")


def fatal_once(path: str | Path) -> Path:
    """The file that says that the next process to score this image dies, and is then gone."""
    return Path(path).with_suffix(".once")


def fatal(path: str | Path) -> Path:
    """The file that says that each process that scores this image dies."""
    return Path(path).with_suffix(".fatal")


def asked(path: str | Path) -> Path:
    """The file with a letter for each time that this image was scored."""
    return Path(path).with_suffix(".asked")


class Mortal(Toy):
    """The toy, unless a file beside the image says otherwise; no images at all where its mean is to be negative."""

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            with asked(item.path).open("a") as seen:
                seen.write("x")
            if fatal(item.path).exists():
                os._exit(1)
            if fatal_once(item.path).exists():
                fatal_once(item.path).unlink()
                os._exit(1)
            yield from super().score([item], context)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Without tensors: the many processes that die here start sooner without torch."""
        return {}, {"mean": self.mean}

    def restore(self, tensors: Mapping[str, Any], facts: Mapping[str, Any], context: Context) -> None:
        self.mean = facts["mean"]


def register_mortal() -> None:
    """Put it into the catalogue of this process, once."""
    from mad_core.scorers import catalog

    catalog.scorers()
    if "mortal" not in catalog._CATALOG:
        catalog.register(MORTAL)
