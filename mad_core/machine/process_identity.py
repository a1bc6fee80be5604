"""Which process a number means: numbers are given again, and the clock of a machine can be set.

A process is known by the machine's boot, its own name space of numbers, its number, and the ticks between boot and
its start. None of them depends on what the clock says.
"""

import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

_DEAD = "ZX"
_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessIdentity:
    """``machine`` is boot and name space, ``ticks`` when the process started, in ticks since boot."""

    machine: str
    pid: int
    ticks: int

    def lives(self) -> bool:
        """Whether this very process is there; only the machine itself can tell."""
        return self.machine == this_machine() and _ticks(self.pid) == self.ticks

    def holds_lock(self, file: Path) -> bool:
        """Whether the process holds a lock on a file, as the system lists it; False where it lists none."""
        try:
            mark = f":{file.stat().st_ino}"
            lines = [line.split() for line in (_PROC / "locks").read_text().splitlines()]
        except OSError:
            return False
        return any(line[4] == str(self.pid) and line[5].endswith(mark) for line in lines if len(line) > 5)


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has this number now; None where there is none."""
    ticks = _ticks(pid)
    return None if ticks is None else ProcessIdentity(this_machine(), pid, ticks)


def this_process() -> ProcessIdentity:
    return ProcessIdentity(this_machine(), os.getpid(), _ticks(os.getpid()) or 0)


@lru_cache(maxsize=1)
def this_machine() -> str:
    """Boot and name space of process numbers; the host's name where the system tells neither."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat(_PROC / 'self/ns/pid').st_ino}"  # noqa: PTH116
    except OSError:
        return socket.gethostname()


def _ticks(pid: int) -> int | None:
    """When a process started; None where it is not there, or ended and only waits to be asked how."""
    try:
        state, *fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if state in _DEAD else int(fields[18])
    except FileNotFoundError:
        if (_PROC / "self").exists():
            return None
    except (OSError, ValueError, IndexError):
        return None
    try:  # no /proc on this system
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 100)
    except psutil.Error:
        return None
