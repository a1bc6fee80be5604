"""Start workers for the app, and start them again when they die. Imports no torch."""

import logging
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from mad_core.errors import MadError
from mad_core.machine.child_environment import of_worker
from mad_core.machine.python_process import start_python
from mad_core.runs.store import Store
from mad_core.runs.worker import settle_runs

LOOK_SECONDS = 1.0
STOP_SECONDS = 20.0
SOON_SECONDS = 60.0
"""A worker that ends sooner has not come up: the next one waits longer."""
LONGEST_PAUSE = 60.0
MOST_REFUSALS = 4
"""So often a device is asked for before the jobs that wait for it fail."""
REFUSED = 1
"""Exit status of a worker that cannot be one; its last line says why."""
_TAIL = 4_000

log = logging.getLogger("mad.supervisor")


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    log: Path
    began: float = field(default_factory=time.monotonic)


@dataclass
class _Trouble:
    """How often in a row workers of a device did not come up, and until when none is started."""

    ends: int = 0
    refusals: int = 0
    rests_until: float = 0.0


@dataclass
class Supervisor:
    """Keeps one worker per needed device running while the app runs.

    The app's own device always has one. Another device gets one when a queued job asks for it.
    Workers of a web server that died go on; a new one finds them in the store. A device whose workers do not come up
    is tried again after growing pauses, and the jobs that wait for it fail with what the worker said.
    """

    store: Store
    children: dict[str, _Child] = field(default_factory=dict)
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the workers this process started, after their current batch."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        processes = [child.process for child in self.children.values()]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def look(self) -> None:
        """One turn: note which children ended, requeue what the dead left, start what is needed."""
        for device, child in list(self.children.items()):
            status = child.process.poll()
            if status is not None:
                del self.children[device]
                self._note_end(device, child, status)
        self.store.queue.requeue_lost()
        for device in self._needed():
            self._start(device)

    def _note_end(self, device: str, child: _Child, status: int) -> None:
        if time.monotonic() - child.began > SOON_SECONDS:
            self._troubles.pop(device, None)
            return
        trouble = self._troubles.setdefault(device, _Trouble())
        trouble.ends += 1
        trouble.refusals += status == REFUSED
        trouble.rests_until = time.monotonic() + min(LONGEST_PAUSE, LOOK_SECONDS * 2**trouble.ends)
        if status == REFUSED and trouble.refusals >= MOST_REFUSALS:
            self._fail_waiting(device, _last_line(child.log))

    def _fail_waiting(self, device: str, sentence: str) -> None:
        """End the jobs that only this device's worker would do."""
        served = self._served()
        own = ("auto", "cpu") if device == self.store.settings.device else ()
        waiting = [name for name in (device, *own) if name not in served]
        self.store.queue.fail_waiting(waiting, f"No worker can be had for device {device}: {sentence}")
        settle_runs(self.store)

    def _served(self) -> set[str]:
        return {device for w in self.store.queue.workers() if w.alive for device in (w.device, "auto", "cpu")}

    def _needed(self) -> list[str]:
        asked = [j.device for j in self.store.queue.active() if j.status == "queued"]
        wanted = dict.fromkeys([self.store.settings.device, *asked])
        busy, now = self._served() | self.children.keys(), time.monotonic()
        rests = {device for device, trouble in self._troubles.items() if trouble.rests_until > now}
        return [device for device in wanted if device not in busy | rests]

    def _start(self, device: str) -> None:
        logs = self.store.settings.logs
        logs.mkdir(parents=True, exist_ok=True)
        arguments = ("worker", "--device", device, "--parent", str(os.getpid()))
        file = logs / f"worker-{device.replace(':', '')}.log"
        with file.open("ab") as out:
            process = start_python(
                "mad_core", *arguments, environment=of_worker(), stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        self.children[device] = _Child(process, file)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except (MadError, OSError):
                log.exception("the supervisor could not look after the workers")
            self._stop.wait(LOOK_SECONDS)


def _last_line(file: Path) -> str:
    """What a worker said last."""
    try:
        with file.open("rb") as log_file:
            log_file.seek(max(0, file.stat().st_size - _TAIL))
            lines = log_file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "its log is empty."
