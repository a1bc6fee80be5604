"""What a scorer sees of the runs that it builds on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import Dataset
from mad_core.datasets.own_normals import FACT
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.same_fit import as_scored
from mad_core.runs.store import Run, Store, StoredScore
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Item, Scored

if TYPE_CHECKING:
    from mad_core.scorers.graph import Graph

_KINDS = {"detector": "a conventional detector", "mllm": "a multimodal model"}


class RunResults:
    """The stored scores and maps of one run; may be read from several threads.

    Parameters
    ----------
    store : Store
    run_id : str
    dataset : Dataset
        The dataset of the run that builds on it.

    Raises
    ------
    InputError
        If there is no such run, or it scored other images.
    """

    def __init__(self, store: Store, run_id: str, dataset: Dataset) -> None:
        try:
            self.run = store.run(run_id)
        except NotFoundError:
            raise InputError(f"There is no run '{run_id}' to build on; `python -m mad_core runs` lists them.") from None
        if self.run.dataset_version != dataset.version and not judges_the_same(store, self.run, dataset):
            raise InputError(
                f"Run '{self.run.title}' scored another dataset (or another version of it) than '{dataset.name}'; "
                "score this one with that scorer first."
            )
        self.store = store

    def score(self, image_id: str) -> float | None:
        stored = self.store.score(self.run.id, image_id)
        return stored.score if stored else None

    def map(self, image_id: str) -> np.ndarray | None:
        return self.store.read_map(self.run, image_id)


def judges_the_same(store: Store, run: Run, dataset: Dataset) -> bool:
    """Whether a run on another version of a dataset scores the images of this one as a run on this one would.

    So it is where the versions differ in levels, and in which images are set aside, alone, and the scorer sees neither.
    """
    if kind_of(run.scorer) is None:
        return False
    info = catalog.scorer(run.scorer)
    if info.uses_labels(info.check(run.parameters)):
        return False
    other = store.dataset(run.dataset_id)
    alike = all(_sight(dataset, name) == _sight(other, name) for name in dataset.subsets)
    return alike and _contents(dataset) <= _contents(other) and _normals(dataset) == _normals(other)


def _sight(dataset: Dataset, subset: str) -> tuple[Any, Any]:
    """How the pictures of a subset are seen: through which window, and what of them is left out."""
    card = dataset.card.subset(subset)
    return card.window, card.ignored


def _contents(dataset: Dataset) -> set[tuple[str, str]]:
    """Subset-wide ids of images, with their digests."""
    return set(zip(dataset.table["image_id"], dataset.table["content_hash"], strict=True))


def _normals(dataset: Dataset) -> set[tuple[str, str]]:
    """As :func:`_contents`, of what detectors learn from."""
    rows = pd.concat([dataset.normals(subset) for subset in dataset.subsets])
    chosen = {name: dataset.own_normals(name) for name in dataset.subsets}
    ways = {(name, own.way) for name, own in chosen.items() if own is not None}
    return ways | set(zip(rows["image_id"], rows["content_hash"], strict=True))


class StoredPart:
    """A finished run as a part of another scorer.

    Parameters
    ----------
    store : Store
    run : Run
    dataset : Dataset
        The dataset of the run that builds on it.
    score_more : callable(items) -> list of Scored
        Scores images that the run has not scored, by the run's own fit.
    score_unseen : callable(normals) -> list of Scored
        Scores training normals by fits that have not seen them.
    graph : callable(height, width) -> Graph
        Gives the run's scorer as a module.
    """

    def __init__(
        self,
        store: Store,
        run: Run,
        dataset: Dataset,
        score_more: Callable[[Sequence[Item]], list[Scored]],
        score_unseen: Callable[[Sequence[Item]], list[Scored]],
        graph: Callable[[int, int], Graph],
    ) -> None:
        self.results = RunResults(store, run.id, dataset)
        self.store, self.run = store, run
        self._score_more, self._score_unseen, self._graph = score_more, score_unseen, graph

    @property
    def run_id(self) -> str:
        return self.run.id

    @property
    def title(self) -> str:
        return self.run.title

    @property
    def digest(self) -> str:
        facts = [self.run.id, self.run.request, self.run.finished, dict(self.run.record)]
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()

    def learned(self, subset: str) -> frozenset[str]:
        """Ids of the images of which it has learned normal, where none is known to be; empty where some are."""
        facts = [entry.facts for entry in self.store.run_subsets(self.run.id) if entry.subset == subset]
        return frozenset(image_id for one in facts for image_id in one.get(FACT, {}).get("images", ()))

    def scored(self, items: Sequence[Item]) -> list[Scored]:
        stored = {item.image_id: self.store.score(self.run.id, item.image_id) for item in items}
        missing = [item for item in items if stored[item.image_id] is None]
        more = {one.image_id: one for one in (self._score_more(missing) if missing else ())}
        return [self._as_scored(stored[item.image_id]) or more[item.image_id] for item in items]

    def unseen(self, normals: Sequence[Item]) -> list[Scored]:
        return self._score_unseen(normals)

    def graph(self, height: int, width: int) -> Graph:
        return self._graph(height, width)

    def _as_scored(self, stored: StoredScore | None) -> Scored | None:
        return None if stored is None else as_scored(stored, self.results.map(stored.image_id))


def resolve_parts(
    store: Store, info: ScorerInfo, parameters: Mapping[str, Any], dataset: Dataset, subsets: Sequence[str] = ()
) -> dict[str, Any]:
    """Name what the parameters leave open, so that a request says all: runs that a scorer is made of, server, model.

    Raises
    ------
    InputError
        If there is no such run; the sentence says how to make one.
    UnavailableError
        If a server has to be asked and does not answer.
    """
    wanted = subsets or dataset.subsets
    parts = info.parts_of(parameters)
    named = {name: part_run(store, kind, parameters[name], dataset, wanted).id for name, kind in parts.items()}
    return {**info.look_up(info.settle(parameters)), **named}


def part_run(store: Store, kind: str, run_id: str, dataset: Dataset, subsets: Sequence[str]) -> Run:
    """The finished run of this kind that is meant: the one of this id, or the newest on the dataset.

    Parameters
    ----------
    kind : {"detector", "mllm"}
    run_id : str
        Empty for the newest.

    Raises
    ------
    InputError
    """
    if run_id:
        run = RunResults(store, run_id, dataset).run
        if kind_of(run.scorer) != kind:
            raise InputError(f"Run '{run.title}' is not of {_KINDS[kind]}; `python -m mad_core runs` lists them.")
        if run.status != "done":
            raise InputError(f"Run '{run.title}' is {run.status}; let it finish before another run builds on it.")
        if not set(subsets) <= set(run.subsets):
            raise InputError(f"Run '{run.title}' has not scored every subset wanted: it has {', '.join(run.subsets)}.")
        return run
    candidates = [
        run
        for run in store.runs()
        if run.status == "done"
        and run.dataset_version == dataset.version
        and kind_of(run.scorer) == kind
        and set(subsets) <= set(run.subsets)
    ]
    if not candidates:
        raise InputError(
            f"It builds on a finished run of {_KINDS[kind]} on '{dataset.name}', and there is none for "
            f"{', '.join(subsets)}: score the dataset with one first."
        )
    return max(candidates, key=lambda run: run.finished or 0.0)


def kind_of(scorer_id: str) -> str | None:
    """What a run of this scorer can be in another: ``"detector"``, ``"mllm"``, or None."""
    try:
        family = catalog.scorer(scorer_id).family
    except NotFoundError:  # a scorer that this version no longer has
        return None
    return {"multimodal LLM": "mllm", "hybrid": None, "learned severity": None}.get(family, "detector")
