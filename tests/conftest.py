"""For every test run: nothing that it started outlives it; the demo is drawn once for all its processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

# Before torch and numpy are: files run side by side, and threads that wait for each other only turn.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from mad_core.datasets.demo import make
from tests import reaper, still_running


def pytest_configure(config: pytest.Config) -> None:
    reaper.guard()
    if not config.pluginmanager.has_plugin("still running"):
        config.pluginmanager.register(still_running, "still running")
        still_running.begin()


LONGEST = (
    "browser/test_journeys",
    "browser/test_components",
    "engine/test_contract",
    "browser/test_streamlit_patched",
    "engine/test_cli",
    "engine/test_shipped_backbone",
    "browser/test_audit_journey",
    "statistics/test_statistics",
)
"""Files that take more than a minute, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that processes side by side end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    places = {name: place for place, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> int:
        name = f"{item.path.parent.name}/{item.path.stem}"
        return places.get(name, len(LONGEST) + (item.path not in slow))

    items.sort(key=place)


@pytest.fixture(scope="session")
def with_demo(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``with_demo(home)`` lays the demo into a ``MAD_HOME``, as if it had been drawn there; gives the home.

    A smaller one has so many training normals, and so many test images of each level, in each subset.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def laid(home: Path, normals: int = make.TRAIN_IMAGES, a_level: int = make.LEVEL_IMAGES) -> Path:
        drawn = make.make_demo(shared / "drawn" / "demo")

        def link_all(building: Path, plans: list[make._Plan], progress: object) -> None:
            for name in (name for plan in plans for name in (plan.image, plan.mask) if name):
                os.link(drawn / name, building / name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(make, "TRAIN_IMAGES", normals)
            patch.setattr(make, "LEVEL_IMAGES", a_level)
            patch.setattr(make, "_draw_all", link_all)
            make.make_demo(home / "demo")
        return home

    return laid
