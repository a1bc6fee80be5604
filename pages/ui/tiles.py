"""Gallery tiles of a dataset's images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mad_core.runs.store import DatasetInfo
from pages.ui import engine, urls
from pages.ui.charts import level_tones
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
    colour, ink, _ = level_tones(row.level, levels)
    label = level_text(row.level, info.card.subset(row.subset))
    name = str(row.path).rpartition("/")[2]
    defect = row.defect or ("normal" if row.level == 0 else "")
    return Tile(
        image_id=row.image_id,
        url=urls.picture(info.id, row.image_id, "thumbnail", row.content_hash),
        alt=f"{name}, {label}" + (f", {defect}" if defect else ""),
        level_label=label,
        level_colour=colour,
        text_colour=ink,
        caption=f"{defect} · {name}" if defect else name,
        score_label="" if score is None else score_text(score),
        href=urls.image_page(info.id, row.subset, row.image_id),
    )


def tiles_of(info: DatasetInfo, ids: Sequence[str], scores: Mapping[str, str] | None = None) -> list[Tile]:
    """Tiles of images of any subset, in this order; ``scores`` says what is written under them."""
    dataset = engine.store().dataset(info.id)
    rows: Any = dataset.table[dataset.table["image_id"].isin(list(ids))]
    images: dict[str, Any] = {row.image_id: row for row in rows.itertuples()}
    shown = [tile(info, images[i], dataset.levels(images[i].subset)) for i in ids if i in images]
    return [replace(one, score_label=scores.get(one.image_id, "")) for one in shown] if scores else shown
