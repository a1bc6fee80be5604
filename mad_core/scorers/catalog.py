"""The catalogue of scorers: plain data, one declaration a scorer, found on the shelf :mod:`mad_core.scorers.cards`.

The implementation is named as ``"module:Class"`` and imported only by the process that does the
work; listing, checking and drawing forms needs no torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from mad_core import extras
from mad_core.errors import InputError, NotFoundError, UnavailableError
from mad_core.scorers import cards
from mad_core.scorers.contract import Parameter, Scorer, checked_values
from mad_core.scorers.object_digest import OMITTED, code_digest
from mad_core.scorers.parameters import TILES, checked_tiles
from mad_core.source_digest import source_digest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from mad_core.scorers.plugins import Plugin

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
    "learned severity",
)
"""Families of scorers that ship, in the order in which they are listed; others follow."""
DEFAULT = "subspace"
"""The scorer where none is named, and the first in lists: chosen on real pictures, see docs/scorers.md."""
GRADED = "graded"
"""The scorer that learns from grades."""


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
    may_have : mapping of str to {"detector", "mllm"}
        The same of parts that it does without where the parameter is empty.
    pixels : {"uint8", "float"}
        How a function gets images: as uint8, or with the full depth of the files as float32 in 0-1.
    starts_with : mapping of str to str
        The scorer that is run first, with its defaults, where such a parameter is empty and it has no run.
    scatters : bool
        Whether a cluster may share its images; not where the work lies with a server.
    grows : bool
        Whether further normals can join a fit of it (:meth:`~mad_core.scorers.contract.Scorer.add_normals`).
    exports : bool
        Whether a fit of it can be written to a file that other programs run (:meth:`Scorer.graph`).
    made : object
        The class or function itself, where it was declared in this process; else ``entry`` is imported.
    package : str
        Name and version of the installed package it is from; empty for those that ship.
    local : str
        Digest of what only this process knows (a notebook's function), as it was declared; empty for all others.
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
    may_have: Mapping[str, str] = field(default_factory=dict)
    pixels: str = "uint8"
    starts_with: Mapping[str, str] = field(default_factory=dict)
    scatters: bool = True
    grows: bool = False
    exports: bool = False
    made: Any = field(default=None, repr=False, compare=False)
    package: str = ""
    local: str = ""

    def uses_labels(self, parameters: Mapping[str, Any]) -> bool:
        """Whether calibration images with their levels are handed to it."""
        return self.supervision == "labels" or self.shows_labels(parameters)

    def parts_of(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """The parameters that name runs it is made of with these values, and of which kind each is."""
        return {**self.parts, **{name: kind for name, kind in self.may_have.items() if parameters.get(name)}}

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
        """Digest of what makes its scores: its module's source and what that imports, or the function itself."""
        if self.local:
            return f"{self.local}-{code_digest(self.made)}"
        tiled = ("mad_core.scorers.tiled",) if self.tiles else ()
        return source_digest(self.entry.partition(":")[0], *tiled)

    @property
    def tiles(self) -> bool:
        """Whether it looks at large pictures piece by piece, by a parameter of :func:`parameters.tiles`."""
        return any(parameter.check_text is checked_tiles for parameter in self.parameters)

    def check_available(self, parameters: Mapping[str, Any]) -> None:
        """See that it can run on this machine with these parameters.

        Raises
        ------
        UnavailableError
            If it cannot; the sentence says what it needs.
        """
        missing = self.why_not(parameters)
        if missing:
            raise UnavailableError(missing)

    def create(self, parameters: Mapping[str, Any]) -> Scorer:
        """Import the implementation and build it. Only a worker does this."""
        checked = self.check(parameters)
        if self.local:
            checked.pop("code")
        made = self.entry if self.made is None else self.made
        if not self.tiles:
            return build(made, checked, self.pixels)
        from mad_core.scorers.tiled import TiledScorer  # with torch, which only a worker imports

        return TiledScorer(build(made, {k: v for k, v in checked.items() if k != TILES}), checked)

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
            "exports": self.exports,
            "package": self.package,
            "available": why_not is None,
            "why_not": why_not,
            "parameters": [p.to_json() for p in self.parameters],
        }


def build(made: Any, parameters: Mapping[str, Any], pixels: str = "") -> Scorer:
    """A scorer with its parameters, from a class or a function, or from ``"module:name"`` of one.

    Raises
    ------
    UnavailableError
        If it was declared in another process and cannot be imported here.
    """
    if isinstance(made, str):
        made = _imported(made)
    if isinstance(made, type):
        return made(**parameters)
    from mad_core.scorers.function_scorer import FunctionScorer  # with torch, which only a worker imports

    declared = getattr(made, OMITTED, None)
    return FunctionScorer(made, parameters, pixels or getattr(declared, "pixels", "uint8"))


def _imported(entry: str) -> Any:
    module, _, name = entry.partition(":")
    if module in ("", "__main__") or "<locals>" in name:
        raise UnavailableError(f"The scorer {name or entry} {_ELSEWHERE}")
    return getattr(importlib.import_module(module), name)


_ELSEWHERE = (
    "was declared in a notebook or script, and only that process knows it: score with it there, or make it known "
    "everywhere by an installed package (docs/adding-a-scorer.md)."
)
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


def register_here(info: ScorerInfo) -> None:
    """Add a scorer that only this process knows; one declared here before under the same id is replaced.

    Raises
    ------
    InputError
        If the id is that of a scorer that ships or is installed.
    """
    _load_cards()
    registered = _CATALOG.get(info.id)
    if registered is not None and not registered.local and registered.made is not info.made:
        raise InputError(f"There is a scorer '{info.id}' already ({registered.title}); choose another id.")
    if registered is None or registered.local:
        _CATALOG[info.id] = info


def register_unless_known(info: ScorerInfo) -> None:
    """Add a declaration that names its implementation, unless just that was added before."""
    _load()
    if _CATALOG.get(info.id) != info:
        register(info)


def scorers() -> list[ScorerInfo]:
    """Every scorer: the default, then by family, those that ship first, then by title."""
    _load()
    order = {family: place for place, family in enumerate(FAMILIES)}

    def place(info: ScorerInfo) -> tuple[bool, int, str, str]:
        return info.id != DEFAULT, order.get(info.family, len(order)), info.family, info.title.lower()

    return sorted(_CATALOG.values(), key=place)


def default_with(names: Iterable[str]) -> ScorerInfo:
    """The default scorer; where it lacks a parameter of these names, the first one that is ready here and has them."""
    wanted, usual = set(names), scorer(DEFAULT)
    fit = [info for info in (usual, *scorers()) if wanted <= info.defaults().keys()]
    return next((info for info in fit if info is usual or info.why_not(info.defaults()) is None), usual)


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
        ids = ", ".join(_CATALOG)
        raise NotFoundError(
            f"No scorer is called '{scorer_id}'; known are {ids}. One that was declared in a notebook or script is "
            "known to that process alone, unless an installed package brings it (docs/adding-a-scorer.md)."
        ) from None


def is_local(scorer_id: str) -> bool:
    """Whether only this process knows the scorer."""
    return scorer_id in _CATALOG and bool(_CATALOG[scorer_id].local)


def plugins() -> tuple[Plugin, ...]:
    """The entry points of installed packages, with the scorers they brought or why they brought none."""
    _load_cards()
    return _load_plugins()


def _load() -> None:
    _load_cards()
    _load_plugins()


@cache
def _load_cards() -> None:
    """Read the cards that ship, which import no torch."""
    for file in sorted(pkgutil.iter_modules(cards.__path__), key=lambda module: module.name):
        card = importlib.import_module(f"{cards.__name__}.{file.name}").CARD
        _CATALOG.setdefault(card.id, replace(card, why_not=partial(_why_not, card)))


def _why_not(card: ScorerInfo, parameters: Mapping[str, Any]) -> str | None:
    """Before what a card asks for itself: whether the part of this package that it belongs to is installed."""
    extra = "mllm" if card.entry.startswith("mad_core.scorers.multimodal") else "detectors"
    return extras.missing(extra) or card.why_not(parameters)


@cache
def _load_plugins() -> tuple[Plugin, ...]:
    """Read the entry points of installed packages, each all or nothing."""
    from mad_core.scorers import plugins

    return tuple(_admitted(point) for point in plugins.installed())


def _admitted(point: EntryPoint) -> Plugin:
    """Put the scorers of an entry point into the catalogue, unless an id is taken by another one."""
    from mad_core.scorers.plugins import broken, read

    before = set(_CATALOG)
    plugin = read(point)
    for declared in set(_CATALOG) - before:  # by the import on its way; only what the entry point names counts
        del _CATALOG[declared]
    for info in plugin.scorers:
        registered = _CATALOG.get(info.id)
        if registered is not None and not (registered.made is info.made is not None) and registered != info:
            return broken(plugin, f"there is a scorer '{info.id}' already ({registered.title}).")
    _CATALOG.update({info.id: info for info in plugin.scorers})
    return plugin
