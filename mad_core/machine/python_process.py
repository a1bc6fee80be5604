"""Start a Python of our own: the worker, the drawing of the demo.

A process started by ``multiprocessing`` would import the caller's main script again, and that may be a
notebook, a Streamlit page or a script without a guard; a plain command has no such surprise.
"""

import os
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from mad_core.machine.child_environment import without_secrets

_ROOT = Path(__file__).resolve().parents[2]


def let_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Threads of torch that wait for each other sleep instead of spinning, in a process of ours.

    Beside other work on the same cores a fit is five times as fast. OpenMP reads it once, when torch is loaded.
    """
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def start_python(
    module: str, *arguments: str, environment: dict[str, str] | None = None, **how: Any
) -> subprocess.Popen:
    """Run ``python -m module`` with this interpreter, whatever folder the caller was started in.

    Parameters
    ----------
    module : str
    *arguments : str
    environment : dict, optional
        Variables to set on top of this process's own, of which none may be secret
        (:func:`~mad_core.machine.child_environment.of_worker` names those of a worker).
    **how
        Passed on to :class:`subprocess.Popen`.
    """
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**without_secrets(), "PYTHONPATH": os.pathsep.join(paths), **(environment or {})}
    let_threads_sleep(variables)
    return subprocess.Popen([sys.executable, "-m", module, *arguments], env=variables, **how)
