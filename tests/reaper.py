"""A test run that is killed takes with it whatever it started: servers, browsers, workers, however deep they are.

Every process that a run starts inherits a variable with the run's own token. A watchdog in a session of its own waits
for the end of the run, however that comes, and ends every process that has the token.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "MAD_TEST_RUN_"
ROUNDS = 50
"""Looks at the processes, each a little later, until none is left that has the token."""


def guard() -> None:
    """End what this process starts from now on when it ends; once for each process."""
    name, token = f"{PREFIX}{os.getpid()}", secrets.token_hex(16)
    if not Path("/proc/self/environ").exists() or name in os.environ:
        return
    reading, writing = os.pipe()  # what this process starts does not inherit the end that is written to
    command = [sys.executable, "-m", "tests.reaper", f"{name}={token}"]
    subprocess.Popen(command, cwd=Path(__file__).parents[1], stdin=reading, start_new_session=True)
    os.close(reading)
    os.environ[name] = token
    globals()["_kept_open"] = writing


def marked(mark: str) -> Iterator[int]:
    """Processes that were started with a variable, ``NAME=value``."""
    for place in Path("/proc").iterdir():
        if place.name.isdecimal() and int(place.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in (place / "environ").read_bytes().split(b"\0"):
                    yield int(place.name)


def end(mark: str) -> None:
    """End them, and those that they start meanwhile."""
    for _ in range(ROUNDS):
        there = list(marked(mark))
        if not there:
            return
        for pid in there:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    sys.stdin.buffer.read()  # ends when nobody holds the other end any more
    end(sys.argv[1])
