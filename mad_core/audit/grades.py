"""Ratings of the audit as grades to learn from: a version of the dataset in which the rated images are set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mad_core.audit.consensus import LABEL, NOT_GRADABLE, consensus_of
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import Imported
from mad_core.errors import InputError
from mad_core.runs.parts import part_run
from mad_core.runs.request import request_run, resolve_request
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers.catalog import GRADED

RATINGS = "ratings"
FEWEST, FEWEST_LEVELS = 4, 2
"""Grades, and levels among them, from which on severity can be learned."""


def rated_levels(store: Store, dataset_id: str, rule: str = "majority") -> dict[str, float]:
    """The level of each test image that reviewers agree on by this rule, by image id.

    Raises
    ------
    NotFoundError
    InputError
        If there is no such rule.
    """
    table = consensus_of(AuditStore(store), dataset_id, rule)
    tests = store.dataset(dataset_id).select(split="test")["image_id"]
    graded = table[~table["by"].isin((LABEL, NOT_GRADABLE)) & table["image_id"].isin(tests)]
    return dict(zip(graded["image_id"].tolist(), graded["audited"].tolist(), strict=True))


def compared_images(store: Store, dataset_id: str) -> list[tuple[str, str]]:
    """Standing answers to "which is worse?", the worse image first; answers that they are equal are left out."""
    events = [event for event in AuditStore(store).standing(dataset_id) if event.kind == "compare"]
    pairs = [(event.image_id, event.other, event.after) for event in events if event.after in (0.0, 1.0)]
    return [(first, other) if after == 1.0 else (other, first) for first, other, after in pairs if other]


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
    return store.add_dataset(Imported(dataset.with_grades(levels, compared_images(store, dataset_id))))


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


def learnable_subsets(store: Store, dataset_id: str, levels: Mapping[str, float]) -> tuple[str, ...]:
    """The subsets with new grades that have enough of them to learn from, with those that were set aside before."""
    dataset, of = store.dataset(dataset_id), dict[str, list[float]]()
    rows = dataset.select(split="test")
    for image_id, subset in zip(rows["image_id"], rows["subset"], strict=True):
        if image_id in levels:
            of.setdefault(subset, []).append(levels[image_id])
    for subset, own in of.items():
        own += dataset.select(split="calibration", subset=subset)["level"].tolist()
    return tuple(name for name, own in of.items() if len(own) >= FEWEST and len(set(own)) >= FEWEST_LEVELS)


def learn_from_ratings(store: Store, dataset_id: str, detector: str = "") -> Run:
    """Queue a run that learns from the ratings there are, and beside it the detector's on the same images.

    The detector is not run again: its fit is the same, and so are its scores.

    Parameters
    ----------
    detector : str
        Id of a finished run of a detector; the newest one if empty.

    Returns
    -------
    Run
        The learner's; its dataset is the version in which the rated images are set aside.

    Raises
    ------
    InputError
        If there are too few grades, or no detector has scored the images.
    """
    levels = rated_levels(store, dataset_id)
    subsets = learnable_subsets(store, dataset_id, levels)
    if not subsets:
        raise InputError(
            f"{len(levels)} images are graded; in one subset {FEWEST} grades of {FEWEST_LEVELS} levels are needed."
        )
    base = part_run(store, "detector", detector, store.dataset(dataset_id), subsets)
    # Before a version is kept: what cannot run here leaves none behind.
    asked = resolve_request(store, replace(base.asked, subsets=subsets))
    version = with_ratings(store, dataset_id)
    store.request_run(replace(asked, dataset_id=version))
    return request_run(store, RunRequest(version, GRADED, {"detector": base.id}, subsets, device=base.device))


def learned_runs(store: Store, dataset_id: str, subsets: Sequence[str] = ()) -> list[Run]:
    """Runs that learned from grades of a dataset or a version of it, the newest first."""
    source = store.dataset_info(dataset_id).source
    versions = {info.id for info in store.datasets() if info.source == source}
    runs = [run for run in store.runs() if run.scorer == GRADED and run.dataset_id in versions]
    return sorted((run for run in runs if set(subsets) <= set(run.subsets)), key=lambda run: -run.created)
