"""A test run that is killed leaves nothing behind, not what its children started either."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(grandchild.pid, flush=True)
time.sleep(600)
"""
RUN = f"""
import subprocess, sys
def test_that_is_killed():
    child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], start_new_session=True, stdout=subprocess.PIPE)
    print(child.pid, child.stdout.readline().decode().strip(), file=sys.__stdout__, flush=True)
    child.wait()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_run_started_ends_with_it(tmp_path: Path, ending: signal.Signals) -> None:
    (tmp_path / "test_run.py").write_text(RUN)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "tests.conftest", "--rootdir", str(tmp_path)]
    plain = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    run = subprocess.Popen(
        [*command, "-c", os.devnull, str(tmp_path / "test_run.py")],
        cwd=ROOT,
        env=plain,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    line = next(line for line in run.stdout if line.strip().replace(" ", "").isdecimal())
    started = [psutil.Process(int(pid)) for pid in line.split()]
    run.send_signal(ending)
    run.wait(60)
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []


@pytest.mark.parametrize(
    "module",
    ["benchmarks.__main__", "benchmarks.web", "benchmarks.gallery", "benchmarks.cluster", "statistics.__main__"],
)
def test_benchmarks_and_simulations_are_guarded_before_they_start_anything(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class GuardedError(Exception):
        """Instead of a watchdog."""

    def guard() -> None:
        raise GuardedError

    monkeypatch.setattr("tests.reaper.guard", guard)
    with pytest.raises(GuardedError):
        importlib.import_module(f"tests.{module}").main()
