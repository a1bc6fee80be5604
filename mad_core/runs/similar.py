"""Similar pictures of a stored dataset for command line and notebooks; looks at the dataset first where that lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.errors import InputError
from mad_core.runs.in_process import do_here
from mad_core.runs.jobs import FeaturesJob, submit
from mad_core.runs.picture_space import ALL, NEAREST, read_space
from mad_core.runs.store import Store


def similar(
    store: Store,
    dataset_id: str,
    image: str,
    count: int = NEAREST,
    *,
    everywhere: bool = False,
    device: str = "auto",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> pd.DataFrame:
    """The pictures of a dataset that are most like one of them, the nearest first.

    Parameters
    ----------
    image : str
        Its id, its path within the dataset, or the path of its file.
    everywhere : bool
        Among the pictures of all subsets instead of its own.

    Returns
    -------
    DataFrame
        ``image_id``, ``subset``, ``path``, ``level``, ``defect``, ``distance``, ``closer`` (share of all pairs that
        lie farther apart), ``words``.

    Raises
    ------
    InputError
        If the dataset has no such image, or several.
    WorkError, CancelledError
    """
    dataset = store.dataset(dataset_id)
    table: Any = dataset.table
    row = _named(table, image)
    subset = ALL if everywhere and len(dataset.subsets) > 1 else row["subset"]
    space = read_space(store.settings, dataset_id, subset)
    if space is None or row["image_id"] not in space.rows:
        do_here(store, submit(store.queue, FeaturesJob(dataset_id), device=device), device, progress)
        space = read_space(store.settings, dataset_id, subset)
    if space is None or row["image_id"] not in space.rows:
        raise InputError(f"{row['template_path']} cannot be read, or is alone, so nothing is like it.")
    near = space.alike(row["image_id"], count)
    rows = table.set_index("image_id").loc[[one.image_id for one in near]]
    columns = {name: rows[source].tolist() for name, source in _COLUMNS.items()}
    said = {name: [getattr(one, name) for one in near] for name in ("distance", "closer", "words")}
    return pd.DataFrame({"image_id": rows.index.tolist(), **columns, **said})


_COLUMNS = {"subset": "subset", "path": "template_path", "level": "level", "defect": "defect"}


def _named(table: Any, image: str) -> Any:
    full = str(Path(image).expanduser().absolute())
    rows = table[(table["image_id"] == image) | (table["template_path"] == image) | (table["path"] == full)]
    if len(rows) != 1:
        what = "no image" if rows.empty else f"{len(rows)} images"
        raise InputError(f"The dataset has {what} called '{image[:300]}'; name one by its id or the path of its file.")
    return rows.iloc[0]
