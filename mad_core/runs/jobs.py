"""Kinds of jobs: what each is told, what does it, and what people read of it. A new kind is a class here."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mad_core.datasets import solar_cells
from mad_core.errors import InputError, MadError

if TYPE_CHECKING:  # the store queues runs, so it stands above this
    from mad_core.runs.queue import Job, Queue
    from mad_core.runs.store import Store


@dataclass(frozen=True)
class JobPayload:
    """What a job of one kind is told; in the queue it is a JSON object.

    ``kind`` is its name in the queue, ``title`` what people call it, ``handler`` the ``"module:function"`` that does
    it, ``(Control) -> result``. A ``quick`` job is served between the batches of a long one.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    handler: ClassVar[str]
    quick: ClassVar[bool] = False

    @property
    def key(self) -> str:
        """At most one job of a key is active; empty for any number."""
        return ""

    def about(self, store: Store) -> str:
        """What it is about, as people name it.

        Raises
        ------
        NotFoundError
            If that is no longer in the store.
        """
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """All fields by name, in plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`; what has a default may be left out.

        Raises
        ------
        InputError
            If there is a key that this kind does not have, or one is missing.
        """
        names = [one.name for one in fields(cls)]
        unknown = [key for key in data if key not in names]
        if unknown:
            raise InputError(
                f"A job of the kind '{cls.kind}' knows no '{unknown[0]}'; it has {', '.join(names)}. A newer version "
                "may have queued it."
            )
        needed = [f for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
        missing = [f.name for f in needed if f.name not in data]
        if missing:
            raise InputError(f"A job of the kind '{cls.kind}' needs '{missing[0]}', which is missing.")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})


@dataclass(frozen=True)
class RunJob(JobPayload):
    """Score the images of a run that have no score yet."""

    kind = "run"
    title = "Run"
    handler = "mad_core.runs.execute:execute_run"
    run: str

    @property
    def key(self) -> str:
        return f"run:{self.run}"

    def about(self, store: Store) -> str:
        return _run_on_dataset(store, self.run)


@dataclass(frozen=True)
class SingleJob(JobPayload):
    """Score one uploaded image by a run's fit on a subset.

    ``path`` is a file in the folder of uploads, ``map`` where its anomaly map is to be written, ``name`` what the
    image is called where it came from.
    """

    kind = "single"
    title = "One image"
    handler = "mad_core.runs.execute:score_one"
    quick = True
    run: str
    subset: str
    path: str
    map: str
    name: str = "the uploaded image"

    @property
    def key(self) -> str:
        return f"single:{self.run}:{self.subset}:{Path(self.path).name}"

    def about(self, store: Store) -> str:
        return f"{self.name or 'the uploaded image'}, {store.run(self.run).title}, {self.subset}"


@dataclass(frozen=True)
class ProbeJob(JobPayload):
    """Try a scorer on two images of a dataset, to say how long a run will take."""

    kind = "probe"
    title = "Two images tried"
    handler = "mad_core.runs.probe:probe"
    dataset: str
    scorer: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    subset: str = ""
    seed: int = 0

    @property
    def key(self) -> str:
        facts = json.dumps([self.dataset, self.scorer, dict(self.parameters), self.subset], sort_keys=True)
        return f"probe:{hashlib.blake2b(facts.encode(), digest_size=12).hexdigest()}"

    def about(self, store: Store) -> str:
        return f"{self.scorer} on {store.dataset_info(self.dataset).name}"


@dataclass(frozen=True)
class MapJob(JobPayload):
    """Make one image's anomaly map for a run that keeps none."""

    kind = "map"
    title = "Anomaly map"
    handler = "mad_core.runs.execute:make_map"
    quick = True
    run: str
    image: str

    @property
    def key(self) -> str:
        return f"map:{self.run}:{self.image}"

    def about(self, store: Store) -> str:
        run = store.run(self.run)
        return f"{store.image(run.dataset_id, self.image)['template_path']}, {run.title}"


@dataclass(frozen=True)
class ReasonJob(JobPayload):
    """Have the model of a run say why one image is scored as it is."""

    kind = "reason"
    title = "Reason"
    handler = "mad_core.runs.execute:write_reason"
    quick = True
    run: str
    image: str

    @property
    def key(self) -> str:
        return f"reason:{self.run}:{self.image}"

    def about(self, store: Store) -> str:
        return MapJob(self.run, self.image).about(store)


@dataclass(frozen=True)
class ImportJob(JobPayload):
    """Import a dataset: ``source`` is a path or the word ``demo``, ``then`` are scorers to run on it by default.

    ``guarded``: source and policy, links resolved, must be what pages may open when the work begins, too. ``plan`` is
    the YAML text of a plan; with ``look`` nothing is stored, and the result holds the plan to be shown.
    ``windows``, ``ignore``, ``pages``, ``unlabelled`` and ``normals_from`` as
    :func:`~mad_core.datasets.importing.import_dataset` takes them. With ``to``, the id of a dataset, the images are
    taken into that one.
    """

    kind = "import"
    quick = True
    title = "Import"
    handler = "mad_core.runs.import_job:import_job"
    source: str
    name: str | None = None
    policy: str | None = None
    windows: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    pages: str = ""
    then: tuple[str, ...] = ()
    guarded: bool = False
    plan: str | None = None
    look: bool = False
    unlabelled: bool = False
    normals_from: str = ""
    to: str = ""
    subset: str = ""

    @property
    def key(self) -> str:
        return f"import:{self.source}"

    def about(self, store: Store) -> str:
        titles = {"demo": "the demo dataset", solar_cells.SOURCE: solar_cells.TITLE}
        return titles.get(self.source) or self.name or self.source


@dataclass(frozen=True)
class FetchJob(JobPayload):
    """Download a benchmark into the folder ``to``; ``only`` names datasets and subsets, ``then`` may be ``import``.

    ``guarded`` as of an :class:`ImportJob`.
    """

    kind = "fetch"
    title = "Download"
    handler = "mad_core.runs.fetch_job:fetch_job"
    only: str
    to: str
    benchmark: str = "madbench"
    then: str = ""
    guarded: bool = False

    @property
    def key(self) -> str:
        return f"fetch:{self.to}"

    def about(self, store: Store) -> str:
        return f"{self.only or 'all of the benchmark'} into {self.to}"


@dataclass(frozen=True)
class StudyJob(JobPayload):
    """Do a study that stands in the store."""

    kind = "study"
    title = "Study"
    handler = "mad_core.studies.execute:study_job"
    study: str

    @property
    def key(self) -> str:
        return f"study:{self.study}"

    def about(self, store: Store) -> str:
        return ", ".join(
            f"{row['study']} on {store.dataset_info(row['dataset_id']).name}"
            for row in store.studies.rows(id=self.study)
        )


@dataclass(frozen=True)
class FeaturesJob(JobPayload):
    """Look at every picture of a dataset as a whole: which are alike, and the map of them all."""

    kind = "features"
    title = "Picture features"
    handler = "mad_core.runs.picture_features:picture_features"
    dataset: str

    @property
    def key(self) -> str:
        return f"features:{self.dataset}"

    def about(self, store: Store) -> str:
        return store.dataset_info(self.dataset).name


@dataclass(frozen=True)
class ReportRequest(JobPayload):
    """Write a report.

    Parameters
    ----------
    runs : tuple of str
        Ids, of one dataset or several.
    subset : str or None
        One subset alone; None for all.
    rule : {"majority", "median", "adjudicator"} or None
        Audited labels by this rule; None for the original ones.
    draws, seed : int
        Bootstrap draws for the 95 % intervals and their seed.
    """

    kind = "report"
    title = "Report"
    handler = "mad_core.report.job:report_job"
    quick = True
    runs: tuple[str, ...]
    subset: str | None = None
    rule: str | None = None
    draws: int = 1000
    seed: int = 0

    def about(self, store: Store) -> str:
        return ", ".join(_run_on_dataset(store, run) for run in self.runs)


KINDS: dict[str, type[JobPayload]] = {
    payload.kind: payload
    for payload in (
        *(RunJob, SingleJob, ProbeJob, MapJob, ReasonJob, ImportJob, FetchJob, StudyJob, FeaturesJob),
        ReportRequest,
    )
}


def submit(queue: Queue, payload: JobPayload, *, key: str = "", device: str = "auto") -> int:
    """Queue a job and return its id; an active job of the same key is returned instead of a second one."""
    return queue.submit(payload.kind, payload.to_json(), key=key or payload.key, device=device, quick=payload.quick)


def payload_of(job: Job) -> JobPayload:
    """What a job is told, in the class of its kind.

    Raises
    ------
    InputError
        If this version knows no such kind, or the payload does not fit it.
    """
    if job.kind not in KINDS:
        raise InputError(f"This version does no jobs of the kind '{job.kind}'; a newer one may have queued it.")
    return KINDS[job.kind].from_json(job.payload)


def handler_of(job: Job) -> Callable[[Any], dict[str, Any]]:
    """The function that does a job: ``(Control) -> result``.

    Raises
    ------
    InputError
        As :func:`payload_of`.
    """
    module, _, name = payload_of(job).handler.partition(":")
    return getattr(importlib.import_module(module), name)


def title_of(job: Job) -> str:
    """What people call a job of its kind."""
    if job.kind == "import" and job.payload.get("source") == "demo":
        return "Demo dataset"
    return KINDS[job.kind].title if job.kind in KINDS else job.kind


def about(store: Store, job: Job) -> str:
    """What a job is about, such as the scorer and the dataset; empty where that is no longer known."""
    try:
        return payload_of(job).about(store)
    except MadError:
        return ""


def _run_on_dataset(store: Store, run_id: str) -> str:
    run = store.run(run_id)
    return f"{run.title} on {store.dataset_info(run.dataset_id).name}"
