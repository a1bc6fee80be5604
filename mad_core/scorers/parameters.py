"""Parameters that several scorers share. No torch here."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mad_core.errors import InputError
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.reductions import REDUCTIONS

BACKBONES = ("resnet18.tv_in1k", "wide_resnet50_2.tv_in1k")
DINOV2 = ("vit_small_patch14_reg4_dinov2.lvd142m", "vit_base_patch14_reg4_dinov2.lvd142m")
DINOV3 = ("vit_small_patch16_dinov3.lvd1689m", "vit_base_patch16_dinov3.lvd1689m")
ALL_BACKBONES = (*weights.ANY_SHAPE, *BACKBONES)


def reduction(default: str, *others: str) -> Parameter:
    text = "How the anomaly map becomes a score: its maximum, or the mean of its highest share, in which extent enters."
    if "model" in (default, *others):
        text += " model: the score of the paper."
    return Parameter("reduction", "choice", default, text, choices=(*others, *REDUCTIONS))


def square(default: int, low: int = 64) -> Parameter:
    return Parameter("size", "int", default, "Side of the square the image is squeezed to, pixels.", low, 1024)


TILES = "tiles"
"""The parameter of :func:`tiles`, which :class:`mad_core.scorers.tiled.TiledScorer` takes."""
AUTO, OFF = "auto", "off"


def tiles() -> Parameter:
    """Of every scorer with a map: pictures larger than what its network sees are looked at piece by piece."""
    text = (
        "Look at large pictures in overlapping tiles at their own scale: off, the side of a tile in pixels, or auto: "
        "tiles where a typical normal has more than 8 times the side that the scorer sees."
    )
    return Parameter(TILES, "text", AUTO, text, advanced=True, check_text=checked_tiles)


def checked_tiles(text: str) -> str:
    """``auto``, ``off``, or the side of a tile in pixels.

    Raises
    ------
    InputError
    """
    text = text.strip().lower()
    if text in (AUTO, OFF) or (text.isascii() and text.isdigit() and LEAST_TILE <= int(text[:6]) <= MOST_TILE):
        return text
    raise InputError(
        f"Parameter '{TILES}' is '{text[:80]}', but must be {AUTO}, {OFF}, or the side of a tile in pixels, "
        f"{LEAST_TILE} to {MOST_TILE}."
    )


LEAST_TILE, MOST_TILE = 32, 8192


def steps() -> Parameter:
    return Parameter("steps", "int", None, "Optimiser steps; empty: what this device finishes in minutes.", 1, 200_000)


def weights_file() -> Parameter:
    return Parameter(
        "weights",
        "text",
        weights.PRETRAINED,
        "pretrained, random (to try the code, not the parts), or the path of a .safetensors file.",
    )


def backbone(default: str, choices: tuple[str, ...] = ALL_BACKBONES) -> Parameter:
    return Parameter("backbone", "choice", default, "Network whose features are used.", choices=choices)


def open_backbone() -> Parameter:
    """A backbone that may be left open, see :func:`weights.settled`."""
    return Parameter(
        "backbone",
        "choice",
        None,
        f"Network whose features are used. Empty: that of the paper where its weights are on this machine, "
        f"else {weights.LITE} if its package is here, else {weights.FORMULA}.",
        choices=ALL_BACKBONES,
    )


def own_backbone() -> Parameter:
    """A backbone that needs no download, see :func:`weights.settled_own`."""
    text = f"Network whose features are used. Empty: {weights.LITE} if its package is here, else {weights.FORMULA}."
    return Parameter("backbone", "choice", None, text, choices=weights.ANY_SHAPE)


def working_side() -> Parameter:
    return Parameter("size", "int", 256, "Working side of a typical image, pixels; the aspect is kept.", 64, 1024)


def framed_side(*sides: str) -> Parameter:
    text = "Side of the square, pixels, in which a picture keeps its aspect; empty: what suits the device."
    return Parameter("size", "choice", None, text, choices=sides)


def framed_width() -> Parameter:
    return Parameter("width", "int", None, "Channels of the first layer; empty: what suits the device.", 4, 128)


def filter_bank() -> tuple[Parameter, ...]:
    """Parameters of the filter bank, whatever is made of its map."""
    return (
        working_side(),
        Parameter(
            "positions",
            "choice",
            "nearby",
            "Compare with normals at nearby positions, or anywhere (for parts that lie in any pose).",
            choices=("nearby", "all"),
        ),
        Parameter("reach", "int", 1, "Grid cells to each side that count as nearby.", 0, 4, advanced=True),
        Parameter("bank", "int", 128, "Normals kept for comparison at most.", 4, 512, advanced=True),
    )


def missing(scorer_id: str) -> Callable[[Mapping[str, Any]], str | None]:
    return partial(weights.why_not, scorer_id)
