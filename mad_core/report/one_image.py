"""One image beside its anomaly maps as a picture for slides and mails, with names, scores and the scale of each map."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mad_core.palette import colour_map
from mad_core.report.pictures import Overlay, Pictures, Scale
from mad_core.runs.store import Run, Store

SIDE = 1200
"""Longest side of each panel, pixels."""
NARROWEST = 320
"""Narrower pictures are shown by several pixels for each of theirs, so that names have room."""
_PAPER, _INK, _QUIET = "#ffffff", "#111111", "#555555"


def one_image_png(
    store: Store,
    row: Mapping[Any, Any],
    runs: Sequence[Run],
    names: Mapping[str, str],
    title: str,
    scale: Scale = "range",
) -> bytes:
    """The image and, right of it, the image under the map of each run, as PNG.

    Parameters
    ----------
    row : mapping
        Of the dataset's table; with ``dataset_id``.
    names : mapping of run id to str
    title : str
        Above the image: its name and level.
    scale : {"range", "threshold"}
        Colours over the range of each run, or anchored at its threshold.

    Raises
    ------
    ImageError
        If the image's file cannot be read any more.
    """
    pictures = Pictures(store, scale)
    plain = pictures.plain(row["dataset_id"], row, SIDE)
    larger = -(-NARROWEST // plain.shape[1])
    plain = plain.repeat(larger, 0).repeat(larger, 1)
    overlays = list(pictures.overlaid(plain, row, runs))
    height, width = plain.shape[:2]
    size = max(13, min(width, 900) // 30)
    font, gap, line = ImageFont.load_default(size), size, round(1.5 * size)
    sheet = Image.new(
        "RGB",
        (
            (width + gap) * (1 + len(overlays)) + gap,
            height + 2 * gap + 2 * line + (line if scale == "threshold" else 0),
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for place, panel in enumerate((None, *overlays)):
        left, top = gap + place * (width + gap), gap + line
        sheet.paste(Image.fromarray(plain if panel is None else panel.pixels), (left, top))
        words = title if panel is None else f"{names[panel.run.id]}  {_score(store, panel, row)}"
        draw.text((left, gap // 2), _fitting(words, font, width), _INK, font)
        if panel is not None:
            _scale(sheet, draw, panel, (left, top + height + line // 4, width, line // 2), font)
    kept = io.BytesIO()
    sheet.save(kept, "PNG")
    return kept.getvalue()


def _score(store: Store, panel: Overlay, row: Mapping[Any, Any]) -> str:
    stored = store.score(panel.run.id, row["image_id"])
    return "" if stored is None or stored.score is None else f"{stored.score:.4g}"


def _scale(sheet: Image.Image, draw: ImageDraw.ImageDraw, panel: Overlay, box: tuple[int, ...], font: Any) -> None:
    """The colours of a map from its low to its high end, with both numbers."""
    left, top, width, height = box
    ends = [f"{end:.3g}" for end in (panel.low, panel.high)]
    before, after = (round(draw.textlength(text, font)) for text in ends)
    long = width - before - after - height * 2
    if long > height:
        colours = colour_map("viridis")[np.linspace(0, 255, long).astype(int)]
        sheet.paste(Image.fromarray(np.broadcast_to(colours, (height, long, 3)).copy()), (left + before + height, top))
    if panel.anchor is not None:
        at = left + before + height + long // 2
        draw.line((at, top, at, top + height), _INK, 2)
        words = f".5 = threshold {panel.anchor:.3g}"
        draw.text((at, top + 2 * height), _fitting(words, font, width), _QUIET, font, anchor="mm")
    draw.text((left, top + height // 2), ends[0], _QUIET, font, anchor="lm")
    draw.text((left + width, top + height // 2), ends[1], _QUIET, font, anchor="rm")


def _fitting(words: str, font: Any, width: int) -> str:
    """The words, cut in the middle where there is no room for them; letters that the font lacks are question marks."""
    words = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in words)
    kept = len(words)
    while kept > 3 and font.getlength(_cut(words, kept)) > width:
        kept -= 1
    return _cut(words, kept)


def _cut(words: str, letters: int) -> str:
    if letters >= len(words):
        return words
    head = (letters - 3) // 2
    return f"{words[:head]}...{words[len(words) - (letters - 3 - head) :]}"
