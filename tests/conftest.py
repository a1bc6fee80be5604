"""For every test run: nothing that it started outlives it; the demo is drawn once for all its processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mad_core.datasets.demo.make import make_demo
from tests import reaper


def pytest_configure() -> None:
    reaper.guard()


@pytest.fixture(scope="session")
def with_demo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """``with_demo(home)`` lays the demo into a ``MAD_HOME``, as if it had been drawn there; gives the home."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def laid(home: Path) -> Path:
        shutil.copytree(make_demo(shared / "drawn" / "demo"), home / "demo", copy_function=os.link)
        return home

    return laid
