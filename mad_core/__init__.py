"""MAD Inspector's engine: severity metrics, scorers, runs. Imports no Streamlit.

``import mad_core as mad`` gives the functions of :mod:`mad_core.api`. They are imported when they are first asked
for: workers and pages need none of them, and importing this package changes nothing in the caller's process.
"""

from typing import TYPE_CHECKING, Any

from mad_core.settings import VERSION

if TYPE_CHECKING:
    from mad_core.api import Parameter, ScoredRun, Scorer, evaluate, from_onnx, from_torch, load, score, scorer

__all__ = ["Parameter", "ScoredRun", "Scorer", "evaluate", "from_onnx", "from_torch", "load", "score", "scorer"]
__version__ = VERSION


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mad_core' has no attribute '{name}'")
    from mad_core import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
