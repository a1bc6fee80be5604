"""The catalogue of scorers: plain data, one declaration a scorer, found on the shelf :mod:`mad_core.scorers.cards`.

The implementation is named as ``"module:Class"`` and imported only by the process that does the
work; listing, checking and drawing forms needs no torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from mad_core.errors import InputError, NotFoundError
from mad_core.scorers import cards
from mad_core.scorers.contract import Parameter, Scorer, checked_values
from mad_core.source_digest import source_digest

FAMILIES = (
    "filter bank",
    "memory bank",
    "one-class",
    "distillation",
    "flow",
    "reconstruction",
    "feature density",
    "feature discrimination",
    "perturbation",
    "vision foundation",
    "multimodal LLM",
    "hybrid",
)


@dataclass(frozen=True)
class ScorerInfo:
    """One entry of the catalogue.

    Parameters
    ----------
    id, title, family : str
    entry : str
        ``"module:Class"`` of the :class:`~mad_core.scorers.contract.Scorer`.
    paper : str
        Name, year and address of the source.
    summary : str
        Two sentences for someone who has never heard of it.
    needs : str
        What it needs to run, in words: weights, memory, device.
    cost : str
        Rough time and memory, in words.
    needs_fit, needs_weights : bool
    supervision : {"normals", "labels", "none"}
        What it learns from: training normals only, labelled images too, or nothing of the dataset.
    parameters : tuple of Parameter
    why_not : callable(parameters) -> str or None
        A sentence that says what is missing on this machine and how to get it; None if it can run.
    shows_labels : callable(parameters) -> bool
        Whether it is shown labelled calibration images with these parameters.
    builds_on : callable(parameters) -> str or None
        Id of the run whose results it reads with these parameters.
    settle : callable(parameters) -> dict
        Gives parameters that were left open the value that is best on this machine, so that a request says all.
    look_up : callable(parameters) -> dict
        The same for what only a server can say; asked once, when a run is requested.
    parts : mapping of str to {"detector", "mllm"}
        Parameters that name runs it is made of, and of which kind each is; empty ones mean the newest.
    scatters : bool
        Whether a cluster may share its images; not where the work lies with a server.
    """

    id: str
    title: str
    family: str = "other"
    entry: str = ""
    paper: str = ""
    summary: str = ""
    needs: str = ""
    cost: str = ""
    needs_fit: bool = True
    needs_weights: bool = False
    supervision: str = "normals"
    parameters: tuple[Parameter, ...] = ()
    why_not: Callable[[Mapping[str, Any]], str | None] = lambda parameters: None
    shows_labels: Callable[[Mapping[str, Any]], bool] = lambda parameters: False
    builds_on: Callable[[Mapping[str, Any]], str | None] = lambda parameters: None
    settle: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    look_up: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    parts: Mapping[str, str] = field(default_factory=dict)
    scatters: bool = True

    def uses_labels(self, parameters: Mapping[str, Any]) -> bool:
        """Whether calibration images with their levels are handed to it."""
        return self.supervision == "labels" or self.shows_labels(parameters)

    def defaults(self) -> dict[str, Any]:
        return {p.name: p.default for p in self.parameters}

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, the given ones checked and the others at their defaults.

        Raises
        ------
        InputError
            If a name is unknown or a value does not fit its declaration.
        """
        return self.settle(checked_values(self.parameters, given, f"Scorer '{self.id}'"))

    @property
    def code(self) -> str:
        """Digest of the source that makes its scores: its module, and what that imports."""
        return source_digest(self.entry.partition(":")[0])

    def create(self, parameters: Mapping[str, Any]) -> Scorer:
        """Import the implementation and build it. Only a worker does this."""
        module, _, name = self.entry.partition(":")
        return getattr(importlib.import_module(module), name)(**self.check(parameters))

    def to_json(self) -> dict[str, Any]:
        """The entry in the form of ``scorers --json``."""
        why_not = self.why_not(self.defaults())
        return {
            "id": self.id,
            "family": self.family,
            "title": self.title,
            "paper": self.paper,
            "summary": self.summary,
            "needs": self.needs,
            "cost": self.cost,
            "needs_fit": self.needs_fit,
            "needs_weights": self.needs_weights,
            "supervision": self.supervision,
            "available": why_not is None,
            "why_not": why_not,
            "parameters": [p.to_json() for p in self.parameters],
        }


_CATALOG: dict[str, ScorerInfo] = {}


def register(info: ScorerInfo) -> ScorerInfo:
    """Add a scorer to the catalogue.

    Raises
    ------
    InputError
        If the id is taken.
    """
    if _CATALOG.setdefault(info.id, info) is not info:
        raise InputError(f"Two scorers are called '{info.id}'; give one of them another id.")
    return info


def scorers() -> list[ScorerInfo]:
    """Every scorer: by family, those that ship first, then by title."""
    _load()
    order = {family: place for place, family in enumerate(FAMILIES)}
    return sorted(_CATALOG.values(), key=lambda i: (order.get(i.family, len(order)), i.family, i.title.lower()))


def scorer(scorer_id: str) -> ScorerInfo:
    """One scorer by its id.

    Raises
    ------
    NotFoundError
    """
    _load()
    try:
        return _CATALOG[scorer_id]
    except KeyError:
        raise NotFoundError(f"No scorer is called '{scorer_id}'; known are {', '.join(_CATALOG)}.") from None


@cache
def _load() -> None:
    """Read the cards that ship, which import no torch."""
    for file in sorted(pkgutil.iter_modules(cards.__path__), key=lambda found: found.name):
        register(importlib.import_module(f"{cards.__name__}.{file.name}").CARD)
