"""For every test run: nothing that it started outlives it."""

from __future__ import annotations

from tests import reaper


def pytest_configure() -> None:
    reaper.guard()
