"""Gallery tiles of a dataset's images."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mad_core.palette import level_colour, text_on
from mad_core.runs.store import DatasetInfo
from pages.ui import urls
from pages.ui.charts import theme
from pages.ui.gallery import Tile
from pages.ui.text import level_text, score_text


def tile(info: DatasetInfo, row: Any, levels: Collection[float], score: float | None = None) -> Tile:
    """A tile of one row of the dataset's table.

    Parameters
    ----------
    row : named tuple
        With the columns of the dataset's table, as ``itertuples`` gives it.
    levels : collection of float
        All levels of the subset, for the colour.
    score : float or None
        Written under the picture where given.
    """
    colour = level_colour(row.level, levels, theme())
    label = level_text(row.level, info.card.subset(row.subset))
    name = str(row.path).rpartition("/")[2]
    defect = row.defect or ("normal" if row.level == 0 else "")
    return Tile(
        image_id=row.image_id,
        url=urls.picture(info.id, row.image_id, "thumbnail", row.content_hash),
        alt=f"{name}, {label}" + (f", {defect}" if defect else ""),
        level_label=label,
        level_colour=colour,
        text_colour=text_on(colour),
        caption=f"{defect} · {name}" if defect else name,
        score_label="" if score is None else score_text(score),
        href=urls.image_page(info.id, row.subset, row.image_id),
    )
