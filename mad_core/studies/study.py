"""The catalogue of studies: what each asks, what it needs, and the function that does it, named as text.

The function is imported only by the process that does the work; listing and drawing forms needs no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mad_core.datasets.dataset import Dataset
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.parts import kind_of
from mad_core.runs.store import Run, Store
from mad_core.scorers.contract import Parameter, checked_values
from mad_core.source_digest import source_digest
from mad_core.studies.finding import Finding


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
    """One entry of the catalogue.

    Parameters
    ----------
    id, title : str
    question : str
        What it answers, one sentence.
    about : str
        How to read it, for someone who has never heard of it.
    needs : str
        What it needs, in words.
    entry : str
        ``"module:function"``, a ``(Work) -> Finding``.
    parameters : tuple of Parameter
    least_runs : int
        How many runs of the dataset it needs; with 0 it looks at images alone, and is given no run.
    kinds : tuple of str
        Of each of these kinds it needs a run: ``detector``, ``mllm``, or ``made here`` (not imported).
    """

    id: str
    title: str
    question: str
    about: str
    needs: str
    entry: str
    parameters: tuple[Parameter, ...] = field(default=())
    least_runs: int = 1
    kinds: tuple[str, ...] = ()

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, the given ones checked and the others at their defaults.

        Raises
        ------
        InputError
            If a name is unknown or a value does not fit its declaration.
        """
        return checked_values(self.parameters, given, f"Study '{self.id}'")

    @property
    def code(self) -> str:
        """Digest of the source that makes its findings: its module, and what that imports."""
        return source_digest(self.entry.partition(":")[0])

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
        module, _, name = self.entry.partition(":")
        return getattr(importlib.import_module(module), name)(work)


_KINDS = {
    "detector": "a run of a conventional detector",
    "mllm": "a run of a multimodal model",
    "made here": "a run that was made here, not imported",
}


def _is(run: Run, kind: str) -> bool:
    return not run.imported if kind == "made here" else kind_of(run.scorer) == kind


_STUDIES: dict[str, StudyInfo] = {}


def register(info: StudyInfo) -> StudyInfo:
    """Add a study to the catalogue.

    Raises
    ------
    ValueError
        If the id is taken.
    """
    if info.id in _STUDIES:
        raise ValueError(f"two studies are called '{info.id}'")
    _STUDIES[info.id] = info
    return info


def studies() -> list[StudyInfo]:
    """Every study, in order of registration."""
    _load()
    return list(_STUDIES.values())


def study(study_id: str) -> StudyInfo:
    """One study by its id.

    Raises
    ------
    NotFoundError
    """
    _load()
    try:
        return _STUDIES[study_id]
    except KeyError:
        raise NotFoundError(f"No study is called '{study_id}'; known are {', '.join(_STUDIES)}.") from None


_load = partial(importlib.import_module, "mad_core.studies.declarations")
