"""Download the published benchmark and write its tree, the bytes of every image unchanged.

The hub holds tables of images (Parquet shards with the columns ``image`` and ``relative_path``). Each
shard that is needed is downloaded, checked, unpacked and thrown away; what it holds is noted in
``.madbench-fetch`` below the folder, so that a further fetch downloads nothing twice.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from mad_core.datasets.hub import Hub, HubFile, Remote
from mad_core.datasets.madbench import BENCHMARKS, Benchmark, Identity, identify
from mad_core.datasets.naming import TEMPLATES, plain
from mad_core.datasets.readers.tables import is_template, subset_named
from mad_core.errors import InputError, UnavailableError, WorkError
from mad_core.image_formats import SUFFIXES
from mad_core.images import ImageError, probe
from mad_core.paths import sync

STATE = ".madbench-fetch"
COLUMNS = ("image", "relative_path")
MAX_IMAGE_BYTES = 200_000_000
MAX_IMAGES = 2_000_000
MAX_RATIO, RATIO_FROM = 50, 1_000_000_000
"""Most bytes that a shard may unpack to for a byte of its own; small shards may have more."""
SPARE_BYTES = 200_000_000
"""What stays free on the disk."""
REFUSED_NAMED = 20
_BATCH = 16
_LONGEST_PATH, _LONGEST_NAME = 400, 200
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Selection:
    """Which subsets are wanted; none named means everything."""

    wanted: tuple[Identity, ...] = ()

    def takes(self, relative: str) -> bool:
        """Whether an image or template belongs to a wanted subset, by its path in the published tree."""
        if not self.wanted:
            return True
        place = locate(relative)
        return place is not None and any(
            w.benchmark is place.benchmark and (not w.part or not place.part or plain(w.part) == plain(place.part))
            for w in self.wanted
        )


@dataclass(frozen=True)
class Fetched:
    """What a fetch did.

    Parameters
    ----------
    folder : Path
        The tree's top.
    images, kept : int
        Images written now, and wanted ones that were there already.
    bytes : int
        Downloaded now.
    shards : int
        Shards unpacked now.
    refused : tuple of str
        Images that were not written, with the reason: the first ones, then one that counts the rest.
    """

    folder: Path
    images: int
    kept: int
    bytes: int
    shards: int
    refused: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder), "refused": list(self.refused)}


def parse_selection(texts: Iterable[str]) -> Selection:
    """Read which subsets are wanted: ``mvtec``, ``visa/pcb1``, ``mvtec_bottle``, ``covid19``; commas join several.

    Raises
    ------
    InputError
        If a name is none of the benchmark's.
    """
    wanted = [_wanted(name) for text in texts for name in text.split(",") if name.strip(" /")]
    return Selection(tuple(dict.fromkeys(wanted)))


def locate(relative: str) -> Identity | None:
    """Which subset a path of the published tree belongs to; the part is empty where several subsets share it."""
    *above, name = relative.split("/")
    if is_template(name) and above and above[-1].lower() in TEMPLATES:
        return identify((subset_named(Path(name)),))
    for at, folder in enumerate(above):
        benchmark = next((b for b in BENCHMARKS if b.is_called(folder)), None)
        if benchmark is not None:
            return Identity(benchmark, _part(benchmark, above[at + 1 :]))
    return None


def safe_relative(written: str) -> str | None:
    """A path of the published tree in plain form; None where it leads elsewhere or is no image's or template's.

    No absolute path, no drive, no ``..``, no hidden name, no control character, no endless name, and
    a suffix of a known image format.
    """
    path = written.replace("\\", "/")
    if len(path) > _LONGEST_PATH or _DRIVE.match(path) or any(unicodedata.category(c)[0] == "C" for c in path):
        return None
    parts = path.split("/")
    if any(not p or p != p.strip() or p.startswith(".") or len(p.encode()) > _LONGEST_NAME for p in parts):
        return None
    return path if Path(path).suffix.lower() in SUFFIXES else None


def fetch_benchmark(
    folder: Path,
    selection: Selection,
    hub: Hub,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fetched:
    """Download what of the benchmark is wanted and missing.

    Parameters
    ----------
    folder : Path
        The tree's top; made where it is not there.
    selection : Selection
    hub : Hub
    progress : callable
        Called as ``progress(bytes done, bytes in all)``; what it raises ends the fetch. What came is kept,
        and the same call goes on from there.

    Raises
    ------
    UnavailableError
        If the hub cannot be reached or refuses a file.
    WorkError
        If the disk is too small or full, a checksum is wrong, a shard is no table of images, or another
        fetch writes into the folder.
    """
    try:
        (folder / STATE).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / STATE / "lock", timeout=0):
            return _Fetch(folder.resolve(), selection, hub, progress).go()
    except Timeout:
        raise WorkError(f"Another fetch is writing into {folder}; wait for it, or name another folder.") from None
    except OSError as error:
        raise WorkError(
            f"{error.filename or folder} cannot be written: {error.strerror or error}. What was fetched is kept; the "
            "same command goes on from there."
        ) from None


@dataclass
class _Fetch:
    """One fetch under way."""

    folder: Path
    selection: Selection
    hub: Hub
    progress: Callable[[int, int], None]
    images: int = 0
    kept: int = 0
    bytes: int = 0
    refused: list[str] = field(default_factory=list)

    def go(self) -> Fetched:
        revision, files = self.hub.listing(lambda: self.progress(0, 0))
        shards = [f for f in files if f.path.lower().endswith(".parquet")]
        if not shards:
            raise UnavailableError(f"{self.hub.repository} at {self.hub.endpoint} holds no table of images.")
        contents = {shard: self._contents(shard, revision) for shard in shards}
        needed = [shard for shard in shards if self._is_needed(contents[shard])]
        tables = [f for f in files if self._is_wanted_template(f.path)]
        self._check_room(needed, contents)
        self.kept = sum(len(self._wanted(contents[s])) for s in shards if s not in needed)
        total, done = sum(f.size for f in (*needed, *tables)), 0
        for file in tables:
            self._fetch_template(file, revision)
            done += file.size
        for shard in needed:
            path = self._state(shard, ".parquet")
            before = _there(path)
            self.hub.download(shard, revision, path, lambda came, base=done: self.progress(base + came, total))
            self.bytes += shard.size - before
            done += shard.size
            self.progress(done, total)
            self._unpack(shard, path, lambda at=done: self.progress(at, total))
            path.unlink()
        self.progress(done, total)
        return Fetched(self.folder, self.images, self.kept, self.bytes, len(needed), tuple(_counted(self.refused)))

    # -- what is needed -------------------------------------------------------------------------

    def _contents(self, shard: HubFile, revision: str) -> Mapping[str, int | None] | None:
        """Images of a shard and their sizes, where known: from an earlier fetch, or read from afar; else None."""
        note = self._state(shard, ".json")
        if note.is_file():
            try:
                return {str(path): int(size) for path, size in json.loads(note.read_text(encoding="utf-8"))["images"]}
            except (ValueError, KeyError, TypeError):
                note.unlink()
        if not self.selection.wanted or _there(self._state(shard, ".parquet")) == shard.size:
            return None
        self.progress(0, 0)
        try:
            remote = io.BufferedReader(Remote(self.hub.address(shard, revision), shard.size), 1 << 16)
            column = pq.ParquetFile(pa.PythonFile(remote, "r")).read(columns=[COLUMNS[1]]).column(0)
        except (OSError, HTTPException, pa.ArrowException, IndexError):  # then the whole shard tells
            return None
        return {safe: None for path in column.to_pylist() if isinstance(path, str) and (safe := safe_relative(path))}

    def _wanted(self, contents: Mapping[str, int | None] | None) -> list[str]:
        return [path for path in contents or () if self.selection.takes(path)]

    def _is_needed(self, contents: Mapping[str, int | None] | None) -> bool:
        return contents is None or bool(self._missing(contents))

    def _missing(self, contents: Mapping[str, int | None]) -> list[str]:
        return [p for p in self._wanted(contents) if not _is_here(self.folder / p, contents[p])]

    def _check_room(self, needed: Sequence[HubFile], contents: Mapping[HubFile, Any]) -> None:
        """Images take about what their shards take, and one shard at a time lies beside them."""
        share = {s: len(self._missing(files)) / len(files) if (files := contents[s]) else 1.0 for s in needed}
        need = sum(int(s.size * share[s]) for s in needed)
        need += max((s.size - _there(self._state(s, ".parquet")) for s in needed), default=0)
        free = shutil.disk_usage(self.folder).free
        if need and need + SPARE_BYTES > free:
            raise WorkError(
                f"The fetch needs about {_size(need + SPARE_BYTES)}, and {self.folder} has {_size(free)} free. Make "
                "room, name a folder on another disk with --to, or fetch fewer datasets with --only."
            )

    # -- writing --------------------------------------------------------------------------------

    def _unpack(self, shard: HubFile, path: Path, tick: Callable[[], None]) -> None:
        """Write the wanted images of a shard, and note all that it holds."""
        sizes: dict[str, int] = {}
        try:
            with pq.ParquetFile(path) as file:
                self._check_table(file, shard)
                for batch in file.iter_batches(batch_size=_BATCH, columns=list(COLUMNS)):
                    tick()
                    for relative, data in zip(batch.column(COLUMNS[1]).to_pylist(), _images(batch), strict=True):
                        sizes |= self._take(relative, data)
        except pa.ArrowException as error:
            raise WorkError(f"{shard.path} is not readable as Parquet: {str(error)[:120].strip('. ')}.") from None
        note = self._state(shard, ".json")
        building = note.with_suffix(".building")
        building.write_text(json.dumps({"file": shard.path, "images": list(sizes.items())}), encoding="utf-8")
        sync(self.folder)  # the note says that the images are there
        building.replace(note)

    def _take(self, written: Any, data: bytes | None) -> dict[str, int]:
        """Write one image if it is wanted; its path and size where it can be used at all."""
        relative = safe_relative(written) if isinstance(written, str) else None
        if relative is None:
            self.refused.append(f"{str(written)[:200]!r}: this path is unsafe or no image's.")
            return {}
        if not data or len(data) > MAX_IMAGE_BYTES:
            why = "it has no bytes" if not data else f"it has more than {MAX_IMAGE_BYTES / 1e6:.0f} MB"
            self.refused.append(f"{relative}: {why}.")
            return {}
        if self.selection.takes(relative) and not self._place(relative, data):
            return {}
        return {relative: len(data)}

    def _place(self, relative: str, data: bytes) -> bool:
        """Put an image in its place, all of it or nothing; False where it is refused."""
        target = self.folder / relative
        if not target.parent.resolve().is_relative_to(self.folder) or target.is_symlink():
            self.refused.append(f"{relative}: a link leads out of {self.folder} there.")
            return False
        if _is_here(target, len(data)):
            self.kept += 1
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".{target.name}.part")
        try:
            building.write_bytes(data)
            probe(building)
            building.replace(target)
        except ImageError as error:
            self.refused.append(f"{relative}: {str(error).replace(str(building), target.name)}")
            return False
        finally:
            building.unlink(missing_ok=True)
        self.images += 1
        return True

    def _check_table(self, file: pq.ParquetFile, shard: HubFile) -> None:
        missing = [c for c in COLUMNS if c not in file.schema_arrow.names]
        if missing:
            raise WorkError(
                f"{shard.path} has no column {' and no column '.join(missing)}; it is no part of MAD-Bench."
            )
        facts = file.metadata
        unpacked = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
        if facts.num_rows > MAX_IMAGES or unpacked > max(RATIO_FROM, MAX_RATIO * shard.size):
            raise WorkError(f"{shard.path} would unpack to {_size(unpacked)}, too much for {_size(shard.size)}.")

    def _is_wanted_template(self, path: str) -> bool:
        name = Path(path).name
        return is_template(name) and self.selection.takes(f"template/{name}")

    def _fetch_template(self, file: HubFile, revision: str) -> None:
        """A test list: it goes to ``template`` in the folder that holds the published tree."""
        name = safe_relative(f"{Path(file.path).stem}.png")  # the name alone is looked at
        if name is None or file.size > MAX_IMAGE_BYTES:
            return
        target = self.folder / "template" / Path(file.path).name
        target.parent.mkdir(exist_ok=True)
        self.hub.download(file, revision, target, lambda came: None)

    def _state(self, shard: HubFile, suffix: str) -> Path:
        return self.folder / STATE / f"{shard.sha256 or shard.blob}{suffix}"


def _images(batch: pa.RecordBatch) -> Iterator[bytes | None]:
    """The bytes of a batch's images: a column of bytes, or of structures that hold bytes."""
    column = batch.column(COLUMNS[0])
    for value in column:
        data = value.as_py()
        data = data.get("bytes") if isinstance(data, dict) else data
        yield data if isinstance(data, bytes) else None


def _wanted(name: str) -> Identity:
    trail = [part for part in name.strip().strip("/").split("/") if part]
    identity = identify(tuple(trail)) or (identify((trail[-1],)) if trail else None)
    if identity is None or (identity.part and not identity.published):
        raise InputError(f"'{name.strip()}' is none of the benchmark's datasets and subsets, which are {_names()}.")
    return identity


def _names() -> str:
    return "; ".join(b.key + (f" ({', '.join(b.subsets)})" if b.parts else "") for b in BENCHMARKS)


def _part(benchmark: Benchmark, below: Sequence[str]) -> str:
    if not benchmark.parts or not below:
        return ""
    if benchmark.key != "multidog":
        return below[0]
    return below[1] if len(below) > 1 and below[0].lower().startswith("level_0") else ""


def _is_here(target: Path, size: int | None) -> bool:
    return target.is_file() and size in (None, target.stat().st_size)


def _there(path: Path) -> int:
    """Bytes of a download that lie here already, finished or not."""
    part = path.with_name(f"{path.name}.part")
    return next((p.stat().st_size for p in (path, part) if p.is_file()), 0)


def _counted(refused: Sequence[str]) -> list[str]:
    rest = len(refused) - REFUSED_NAMED
    return [*refused[:REFUSED_NAMED], *([f"{rest} more images were not written."] if rest > 0 else [])]


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
