"""Every benchmark, one after the other, and one table of what they measured.

    python -m tests.benchmarks [--only NAME,NAME] [--write]

``make bench`` runs it with ``--write``, which puts the table between the marks in docs/speed.md; not, however, if the
machine was busy with other work (more than half a core of it in the mean) or if a benchmark failed.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from tests import reaper
from tests.benchmarks.pairs import Row, handed_over, joined, processor_seconds, table
from tools.marked import put_between

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "speed.md"
OPEN, CLOSE = "<!-- speed -->", "<!-- /speed -->"
NAMES = ("anomalib_engine", "default_detector", "neighbours", "coreset", "metrics", "mllm", "gallery", "web")
SEVERAL = ("anomalib_engine", "neighbours", "coreset")
"""Run in several processes: how memory lies in one of them, and which kernels it settled on, differs from the next."""
PROCESSES, ROUNDS = 3, 2
WITHOUT_ROWS = ("audit",)
"""Measures recall, and prints a table of its own."""
PACKAGES = ("torch", "anomalib", "transformers", "streamlit", "numpy", "scipy")
BUSY = 0.5
"""Cores that other work may take in the mean."""


def run(name: str) -> list[Row] | None:
    """The rows of one benchmark, of several processes together where that counts; None if one failed."""
    if name not in SEVERAL:
        return _run_once(name)
    found = [_run_once(name, "--rounds", str(ROUNDS)) for _ in range(PROCESSES)]
    return joined([rows for rows in found if rows is not None]) if None not in found else None


def _run_once(name: str, *options: str) -> list[Row] | None:
    """The rows of one benchmark in a process of its own; None if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, "-W", "ignore", "-m", f"tests.benchmarks.{name}", *options]
        command += [] if name in WITHOUT_ROWS else ["--rows", str(file)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        print(f"{datetime.now(UTC):%H:%M} {name}", file=sys.stderr, flush=True)
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        return handed_over(file) if done.returncode == 0 else None


def machine_seconds() -> float:
    """Processor seconds that the whole machine has worked."""
    used = psutil.cpu_times()
    return used.user + used.system + getattr(used, "nice", 0.0)


def machine() -> str:
    """Processor, cores, memory, Python and packages, as a sentence."""
    known = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", known.read_text()) if known.exists() else None
    processor = named.group(1) if named else platform.processor() or platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    memory = psutil.virtual_memory().total / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB; Python {platform.python_version()}, {packages}"


def write(text: str) -> None:
    """Put the table into the page of speeds."""
    put_between(PAGE, OPEN, CLOSE, text)


def main() -> None:
    reaper.guard()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join((*NAMES, *WITHOUT_ROWS)), help="names, separated by commas")
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    given = parser.parse_args()
    names = given.only.split(",")
    unknown = sorted(set(names) - {*NAMES, *WITHOUT_ROWS})
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    clock, own, everything = time.perf_counter(), processor_seconds(), machine_seconds()
    found = {name: run(name) for name in names}
    seconds = time.perf_counter() - clock
    others = max(0.0, machine_seconds() - everything - (processor_seconds() - own)) / seconds
    failed = [name for name, rows in found.items() if rows is None]
    text = table([row for rows in found.values() for row in rows or ()])
    text += f"\n\nMeasured {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.0f} minutes on {machine()}. "
    text += f"Other work took {others:.1f} cores in the mean. Detectors, neighbours, coreset: {PROCESSES} processes, "
    text += f"{ROUNDS} pairs in turns each; the ranges are those of all pairs."
    print(text)
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}. docs/speed.md stays as it is.")
    if given.write and others > BUSY:
        raise SystemExit("The machine was busy with other work: docs/speed.md stays as it is.")
    if given.write:
        write(text)


if __name__ == "__main__":
    main()
