"""A process that has everything imported and bears workers by forking, so that hundreds of them can be killed.

Reads commands from standard input and answers each with the new process's id:
``worker`` is the worker of the CPU as ``python -m mad_core worker`` starts it; ``racer`` takes jobs without asking
whether the device has a worker already.
"""

from __future__ import annotations

import os
import signal
import sys

import torch

import mad_core.runs.execute  # imported before the fork, like torch
from mad_core.runs.database import engine
from mad_core.runs.worker import Worker, run_worker
from mad_core.settings import Settings
from tests.engine.toy import register_toy

from .toy_hungry import register_hungry

BUSY_SECONDS = 2.0
"""How long a worker waits for a busy database here."""


def main() -> None:
    torch.set_num_threads(1)
    assert mad_core.runs.execute
    register_toy()
    register_hungry()
    engine.BUSY_SECONDS = BUSY_SECONDS
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever is killed leaves no zombie
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_live(line.strip()))
        print(child, flush=True)


def _live(kind: str) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(0)
    settings = Settings.from_environment()
    if kind == "racer":
        worker = Worker(settings, "cpu")
        signal.signal(signal.SIGTERM, lambda *_: worker.stopping.set())
        worker.work_forever()
        worker.close()
        return 0
    return 0 if run_worker(settings, "cpu") else 3


if __name__ == "__main__":
    main()
