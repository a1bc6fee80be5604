"""Suspicion of the labels of a stored dataset, from the scores, ratings and pictures that are there."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mad_core.audit.labels import AuditStore
from mad_core.audit.lookalikes import read_hashes
from mad_core.audit.queue import QueueOrder, ordered
from mad_core.audit.suspicion import suspicions
from mad_core.audit.useful import images_ahead
from mad_core.datasets.dataset import Dataset
from mad_core.errors import InputError
from mad_core.runs.results import run_table
from mad_core.runs.store import Store

HASHED = 5_000
"""Images of a dataset up to which near-duplicates are looked for; copies of a file are always found."""


def stored_suspicions(store: Store, dataset_id: str, dataset: Dataset, scores: Mapping[str, pd.Series]) -> pd.DataFrame:
    """As :func:`mad_core.audit.suspicion.suspicions`, with the ratings and the look-alikes of a stored dataset."""
    few = len(dataset.table) <= HASHED
    hashes = (
        read_hashes(dataset.table, store.settings.thumbnails / dataset_id, windows=dataset.windows) if few else None
    )
    return suspicions(dataset.table, scores, AuditStore(store).ratings(dataset_id), hashes)


def label_queue(
    store: Store, dataset_id: str, runs: Sequence[str] = (), *, order: QueueOrder = "suspicion", seed: int = 0
) -> pd.DataFrame:
    """The labels of a dataset in the order in which they are to be looked at.

    Parameters
    ----------
    runs : sequence of str
        Whose scores count; all finished runs on the dataset if empty.
    order : {"suspicion", "random", "level", "disagreement", "unreviewed", "learning", "worst", "sent"}
        As :func:`mad_core.audit.queue.ordered`.

    Returns
    -------
    DataFrame
        A row per image that is not for training: the columns of :func:`mad_core.audit.suspicion.suspicions`, after
        ``image_id`` also ``path``.

    Raises
    ------
    InputError
        If a run is on another dataset, or the order is unknown.
    NotFoundError
    """
    chosen = [store.run(run_id) for run_id in runs] or [run for run in store.runs(dataset_id) if run.done]
    for run in chosen:
        if run.dataset_id != dataset_id:
            raise InputError(f"Run '{run.title}' ({run.id}) is on another dataset.")
    dataset = store.dataset(dataset_id)
    tables: dict[str, Any] = {run.id: run_table(store, run.id).set_index("image_id") for run in chosen}
    scores = {run_id: rows["score"] for run_id, rows in tables.items()}
    table = stored_suspicions(store, dataset_id, dataset, scores)
    ratings = AuditStore(store).ratings(dataset_id)
    ahead = images_ahead(store, dataset_id, order, table)
    ids = ordered(table, order, reviewed=set(ratings["image_id"]), ahead=ahead, seed=seed)
    paths = dict(zip(dataset.table["image_id"], dataset.table["path"], strict=True))
    table.insert(1, "path", [paths[image_id] for image_id in table["image_id"]])
    return table.set_index("image_id").loc[ids].reset_index()
