"""Start workers for the app, and start them again when they die. Imports no torch."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from dataclasses import dataclass, field

from mad_core.errors import MadError
from mad_core.machine.python_process import start_python
from mad_core.runs.store import Store

LOOK_SECONDS = 1.0
STOP_SECONDS = 20.0

log = logging.getLogger("mad.supervisor")


@dataclass
class Supervisor:
    """Keeps one worker per needed device running while the app runs.

    The app's own device always has one. Another device gets one when a queued job asks for it.
    Workers of a web server that died go on; a new one finds them by their heartbeat.
    """

    store: Store
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
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
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def look(self) -> None:
        """One turn: note which children ended, requeue what the dead left, start what is needed."""
        for device, child in list(self.children.items()):
            if child.poll() is not None:
                del self.children[device]
        self.store.queue.requeue_lost()
        for device in self._needed():
            self._start(device)

    def _needed(self) -> list[str]:
        queue = self.store.queue
        served = {device for w in queue.workers() if w.alive for device in (w.device, "auto", "cpu")}
        asked = [j.device for j in queue.active() if j.status == "queued"]
        wanted = dict.fromkeys([self.store.settings.device, *asked])
        return [device for device in wanted if device not in served and device not in self.children]

    def _start(self, device: str) -> None:
        logs = self.store.settings.logs
        logs.mkdir(parents=True, exist_ok=True)
        arguments = ("worker", "--device", device, "--parent", str(os.getpid()))
        with (logs / f"worker-{device.replace(':', '')}.log").open("ab") as out:
            self.children[device] = start_python(
                "mad_core", *arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except (MadError, OSError):
                log.exception("the supervisor could not look after the workers")
            self._stop.wait(LOOK_SECONDS)
