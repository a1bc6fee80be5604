"""Which images come first in a queue of grading: those that teach most, or those that somebody sent."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mad_core.audit.grades import learned_runs
from mad_core.audit.labels import AuditStore
from mad_core.audit.queue import QueueOrder
from mad_core.errors import MadError
from mad_core.runs.learned import LearnedImages, learned_images
from mad_core.runs.store import Store
from mad_core.runs.store.tags import AUDIT

BATCH = 40
"""Images of a subset that are chosen by what their grades would teach."""


def images_ahead(store: Store, dataset_id: str, order: QueueOrder, table: pd.DataFrame) -> list[str]:
    """Ids that come first in an order of the queue; none where the order asks for none.

    Parameters
    ----------
    table : DataFrame
        From :func:`mad_core.audit.suspicion.suspicions`: ``image_id``, ``subset``, ``rank``.
    """
    if order == "sent":
        return [image_id for image_id, tags in store.tags.of(dataset_id).items() if AUDIT in tags]
    if order != "learning":
        return []
    ratings: Any = AuditStore(store).ratings(dataset_id).dropna(subset=["level"])
    grades = {str(image_id): float(np.median(rows)) for image_id, rows in ratings.groupby("image_id")["level"]}
    return [
        image_id
        for subset, rows in table.groupby("subset")
        for image_id in _of_subset(store, dataset_id, str(subset), rows, grades)
    ]


def _of_subset(
    store: Store, dataset_id: str, subset: str, rows: pd.DataFrame, grades: Mapping[str, float]
) -> list[str]:
    """By the newest learner that knows images of this subset, else spread over the scores."""
    wanted = set(rows["image_id"])
    for learner in _learners(store, dataset_id, subset):
        if wanted & set(learner.image_ids):
            there = {name: level for name, level in grades.items() if name in set(learner.image_ids)}
            chosen = learner.next(BATCH, {**learner.grades, **there})
            return [image_id for image_id in chosen if image_id in wanted]
    left: Any = rows[rows["rank"].notna() & ~rows["image_id"].isin(list(grades))]
    ordered = left.sort_values("rank", ascending=False)["image_id"]
    return [ordered.iloc[place] for place in spread(len(ordered))][:BATCH]


def _learners(store: Store, dataset_id: str, subset: str) -> Iterator[LearnedImages]:
    """What runs that learn from grades know, the newest first; those on versions of the dataset count, too."""
    for run in learned_runs(store, dataset_id, [subset]):
        if run.status == "done":
            try:
                yield learned_images(store, run, subset)
            except MadError:  # what it knew is no longer kept
                continue


def spread(count: int) -> list[int]:
    """Places 0 to ``count`` - 1 in an order whose beginnings lie evenly over all of them, ends first.

    >>> spread(9)
    [0, 8, 4, 2, 6, 1, 3, 5, 7]
    """
    if count < 2:
        return list(range(count))
    order, step = [0, count - 1], (count - 1) / 2
    while step >= 0.5:
        order += [round(place) for place in np.arange(step, count - 1, 2 * step)]
        step /= 2
    return list(dict.fromkeys(order)) + sorted(set(range(count)) - set(order))
