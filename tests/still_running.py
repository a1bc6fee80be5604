"""Says every five minutes which tests are at work, and for how long: a run that does not end has a name."""

from __future__ import annotations

import os
import sys
import threading
import time

SECONDS = 300.0

_running: dict[str, float] = {}
_started = time.monotonic()


def pytest_runtest_logstart(nodeid: str) -> None:
    _running[nodeid] = time.monotonic()


def pytest_runtest_logfinish(nodeid: str) -> None:
    _running.pop(nodeid, None)


def begin() -> None:
    """Begin to say so, in the one process that the others report to."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        threading.Thread(target=_tell, name="still running", daemon=True).start()


def in_words(now: float) -> str:
    """``after 12 min at work: tests/engine/test_x.py::test_y (31 s)``."""
    names = [f"{nodeid} ({now - since:.0f} s)" for nodeid, since in _running.copy().items()]
    return f"after {(now - _started) / 60:.0f} min at work: {', '.join(names) or 'nothing'}"


def _tell() -> None:
    while True:
        time.sleep(SECONDS)
        print(f"\n{in_words(time.monotonic())}", file=sys.__stderr__, flush=True)
