"""Ratings of the audit as grades to learn from: a version of the dataset in which the rated images are set aside."""

from __future__ import annotations

from dataclasses import replace

from mad_core.audit.consensus import LABEL, NOT_GRADABLE, consensus_of
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import Imported
from mad_core.errors import InputError
from mad_core.runs.store import RunRequest, Store

RATINGS = "ratings"


def rated_levels(store: Store, dataset_id: str, rule: str = "majority") -> dict[str, float]:
    """The level of each test image that reviewers agree on by this rule, by image id.

    Raises
    ------
    NotFoundError
    InputError
        If there is no such rule.
    """
    table = consensus_of(AuditStore(store), dataset_id, rule)
    graded = table[~table["by"].isin((LABEL, NOT_GRADABLE))]
    return dict(zip(graded["image_id"].tolist(), graded["audited"].tolist(), strict=True))


def with_ratings(store: Store, dataset_id: str, rule: str = "majority") -> str:
    """Id of the version of a dataset in which rated images are graded, and outside every metric.

    Raises
    ------
    NotFoundError
    InputError
        If nobody has rated an image of it, or there is no such rule.
    """
    dataset = store.dataset(dataset_id)
    levels = rated_levels(store, dataset_id, rule)
    if not levels:
        raise InputError(
            f"Nobody has rated an image of dataset '{dataset.name}' yet; grade some on the Audit page, or set labelled "
            "images aside with --calibrate 5."
        )
    return store.add_dataset(Imported(dataset.with_grades(levels)))


def with_grades_asked(store: Store, request: RunRequest) -> RunRequest:
    """The request on the version of its dataset whose grades it asks for: as it is, unless it names the ratings.

    Raises
    ------
    InputError
        If it asks for ratings and there are none.
    """
    if request.parameters.get("grades") != RATINGS:
        return request
    return replace(request, dataset_id=with_ratings(store, request.dataset_id))
