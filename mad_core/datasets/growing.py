"""A dataset grows: further images after those that are there, as its next version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from mad_core.datasets.dataset import COLUMNS, Dataset, image_id
from mad_core.errors import InputError


@dataclass(frozen=True)
class Grown:
    """What became of further images.

    Parameters
    ----------
    dataset : Dataset
        The next version: rows of the one before as they were, new ones after them, all for test.
    added : int
        New rows.
    there : int
        Images whose content the subset held already, and further copies of a new one.
    from_training : int
        New ones that their source calls training normals; they are tested, too, so that fits stay what they were.
    """

    dataset: Dataset
    added: int
    there: int
    from_training: int = 0


def grown(old: Dataset, new: Dataset, subset: str = "") -> Grown:
    """A dataset with the images of another one.

    Parameters
    ----------
    subset : str
        Which one they belong to; by default that of their own name, or the only one.

    Raises
    ------
    InputError
        If it is not clear to which subset they belong.
    """
    if subset and subset not in old.subsets:
        raise InputError(f"Dataset '{old.name}' has no subset '{subset[:80]}'; it has {', '.join(old.subsets)}.")
    subsets = {name: subset or _home(old, name) for name in new.subsets}
    former = set(zip(old.table["subset"], old.table["content_hash"], strict=True))
    fresh = list(_fresh(new.table, subsets, former))
    trained = sum(row["split"] == "train" for row in fresh)
    rows = pd.DataFrame(list(_named(fresh, set(old.table["image_id"]))), columns=list(COLUMNS)).astype(dict(COLUMNS))
    rows = rows.assign(
        **{name: rows[name].where(rows[name].notna(), None) for name in ("defect", "mask_path", "group")}
    )
    table = pd.concat([old.table, rows], ignore_index=True) if len(rows) else old.table
    return Grown(replace(old, table=table), len(rows), len(new.table) - len(rows), trained)


def _home(old: Dataset, name: str) -> str:
    """The subset of a dataset to which images of a subset of this name belong."""
    if name in old.subsets:
        return name
    if len(old.subsets) == 1:
        return old.subsets[0]
    raise InputError(
        f"Dataset '{old.name}' has the subsets {', '.join(old.subsets)}; say to which of them the images of "
        f"'{name[:80]}' belong (--subset)."
    )


def _fresh(table: pd.DataFrame, subsets: Mapping[str, str], former: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Rows whose content their subset does not hold yet, each content once."""
    seen = set(former)
    for row in table.to_dict("records"):
        values = {str(name): value for name, value in row.items()} | {"subset": subsets[row["subset"]]}
        if (key := (values["subset"], values["content_hash"])) not in seen:
            seen.add(key)
            yield values


def _named(rows: Iterable[dict[str, Any]], taken: set[str]) -> Iterator[dict[str, Any]]:
    """The rows for test, under ids of their own: another picture of the same name stands below its digest."""
    for row in rows:
        name = row["template_path"]
        if image_id(row["subset"], name) in taken:
            name = f"{row['content_hash'][:8]}/{name}"
        own = image_id(row["subset"], name)
        taken.add(own)
        yield row | {"image_id": own, "template_path": name, "split": "test"}
