"""MAD Inspector's engine: severity metrics, scorers, runs. Imports no Streamlit.

``import mad_core as mad`` gives :func:`load`, :func:`score` and :func:`evaluate` of :mod:`mad_core.api`.
"""

import os
from typing import Any

from mad_core.settings import VERSION

# Threads of torch that wait for each other sleep instead of spinning: beside other work on the same cores a fit is
# five times as fast. OpenMP reads it once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = VERSION
_API = ("Parameter", "ScoredRun", "Scorer", "evaluate", "from_onnx", "from_torch", "load", "score", "scorer")


def __getattr__(name: str) -> Any:
    """Import the notebook functions when they are first asked for: workers and pages need none of them."""
    if name not in _API:
        raise AttributeError(f"module 'mad_core' has no attribute '{name}'")
    from mad_core import api

    return getattr(api, name)
