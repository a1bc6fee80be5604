"""For every test run: nothing that it started outlives it; the demo is drawn once for all its processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

# Before torch and numpy are: files run side by side, and threads that wait for each other only turn.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from mad_core.datasets.demo.make import make_demo
from tests import reaper


def pytest_configure() -> None:
    reaper.guard()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that processes side by side end together."""
    long = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def with_demo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """``with_demo(home)`` lays the demo into a ``MAD_HOME``, as if it had been drawn there; gives the home."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def laid(home: Path) -> Path:
        shutil.copytree(make_demo(shared / "drawn" / "demo"), home / "demo", copy_function=os.link)
        return home

    return laid
