"""Further normals join what a run has fitted: a run of its own that names its parent, and what changed by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.datasets.dataset import Dataset, Imported, image_id
from mad_core.errors import InputError, NotFoundError
from mad_core.image_formats import SUFFIXES
from mad_core.images import ImageError, content_hash, inspect
from mad_core.metrics.differences import differences
from mad_core.paths import walked
from mad_core.runs.request import resolve_request
from mad_core.runs.results import run_table
from mad_core.runs.store import Run, Store
from mad_core.scorers import catalog

MOST_FILES = 100_000
JOINED = "joined"
"""Folder, in the names of a dataset, of normals that joined later."""


@dataclass(frozen=True)
class Joined:
    """A run whose fit has further normals, and what was made of the files.

    Parameters
    ----------
    run : Run
        Queued, unless it was asked for before.
    added : int
        Normals that join.
    left_out : tuple of str
        A sentence for each file that does not.
    """

    run: Run
    added: int
    left_out: tuple[str, ...]


def add_normals(store: Store, run_id: str, folder: Path, subset: str = "") -> Joined:
    """Ask for a run in which the normals of a folder join the fit of another run.

    Parameters
    ----------
    run_id : str
        The parent; nothing of it changes.
    folder : Path
        Its images, those in folders below it too, are all normal.
    subset : str
        Which subset they belong to; may be left out of a run of one.

    Raises
    ------
    NotFoundError
        If there is no such run.
    InputError
        If its scorer keeps no memory, it is not done, the subset is not its own, or no image is new.
    """
    parent = store.run(run_id)
    _check_memory(parent)
    subset = _subset(parent, subset)
    dataset = store.dataset(parent.dataset_id)
    rows, left_out = _new_rows(dataset, subset, folder)
    if not rows:
        why = f" {left_out[0]}" if left_out else ""
        raise InputError(f"No image of {folder} can join the normals of subset '{subset}'.{why}")
    asked = resolve_request(store, parent.asked)  # what cannot run here leaves no dataset behind
    grown = _with_normals(dataset, rows)
    dataset_id = store.add_dataset(Imported(grown, store.dataset_info(parent.dataset_id).problems))
    title = f"{parent.title} + {len(rows)} normals"[:190]
    request = replace(asked, dataset_id=dataset_id, subsets=(subset,), title=title, parent=parent.id)
    return Joined(store.request_run(request), len(rows), tuple(left_out))


def _check_memory(parent: Run) -> None:
    if parent.imported or not _grows(parent.scorer):
        names = ", ".join(info.id for info in catalog.scorers() if info.grows)
        raise InputError(
            f"The scorer of run '{parent.title}' ({parent.scorer}) keeps no memory that normals can join; score the "
            f"dataset with them anew. Those that keep one are {names}."
        )
    if parent.status != "done":
        raise InputError(f"Run '{parent.title}' is {parent.status}; normals can join a finished run.")


def _grows(scorer: str) -> bool:
    try:
        return catalog.scorer(scorer).grows
    except NotFoundError:
        return False


def _subset(parent: Run, wanted: str) -> str:
    if not wanted and len(parent.subsets) == 1:
        return parent.subsets[0]
    if wanted not in parent.subsets:
        names = ", ".join(parent.subsets)
        reason = f"has no subset '{wanted[:80]}'" if wanted else "has several subsets"
        raise InputError(f"Run '{parent.title}' {reason}: say which one the normals belong to, of {names}.")
    return wanted


def _new_rows(dataset: Dataset, subset: str, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of a folder's images that the subset has not yet, and a sentence for each of the others."""
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    table = dataset.select(subset=subset)
    there = dict(zip(table["content_hash"], table["split"], strict=True))
    for path in _files(folder):
        try:
            info, digest = inspect(path), content_hash(path)
        except (ImageError, OSError) as error:
            left_out.append(str(error))
            continue
        if digest in there:
            of = {"train": "a training normal", "new": "here twice"}.get(there[digest], f"in the {there[digest]} split")
            left_out.append(f"{path.name} is {of} already.")
            continue
        there[digest] = "new"
        rows.append(_row(subset, path, digest, info.width, info.height))
    return rows, left_out


def _files(folder: Path) -> list[Path]:
    """The image files of a folder and those below it, by name; links out of it are not followed."""
    root = folder.expanduser()
    if not root.is_dir():
        raise InputError(f"{folder} is no folder.")
    root = root.resolve()
    every = sorted(Path(place) / name for place, _, names in walked(root) for name in names)
    files = [p for p in every[:MOST_FILES] if p.suffix.lower() in SUFFIXES and p.is_file()]
    return [path for path in files if path.resolve().is_relative_to(root)]


def _row(subset: str, path: Path, digest: str, width: int, height: int) -> dict[str, Any]:
    name = f"train/{JOINED}/{digest[:8]}-{path.name}"
    return {
        "image_id": image_id(subset, name),
        "content_hash": digest,
        "path": str(path),
        "template_path": name,
        "split": "train",
        "subset": subset,
        "level": 0.0,
        "defect": None,
        "group": None,
        "mask_path": None,
        "mask_hash": None,
        "width": width,
        "height": height,
    }


def _with_normals(dataset: Dataset, rows: Sequence[dict[str, Any]]) -> Dataset:
    """A copy, a version of its own, with further training normals."""
    table: Any = dataset.table
    further = pd.DataFrame(list(rows), columns=list(table.columns)).astype(table.dtypes.to_dict())
    name = f"{dataset.name}, {len(rows)} normals more"[:190]
    return replace(dataset, name=name, table=pd.concat([table, further], ignore_index=True))


def changes(store: Store, run: Run) -> dict[str, Any]:
    """What further normals changed: scores of the same images before and after, and the metrics' difference.

    Returns
    -------
    dict
        ``run``, ``parent``; ``scores``: a dictionary an image with ``path``, ``level``, ``before``, ``after``;
        ``n`` that both scored, ``median_change`` and ``largest_change`` in raw units; ``differences``: after less
        before by metric, with a paired 95 % interval. JSON-able.

    Raises
    ------
    InputError
        If the run has no parent.
    NotFoundError
        If that was deleted.
    """
    if not run.parent:
        raise InputError(f"Run '{run.title}' has no parent: no normals joined it.")
    before, after = run_table(store, run.parent), run_table(store, run.id)
    former = dict(zip(before["image_id"], before["score"], strict=True))
    both: Any = after.assign(before=[former.get(i, float("nan")) for i in after["image_id"]])
    gap = (both["score"] - both["before"]).dropna()
    labelled = both[both["level"].notna()]
    columns = (labelled[name] for name in ("level", "score", "before", "subset", "group"))
    n, changed = differences(*columns)
    columns = zip(both["path"], both["level"], both["before"], both["score"], strict=True)
    return {
        "run": run.id,
        "parent": run.parent,
        "n": n,
        "median_change": _number(gap.median()) if len(gap) else None,
        "largest_change": _number(gap.loc[gap.abs().idxmax()]) if len(gap) else None,
        "differences": {name: {"value": value, "interval": interval} for name, (value, interval) in changed.items()},
        "scores": [
            {"path": path, "level": _number(level), "before": _number(old), "after": _number(new)}
            for path, level, old, new in columns
        ],
    }


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
