"""Scores that a run on another version of a dataset has given by the very same fit: nothing is scored twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mad_core.runs.store import Run, RunSubset, Store, StoredScore
from mad_core.scorers.contract import Item, Scored

FACT = "same_fit"
"""Under this name facts of a run's subset say of which runs it has scores: how many images, by run."""


@dataclass(frozen=True)
class Reused:
    """A score as it stands in another run."""

    run: str
    scored: Scored


def reused(store: Store, run: Run, entry: RunSubset, items: Sequence[Item]) -> Iterator[Reused]:
    """What runs on other versions, with the same fit, have given to the same bytes; failures excepted.

    Parameters
    ----------
    entry : RunSubset
        Of ``run``, with the digest of its fit; a scorer without one reuses nothing.
    items : sequence of Item
        Images that the run has not scored.
    """
    left = {(item.image_id, item.content_hash) for item in items if item.content_hash}
    for other in store.runs() if entry.fit else ():
        if not left:
            return
        if other.dataset_id == run.dataset_id or not _alike(store, other, run, entry):
            continue
        rows = store.dataset(other.dataset_id).select(subset=entry.subset)
        for there in zip(rows["image_id"], rows["content_hash"], strict=True):
            stored = store.score(other.id, there[0]) if there in left else None
            if stored is not None and stored.score is not None:
                left.discard(there)
                anomaly_map = store.read_map(other, stored.image_id) if run.map_policy == "all" else None
                yield Reused(other.id, as_scored(stored, anomaly_map))


def as_scored(stored: StoredScore, anomaly_map: np.ndarray | None) -> Scored:
    """A stored result as a scorer gives it."""
    return Scored(
        stored.image_id,
        stored.score,
        map=anomaly_map,
        reason=stored.reason,
        distribution=stored.distribution,
        seconds=stored.seconds,
        status=stored.status,
        detail=stored.detail,
    )


def _alike(store: Store, other: Run, run: Run, entry: RunSubset) -> bool:
    asked = (other.scorer, other.seed, other.map_policy, other.map_side)
    if asked != (run.scorer, run.seed, run.map_policy, run.map_side):
        return False
    return any(there.subset == entry.subset and there.fit == entry.fit for there in store.run_subsets(other.id))
