"""For every test run: nothing that it started outlives it; each picture of the demo is drawn once for all processes."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

# Before torch and numpy are: files run side by side, and threads that wait for each other only turn.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from filelock import FileLock

from mad_core.datasets.demo import make
from mad_core.runs.database import engine
from tests import reaper, still_running


def pytest_configure(config: pytest.Config) -> None:
    reaper.guard()
    if not config.pluginmanager.has_plugin("still running"):
        config.pluginmanager.register(still_running, "still running")
        still_running.begin()


PROCESS_BYTES = 4 * 2**30
"""Memory that a process of the tests may take, with the servers, workers and browsers that it starts."""


def pytest_xdist_auto_num_workers() -> int:
    """One process more than processors, where memory allows: a quarter of its time each waits for pages and workers."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min((os.cpu_count() or 1) + 1, memory // PROCESS_BYTES))


LONGEST = (
    "browser/test_journeys",
    "engine/test_contract",
    "browser/test_components",
    "engine/test_shipped_backbone",
    "statistics/test_statistics",
    "browser/test_streamlit_patched",
    "engine/test_export",
    "engine/test_cli",
    "browser/test_screen",
    "engine/test_graded",
    "engine/test_plugins",
    "engine/test_scorers",
    "browser/test_serving_others",
    "engine/test_scattering",
    "engine/test_shipped_model",
    "browser/test_markup_pages",
    "engine/test_examples",
    "engine/test_worker",
    "browser/test_audit_journey",
    "engine/test_mllm",
    "engine/test_endpoint",
    "browser/test_plugin",
    "engine/test_package",
    "engine/test_baselines",
    "engine/test_bad_input",
    "engine/test_docs",
)
"""Files that take half a minute or more, the longest first; those in a browser, which wait, beside others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that processes side by side end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    places = {name: place for place, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> int:
        name = f"{item.path.parent.name}/{item.path.stem}"
        return places.get(name, len(LONGEST) + (item.path not in slow))

    items.sort(key=place)
    _see_that_fixtures_are_there(items)


def _see_that_fixtures_are_there(items: list[pytest.Item]) -> None:
    """Also of the hard tests, which every run collects and hardly any runs: what they take from daily tests moves."""
    for item in items:
        if isinstance(item, pytest.Function):
            there = {*item._fixtureinfo.name2fixturedefs, *(item.callspec.params if hasattr(item, "callspec") else ())}
            if missing := set(item.fixturenames) - there - {"request"}:
                raise pytest.UsageError(f"{item.nodeid} asks for fixtures that are not there: {', '.join(missing)}")


def pytest_collection_finish() -> None:
    """What was loaded and collected stays: to look through it for garbage again and again takes half a second each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def schema_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every migration in turn makes the first SQLite database; others begin as a copy of its file."""
    template = tmp_path_factory.mktemp("schema") / "mad.db"
    made = engine.open_engine(f"sqlite:///{template}")
    with engine.transaction(made, immediate=True) as connection:
        engine.upgrade(connection)
    made.dispose()

    def make_private(file: Path) -> None:
        if file.exists():
            return
        building = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
        shutil.copyfile(template, building)
        building.chmod(0o600)
        with contextlib.suppress(FileExistsError):  # another process made it just now
            file.hardlink_to(building)
        building.unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_make_private", make_private)
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder that all processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def with_demo(shared_folder: Path) -> Callable[..., Path]:
    """``with_demo(home)`` lays the demo into a ``MAD_HOME``, as if it had been drawn there; gives the home.

    A smaller one has so many training normals, and so many test images of each level, in each subset.
    """
    drawn = shared_folder / "drawn"
    drawn.mkdir(exist_ok=True)
    draw_all = make._draw_all

    def link_all(building: Path, plans: list[make._Plan], progress: Callable[[int, int], None]) -> None:
        names = [name for plan in plans for name in (plan.image, plan.mask) if name]
        for parent in {(drawn / name).parent for name in names}:
            parent.mkdir(parents=True, exist_ok=True)
        with FileLock(drawn / "drawing.lock"):
            missing = [plan for plan in plans if not (drawn / plan.image).exists()]
            if missing:
                draw_all(drawn, missing, progress)
        for name in names:
            os.link(drawn / name, building / name)

    def laid(home: Path, normals: int = make.TRAIN_IMAGES, a_level: int = make.LEVEL_IMAGES) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(make, "TRAIN_IMAGES", normals)
            patch.setattr(make, "LEVEL_IMAGES", a_level)
            patch.setattr(make, "_draw_all", link_all)
            make.make_demo(home / "demo")
        return home

    return laid
