"""The catalogue of studies: every folder of this package that holds a card is one, made of three files.

``card.py`` holds ``CARD``, what the study asks and needs, without torch; ``run.py`` holds ``run``, a
``(Work) -> Finding``, which only the process that does the work imports; ``figures.py`` holds ``draw``, a
``(tables, facts, theme) -> sequence of Plot``. A folder is named as the id, with ``_`` for ``-``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mad_core.datasets.dataset import Dataset
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.parts import kind_of
from mad_core.runs.store import Run, Store
from mad_core.scorers.contract import Parameter, checked_values
from mad_core.source_digest import source_digest
from mad_core.studies.finding import Finding

if TYPE_CHECKING:
    from mad_core.figures.plot import Plot
    from mad_core.palette import Theme


def _nothing(done: int, total: int) -> None:
    """Tell nobody."""


def _go_on() -> None:
    """Never stop."""


@dataclass(frozen=True)
class Work:
    """What a study works on.

    Parameters
    ----------
    store : Store
    dataset_id : str
    dataset : Dataset
    runs : sequence of Run
        Finished or not; on this dataset.
    parameters : mapping
        Checked by the study's declaration.
    quick : bool
        A stratified sample instead of everything.
    seed : int
    device : str
        Torch device, for studies that score.
    progress : callable(done, total)
    check_cancel : callable
        Raises CancelledError when the work should stop; to be called in every long loop.
    """

    store: Store
    dataset_id: str
    dataset: Dataset
    runs: Sequence[Run]
    parameters: Mapping[str, Any]
    quick: bool = True
    seed: int = 0
    device: str = "cpu"
    progress: Callable[[int, int], None] = _nothing
    check_cancel: Callable[[], None] = _go_on


@dataclass(frozen=True)
class StudyInfo:
    """What a study asks and needs.

    Parameters
    ----------
    id, title : str
    question : str
        What it answers, one sentence.
    about : str
        How to read it, for someone who has never heard of it.
    needs : str
        What it needs, in words.
    order : int
        Where it stands among the others, ascending.
    parameters : tuple of Parameter
    least_runs : int
        How many runs of the dataset it needs; with 0 it looks at images alone, and is given no run.
    kinds : tuple of str
        Of each of these kinds it needs a run: ``detector``, ``mllm``, ``made here`` (not imported), or ``graded``.
    package : str
        The name of its folder as a package; the catalogue fills it in.
    """

    id: str
    title: str
    question: str
    about: str
    needs: str
    order: int = 1000
    parameters: tuple[Parameter, ...] = field(default=())
    least_runs: int = 1
    kinds: tuple[str, ...] = ()
    package: str = ""

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, the given ones checked and the others at their defaults.

        Raises
        ------
        InputError
            If a name is unknown or a value does not fit its declaration.
        """
        return checked_values(self.parameters, given, f"Study '{self.id}'")

    @property
    def name(self) -> str:
        """Its id as the name of a module."""
        return self.id.replace("-", "_")

    @property
    def code(self) -> str:
        """Digest of the source that makes its findings: its module, and what that imports."""
        return source_digest(f"{self.package}.run")

    def missing(self, runs: Sequence[Run]) -> str | None:
        """What it needs and does not find among these runs, as a sentence; None where it can be asked of them."""
        if len(runs) < self.least_runs:
            wanted = "a finished run" if self.least_runs == 1 else f"{self.least_runs} runs"
            return f"The study '{self.title}' needs {wanted} of this dataset; score it first (Score page)."
        absent = next((kind for kind in self.kinds if not any(_is(run, kind) for run in runs)), None)
        return f"The study '{self.title}' needs {_KINDS[absent]}; choose or make one." if absent else None

    def do(self, work: Work) -> Finding:
        """Import the study and do it.

        Raises
        ------
        InputError
            If it needs other runs, or what the study says of its own.
        """
        missing = self.missing(work.runs)
        if missing:
            raise InputError(missing)
        return importlib.import_module(f"{self.package}.run").run(work)


_KINDS = {
    "detector": "a run of a conventional detector",
    "mllm": "a run of a multimodal model",
    "made here": "a run that was made here, not imported",
    "graded": "a run of the scorer that learns from grades",
}


def _is(run: Run, kind: str) -> bool:
    if kind == "made here":
        return not run.imported
    return run.scorer == kind or kind_of(run.scorer) == kind


_PLACES: tuple[str, ...] = ("mad_core.studies",)
"""Packages whose folders with a card are studies."""


@cache
def _catalogue() -> dict[str, StudyInfo]:
    """Every study by its id, in order.

    Raises
    ------
    ValueError
        If a folder and the id in its card differ.
    """
    folders = [
        f"{place}.{card.parent.name}"
        for place in _PLACES
        for root in importlib.import_module(place).__path__
        for card in Path(root).glob("*/card.py")
    ]
    cards = [replace(importlib.import_module(f"{folder}.card").CARD, package=folder) for folder in folders]
    for info in cards:
        if not info.package.endswith(f".{info.name}"):
            raise ValueError(f"the study '{info.id}' stands in {info.package}")
    return {info.id: info for info in sorted(cards, key=lambda info: (info.order, info.id))}


def studies() -> list[StudyInfo]:
    """Every study, in order."""
    return list(_catalogue().values())


def study(study_id: str) -> StudyInfo:
    """One study by its id.

    Raises
    ------
    NotFoundError
    """
    try:
        return _catalogue()[study_id]
    except KeyError:
        raise NotFoundError(f"No study is called '{study_id}'; known are {', '.join(_catalogue())}.") from None


def figures(finding: Finding, theme: Theme) -> list[Plot]:
    """The figures of a finding; none of a study that is not in the catalogue any more."""
    info = _catalogue().get(finding.study)
    if info is None:
        return []
    return list(importlib.import_module(f"{info.package}.figures").draw(finding.tables, finding.facts, theme))
