"""A store at which no first start happens."""

from __future__ import annotations

from pathlib import Path

from mad_core.runs.first_start import queue_demo
from mad_core.runs.store import Store
from mad_core.settings import Settings


def used_home(home: Path) -> Path:
    """A ``MAD_HOME`` that was used before: no first start scores the demo there, beside the test."""
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    store.queue.request_cancel(queue_demo(store))
    store.close()
    return home
