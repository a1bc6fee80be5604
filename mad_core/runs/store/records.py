"""What the store holds: datasets, runs and scores as frozen records."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mad_core.datasets.dataset import Card, Problem
from mad_core.map_files import MapRef
from mad_core.runs.jobs import RunJob

ACTIVE = ("queued", "running")
EXTERNAL = "external"
"""The scorer of runs whose scores were made elsewhere and imported; no entry of the catalogue."""
FAILED_SUBSETS = "failed_subsets"
"""Where a run's record keeps the subsets that failed, with a sentence each."""


PARENT = "parent"
"""Entry of a run's record: the run whose fit its further normals joined."""
SAMPLING = "sampling"
"""Where a run's record says how a limit chose its images."""
PROPORTIONAL, EVEN = "proportional", "even"


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset in the store, without its images."""

    id: str
    name: str
    source: str
    version: str
    card: Card
    problems: tuple[Problem, ...]
    images: int
    created: float


@dataclass(frozen=True)
class RunRequest:
    """What a person asks for: one scorer with one parameter set on subsets of one dataset.

    Parameters
    ----------
    dataset_id, scorer : str
    parameters : mapping
        Checked against the catalogue, every parameter present.
    subsets : tuple of str
        Empty = all.
    limit : int or None
        Test images a subset, levels in their shares, drawn by ``seed``; None = all.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda:n"``.
    map_policy : {"all", "none", "on demand"}
    map_side : int
        Longest side of stored maps, pixels.
    parent : str
        The run whose fit further normals join; empty for a fit of its own.
    """

    dataset_id: str
    scorer: str
    parameters: Mapping[str, Any]
    subsets: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    map_policy: str = "all"
    map_side: int = 256
    title: str = ""
    parent: str = ""

    def digest(self, dataset_version: str) -> str:
        """The same for the same request; the title does not enter."""
        left_out = ("title",) if self.parent else ("title", "parent")
        facts = {k: v for k, v in asdict(self).items() if k not in left_out} | {"version": dataset_version}
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Run:
    """A run as the store has it."""

    id: str
    dataset_id: str
    dataset_version: str
    title: str
    scorer: str
    parameters: Mapping[str, Any]
    subsets: tuple[str, ...]
    image_limit: int | None
    seed: int
    device: str
    map_policy: str
    map_side: int
    request: str
    status: str
    done: int
    total: int
    error: str | None
    created: float
    started: float | None
    finished: float | None
    record: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    """What people note of it."""

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def imported(self) -> bool:
        """Whether its scores were made elsewhere; such a run cannot be resumed or score further images."""
        return self.scorer == EXTERNAL

    @property
    def asked(self) -> RunRequest:
        """What a person asked for."""
        of = (self.dataset_id, self.scorer, self.parameters, self.subsets, self.image_limit, self.seed, self.device)
        return RunRequest(*of, self.map_policy, self.map_side, self.title)

    @property
    def job_key(self) -> str:
        return RunJob(self.id).key

    @property
    def parent(self) -> str:
        """The run whose fit this one's normals joined; empty where it has a fit of its own."""
        return str(self.record.get(PARENT, ""))

    @property
    def sampling(self) -> str:
        """How a limit chose its images; runs of a version before took as many of each level and recorded nothing."""
        return str(self.record.get(SAMPLING, EVEN))


@dataclass(frozen=True)
class RunSubset:
    """What a run did on one subset: fit digest, seconds, facts of the fitted scorer."""

    subset: str
    fit: str | None
    seconds_fit: float
    seconds_score: float
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class StoredScore:
    """One image's result in full, as the image page shows it."""

    image_id: str
    subset: str
    score: float | None
    status: str
    reason: str | None
    distribution: np.ndarray | None
    detail: Mapping[str, Any]
    seconds: float
    map: MapRef | None
