"""MAD Inspector's engine: severity metrics, scorers, runs. Imports no Streamlit.

``import mad_core as mad`` gives the functions of :mod:`mad_core.api`. They are imported when they are first asked
for: workers and pages need none of them, and importing this package changes nothing in the caller's process.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mad_core.settings import VERSION

if TYPE_CHECKING:
    from mad_core.api import *

__all__ = [
    "Parameter",
    "ScoredRun",
    "Scorer",
    "add",
    "add_normals",
    "datasets",
    "evaluate",
    "export",
    "from_onnx",
    "from_torch",
    "import_scores",
    "learn",
    "load",
    "report",
    "run",
    "runs",
    "score",
    "scorer",
    "scorers",
    "similar",
    "study",
    "suspicious",
]
__version__ = VERSION
_ROOMS = ("datasets", "export", "report", "runs", "scorers")
"""Subpackages of these names can be called, as the function of :mod:`mad_core.api` of that name."""


class _Room(ModuleType):
    """A subpackage whose name is a function's too: ``mad.runs()`` beside ``mad_core.runs.store``."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        return getattr(import_module("mad_core.api"), self.__name__.rpartition(".")[2])(*given, **named)


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name in __all__ and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mad_core' has no attribute '{name}'")
    return import_module(f"mad_core.{name}") if name in _ROOMS else getattr(import_module("mad_core.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
