"""More images for a dataset of the store: its next version, on which its runs score what is new."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mad_core.datasets.dataset import Addition, Imported
from mad_core.datasets.growing import grown
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.store import Run, Store
from mad_core.scorers import catalog


@dataclass(frozen=True)
class Added:
    """What came of adding images.

    Parameters
    ----------
    dataset, version : str
        Its id, which stays, and its version now.
    images, added, there : int
        Images of the dataset now, those that are new, and those whose content it held already.
    runs : tuple of str
        Ids of the runs that go on with the new ones.
    notes : tuple of str
    """

    dataset: str
    version: str
    images: int
    added: int
    there: int
    runs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def dataset_named(store: Store, name: str) -> str:
    """The id of a stored dataset, by its id or its name.

    Raises
    ------
    NotFoundError
    """
    for info in store.datasets():
        if name in (info.id, info.name):
            return info.id
    raise NotFoundError(f"No dataset has the id or the name '{name[:80]}'; `python -m mad_core datasets` lists them.")


def add_images(
    store: Store, dataset_id: str, imported: Imported, *, subset: str = "", runs: Sequence[str] | None = None
) -> Added:
    """Take further images into a dataset and queue its runs for those that are new.

    Parameters
    ----------
    subset : str
        To which the images belong, where their own name does not say it.
    runs : sequence of str or None
        Which go on; by default all that are finished.

    Raises
    ------
    NotFoundError
    InputError
        If there is nothing usable, it is not clear where it belongs, or a run cannot go on.
    """
    if imported.dataset.table.empty:
        first = imported.problems[0].message if imported.problems else "No image was found."
        raise InputError(f"Nothing usable is in {imported.dataset.source}: {first}")
    old = store.dataset(dataset_id)
    result = grown(old, imported.dataset, subset)
    if not result.added:
        return Added(dataset_id, old.version, len(old.table), 0, result.there)
    source, table = imported.dataset.source, result.dataset.table
    version, path = result.dataset.version, str(table["path"].iloc[len(old.table)])
    addition = Addition(source, path, result.added, old.version, version, time.time())
    card = replace(result.dataset.card, additions=(*old.card.additions, addition))
    store.grow_dataset(dataset_id, old.version, replace(result.dataset, card=card))
    going = tuple(run.id for run in _going_on(store, dataset_id, version, runs))
    for run_id in going:
        store.resume_run(run_id)
    notes = [f"{result.from_training:,} training normals among them are tested; fits stay what they were."]
    return Added(
        dataset_id, version, len(table), result.added, result.there, going, tuple(notes if result.from_training else ())
    )


def _going_on(store: Store, dataset_id: str, version: str, wanted: Sequence[str] | None) -> list[Run]:
    """The runs that score what is new."""
    there = {run.id: run for run in store.runs(dataset_id)}
    unknown = [run_id for run_id in wanted or () if run_id not in there]
    if unknown:
        raise InputError(f"Run '{unknown[0][:40]}' is not on dataset '{store.dataset_info(dataset_id).name}'.")
    chosen = [run for run in there.values() if run.status == "done"] if wanted is None else [there[i] for i in wanted]
    return [run for run in chosen if run.dataset_version == version and run.done < run.total and _can(run)]


def _can(run: Run) -> bool:
    """Whether a worker can go on with the run."""
    try:
        return catalog.scorer(run.scorer) is not None and not catalog.is_local(run.scorer)
    except NotFoundError:  # a scorer that this version no longer has
        return False
