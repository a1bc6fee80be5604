"""A folder under watch: what arrives there comes into a dataset, and its runs score it.

A file is taken once it has stood unchanged from one look to the next and can be decoded whole; until then it may still
be on its way. A folder that cannot be read is a share that went away: it is said, and looked at again. What was taken
stays. Each folder has a thread of its own, because a share that hangs hangs whoever reads it.
"""

from __future__ import annotations

import logging
import math
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import Card, Dataset, Imported
from mad_core.datasets.image_headers import read_files
from mad_core.datasets.walking import is_image
from mad_core.errors import InputError, MadError
from mad_core.images import ImageError, read_image
from mad_core.paths import walked
from mad_core.runs.additions import Added, add_images
from mad_core.runs.store import Store
from mad_core.runs.store.watches import Watch

LOOK_SECONDS = 0.5
TELL_SECONDS = 5.0
CLOSE_SECONDS = 5.0
AT_ONCE = 100
"""Files that are taken at one look, so that the first of many are scored soon."""
AGAIN = 20
"""Looks after which a file that could not be decoded is tried again though it did not change."""
UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart", ".partial", "~")
"""How names of files end that somebody is still writing."""

log = logging.getLogger("mad.watch")

Stamp = tuple[int, int]
"""Size and time of change of a file."""


@dataclass
class Watcher:
    """Looks at one folder for one dataset.

    Parameters
    ----------
    store : Store
    dataset_id : str
    folder : Path
        With its links resolved.
    runs : sequence of str
        Those that score arrivals; all finished ones if empty.
    subset : str
        To which arrivals belong; empty where the first folder below this one, or the dataset's only subset, says it.
    """

    store: Store
    dataset_id: str
    folder: Path
    runs: Sequence[str] = ()
    subset: str = ""
    error: str = ""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Files that stand unchanged and cannot be read, with the reason."""
    _seen: dict[str, Stamp] = field(default_factory=dict)
    _taken: dict[str, Stamp] | None = None
    _failed: dict[str, Stamp] = field(default_factory=dict)
    _looks: int = 0
    _version: str = ""

    def look(self) -> Added | None:
        """Take what has arrived whole; None where nothing is new.

        Raises
        ------
        InputError
            If it is not clear to which subset an arrival belongs, or a run cannot go on.
        NotFoundError
            If the dataset is gone.
        """
        there = self._listed()
        if there is None:
            return None
        ready = self._ready(there)
        self._seen = there
        rows = list(self._rows(ready, there))
        if not rows:
            return None
        arrived = Dataset.from_rows(self.folder.name, rows, Card(), str(self.folder))
        try:
            added = add_images(self.store, self.dataset_id, Imported(arrived), runs=self.runs or None)
        except InputError:
            if self.store.dataset_info(self.dataset_id).version == self._version:
                raise
            return None  # somebody else added images just now; they are taken at the next look
        self._take({row["path"]: there[row["path"]] for row in rows})
        return added if added.added else None

    def _listed(self) -> dict[str, Stamp] | None:
        """Image files and their stamps; None where the folder cannot be read now."""
        stamps: dict[str, Stamp] = {}

        def fail(error: OSError) -> None:
            raise error

        try:
            if os.path.realpath(self.folder) != str(self.folder):  # a link put in its place leads elsewhere
                self.error = f"{self.folder} is not the folder that was asked for."
                return None
            for root, folders, files in walked(self.folder, fail):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(files):
                    if is_image(name) and not name.startswith(".") and not name.lower().endswith(UNFINISHED):
                        self._stamp(Path(root) / name, stamps)
        except OSError as error:
            self.error = f"{self.folder} cannot be read now: {error.strerror or error}."
            return None
        self.error = ""
        return stamps

    @staticmethod
    def _stamp(path: Path, stamps: dict[str, Stamp]) -> None:
        try:
            facts = path.lstat()
        except OSError:  # gone again, or renamed
            return
        if stat.S_ISREG(facts.st_mode):  # no link leads out of the folder
            stamps[str(path)] = facts.st_size, facts.st_mtime_ns

    def _ready(self, there: Mapping[str, Stamp]) -> list[str]:
        """Files that stand as they stood at the last look and have not been taken."""
        if self._taken is None:
            stored = set(self.store.dataset(self.dataset_id).table["path"])
            self._taken = {path: stamp for path, stamp in there.items() if path in stored}
        self._looks += 1
        passed = self._taken if self._looks % AGAIN == 0 else self._taken | self._failed
        return [p for p, stamp in there.items() if stamp[0] and self._seen.get(p) == stamp != passed.get(p)][:AT_ONCE]

    def _rows(self, ready: Sequence[str], there: Mapping[str, Stamp]) -> Iterator[dict[str, Any]]:
        """Rows of the files that can be decoded whole."""
        dataset, waiting = self.store.dataset(self.dataset_id), {}
        self._version = dataset.version
        for path, read in sorted(read_files(ready, lambda done, total: None).items()):
            problem = read.problem.message if read.problem else _broken(Path(path))
            if problem or _changed(Path(path), there[path]):
                waiting[path] = problem or f"{path} is being written."
                self._failed[path] = there[path]
                continue
            self._failed.pop(path, None)
            relative = Path(path).relative_to(self.folder)
            yield {
                "image_id": path,  # its own comes with the subset
                "content_hash": read.content_hash,
                "path": path,
                "template_path": relative.as_posix(),
                "split": "test",
                "subset": self._subset_of(relative, dataset),
                "level": math.nan,
                "defect": None,
                "mask_path": None,
                "mask_hash": None,
                "width": read.width,
                "height": read.height,
            }
        self.waiting = {path: why for path, why in {**self.waiting, **waiting}.items() if path in self._failed}

    def _subset_of(self, relative: Path, dataset: Dataset) -> str:
        first = relative.parts[0] if len(relative.parts) > 1 else ""
        return self.subset or (first if first in dataset.subsets else self.folder.name)

    def _take(self, files: Mapping[str, Stamp]) -> None:
        self._taken = {**(self._taken or {}), **files}


class WatchedFolders:
    """The watched folders of a store, each with a thread that looks.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads: dict[int, tuple[Watch, threading.Event, threading.Thread]] = {}

    def renew(self) -> None:
        """Begin to watch what was asked for, and stop with what is no longer."""
        wanted = {watch.id: watch for watch in self._store.watches.all()}
        for watch_id, (watch, stop, _) in list(self._threads.items()):
            now = wanted.get(watch_id)
            if now is None or (now.runs, now.subset, now.path) != (watch.runs, watch.subset, watch.path):
                stop.set()
                del self._threads[watch_id]
        for watch in wanted.values():
            if watch.id not in self._threads:
                stop = threading.Event()
                thread = threading.Thread(target=self._watch, args=(watch, stop), name="watching", daemon=True)
                self._threads[watch.id] = watch, stop, thread
                thread.start()

    def close(self) -> None:
        """Stop looking; a thread whose share hangs is left behind."""
        for _, stop, _ in self._threads.values():
            stop.set()
        for *_, thread in self._threads.values():
            thread.join(CLOSE_SECONDS)
        self._threads.clear()

    def _watch(self, watch: Watch, stop: threading.Event) -> None:
        watcher = Watcher(self._store, watch.dataset_id, Path(watch.path), watch.runs, watch.subset)
        added, told, last_error = int(watch.state.get("added", 0)), 0.0, ""
        while not stop.wait(LOOK_SECONDS):
            came, error = None, ""
            try:
                came = watcher.look()
            except MadError as problem:
                error = str(problem)
            except Exception:
                log.exception("watching %s", watch.path)
                error = "It cannot be looked at (details in the worker's log)."
            added += came.added if came else 0
            error = error or watcher.error or next(iter(watcher.waiting.values()), "")
            if came or error != last_error or time.monotonic() - told > TELL_SECONDS:
                try:
                    self._store.watches.tell(watch.id, {"looked": time.time(), "added": added, "error": error})
                except MadError:
                    continue
                told, last_error = time.monotonic(), error


def _broken(path: Path) -> str:
    """Why an image cannot be decoded whole; empty where it can."""
    try:
        read_image(path)
    except (ImageError, OSError) as error:
        return str(error)
    return ""


def _changed(path: Path, stamp: Stamp) -> bool:
    """Whether a file is no longer as it was listed."""
    try:
        facts = path.stat()
    except OSError:
        return True
    return (facts.st_size, facts.st_mtime_ns) != stamp
