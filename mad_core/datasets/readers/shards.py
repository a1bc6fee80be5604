"""Images that lie inside tables and shards: Parquet with image bytes (files of the Hugging Face hub), webdataset tars.

They are unpacked once, below ``MAD_HOME``, into a folder that is then read like any other: as the tree that the
benchmark's own files name (columns ``image`` and ``relative_path``), else as images with a table of what shards say.
"""

import csv
import hashlib
import json
import posixpath
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from mad_core.datasets.naming import SPLITS
from mad_core.datasets.readers import archives
from mad_core.datasets.walking import Walker
from mad_core.errors import InputError
from mad_core.images import content_hash
from mad_core.paths import fits, remove_tree, spare_bytes, sync
from mad_core.tables import cell_text, resolve_columns

MAX_IMAGE_BYTES = 200_000_000
MAX_IMAGES = 2_000_000
MAX_RATIO, RATIO_FROM = 50, 1_000_000_000
TABLE = "labels.csv"
"""What the shards say of their images, in the folder that they are unpacked to."""
_OWN, _OTHERS = ("path", "level", "defect", "split", "subset", "mask", "group"), 12
_BATCH = 4
_DEPTH = 3
_TARS = (".tar", ".tar.gz", ".tgz")
_IMAGE_NAMES = ("image", "img", "picture", "photo", "bytes", "imagebytes", "jpg", "jpeg", "png")
_MASK_NAMES = ("mask", "groundtruth", "segmentation", "annotation", "gtmask")
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8", ".jpg"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"BM", ".bmp"),
    (b"GIF8", ".gif"),
    (b"RIFF", ".webp"),
)


@dataclass(frozen=True)
class _Layout:
    """Which columns of a Parquet file hold images, masks, the published path, and what is said of each image."""

    image: str
    mask: str = ""
    tree: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)


def holds_images(path: Path) -> bool:
    """Whether a Parquet file holds the bytes of images."""
    return path.suffix.lower() == ".parquet" and _layout(path) is not None


def may_be_shard(name: str) -> bool:
    """Whether a file is called as shards are."""
    return name.lower().endswith((".parquet", *_TARS))


def shards_in(folder: Path, walker: Walker) -> list[Path]:
    """The shards of a folder that holds no images of its own: Parquet files with images, or tars; none otherwise."""
    if next(walker.images(folder), None) is not None:
        return []
    files = list(_files(folder, walker, _DEPTH))
    with_images = [f for f in files if holds_images(f)]
    return sorted(with_images or [f for f in files if f.name.lower().endswith(_TARS)])


def _files(folder: Path, walker: Walker, depth: int) -> Iterator[Path]:
    yield from (folder / name for name in walker.files(folder))
    for inner in walker.folders(folder) if depth else []:
        yield from _files(inner, walker, depth - 1)


def unpacked(shards: Sequence[Path], into: Path, progress: Callable[[int, int], None]) -> Path:
    """The folder that shards are unpacked to, below ``into``; what was unpacked before is not unpacked again.

    Raises
    ------
    InputError
        If a shard is damaged, too large, or holds a path that is unsafe.
    """
    digest = hashlib.blake2b(digest_size=16)
    for shard in shards:
        digest.update(f"{shard.name}\0{content_hash(shard)}\n".encode())
        progress(0, 0)
    folder = into / f"shards-{digest.hexdigest()}"
    try:
        into.mkdir(parents=True, exist_ok=True)
        with FileLock(into / f"{folder.name}.lock"):
            if not folder.is_dir():
                _unpack_at_once(shards, folder, into, progress)
    except OSError as error:
        raise InputError(f"{shards[0]} cannot be unpacked: {error.strerror or error}.") from None
    return folder


def _unpack_at_once(shards: Sequence[Path], folder: Path, into: Path, progress: Callable[[int, int], None]) -> None:
    building = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")
    building.mkdir()
    try:
        if all(s.suffix.lower() == ".parquet" for s in shards):
            _Unpacking(building, progress).go(shards)
        else:
            for shard in shards:
                _link(archives.extract(shard, into, progress), building / archives.name_of(shard))
        sync(building)
        building.rename(folder)
        sync(folder.parent)
    finally:
        remove_tree(building)


def _link(source: Path, target: Path) -> None:
    """The files of an unpacked archive, in a second place without a second copy."""
    for file in sorted(p for p in source.rglob("*") if p.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.hardlink_to(file)


def _layout(path: Path) -> _Layout | None:
    """How a Parquet file holds its images; None where it holds none or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            schema = file.schema_arrow
    except Exception:  # Arrow raises nearly anything for a file that is broken
        return None
    holding = [f.name for f in schema if _is_bytes(f.type)]
    plain = {re.sub(r"[\s_\-]+", "", name).lower(): name for name in reversed(holding)}
    masks = [plain[name] for name in _MASK_NAMES if name in plain]
    structures = [f.name for f in schema if pa.types.is_struct(f.type) and f.name in holding and f.name not in masks]
    image = next((plain[name] for name in _IMAGE_NAMES if name in plain), structures[0] if structures else None)
    if image is None:
        return None
    facts = {f.name for f in schema if not pa.types.is_nested(f.type) and f.name not in holding}
    try:
        columns = resolve_columns([name for name in schema.names if name in facts])
    except InputError:
        columns = {}
    tree = "relative_path" if "relative_path" in facts and "level" not in columns else ""
    if not tree and not columns.keys() & {"level", "defect"}:  # a person may say which of the others it is
        others = [name for name in schema.names if name in facts and name not in (*columns.values(), *_OWN)]
        columns |= {name: name for name in others[:_OTHERS]}
    return _Layout(image, masks[0] if masks else "", tree, columns, _class_names(schema.metadata or {}))


def _is_bytes(kind: Any) -> bool:
    """Whether a column holds bytes, or structures with bytes."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The words that stand for the numbers of class columns, as the hub's library writes them beside the table."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            str(name): [str(word) for word in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


@dataclass
class _Unpacking:
    """Parquet files being written out as images and one table."""

    folder: Path
    progress: Callable[[int, int], None]
    images: int = 0
    written: int = 0
    most: int = RATIO_FROM
    lines: list[dict[str, str]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    by_name: int = 0
    """Rows whose split the name of their file says; where all are for training nothing was parted."""

    def go(self, shards: Sequence[Path]) -> None:
        self.most = max(RATIO_FROM, MAX_RATIO * sum(s.stat().st_size for s in shards))
        for shard in shards:
            self._shard(shard)
        if self.by_name == len(self.lines) and all(line["split"] == "train" for line in self.lines):
            self.lines = [{k: v for k, v in line.items() if k != "split"} for line in self.lines]
        if self.lines:
            columns = dict.fromkeys(key for line in self.lines for key in line)
            with (self.folder / TABLE).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(columns), restval="")
                writer.writeheader()
                writer.writerows(self.lines)

    def _shard(self, shard: Path) -> None:
        import pyarrow.parquet as pq

        layout = _layout(shard)
        if layout is None:
            raise InputError(f"{shard} holds no images.")
        columns = [c for c in (layout.image, layout.mask, layout.tree, *layout.facts.values()) if c]
        try:
            with pq.ParquetFile(shard, memory_map=True) as file:
                facts = file.metadata
                declared = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
                if facts.num_rows > MAX_IMAGES or declared > self.most:
                    raise InputError(
                        f"{shard} would unpack to more than {self.most / 1e6:.0f} MB or {MAX_IMAGES} images."
                    )
                row = 0
                for batch in file.iter_batches(_BATCH, columns=list(dict.fromkeys(columns))):
                    self.progress(0, self.images)
                    values = {name: batch.column(name) for name in batch.schema.names}
                    for at in range(batch.num_rows):
                        self._row(shard, layout, {n: column[at].as_py() for n, column in values.items()}, row)
                        row += 1
        except (InputError, OSError):
            raise
        except Exception as error:  # Arrow raises nearly anything for a file that is broken
            words = re.sub(r"[^ -~]+", " ", str(error))[:120].strip(". ")
            raise InputError(f"{shard} is not readable as Parquet: {words}.") from None

    def _row(self, shard: Path, layout: _Layout, row: Mapping[str, Any], number: int) -> None:
        data, named = _image_of(row[layout.image])
        if not data:
            raise InputError(f"{shard}, row {number + 1}: the column '{layout.image}' holds no bytes of an image.")
        split = next((SPLITS[w] for w in re.split(r"[\W_]+", shard.stem.lower()) if w in SPLITS), "")
        if layout.tree:
            relative = str(row[layout.tree] or "").replace("\\", "/")
            self._write(shard, relative, data)
            return
        stated = str(row.get(layout.facts.get("path", ""), "") or "") or named
        name = self._free(f"images/{shard.stem}", stated, data, number)
        self._write(shard, name, data)
        line = {"path": name, **self._facts(layout, row)}
        if split and not line.get("split"):
            line["split"] = split
            self.by_name += 1
        mask = _image_of(row[layout.mask])[0] if layout.mask else b""
        if mask:
            line["mask"] = f"masks/{name.removeprefix('images/')}{_suffix(mask)}"
            self._write(shard, line["mask"], mask)
        self.lines.append(line)

    def _facts(self, layout: _Layout, row: Mapping[str, Any]) -> dict[str, str]:
        """What a row says by columns of known meaning; the word of a class for its number."""
        facts = {}
        for ours, name in layout.facts.items():
            value, words = row.get(name), layout.words.get(name, ())
            if isinstance(value, int) and 0 <= value < len(words):
                value = words[value]
            if ours != "path":
                facts[ours] = cell_text(value)
        return facts

    def _free(self, folder: str, stated: str, data: bytes, number: int) -> str:
        """A name that no image has yet: the one that the row says, or its number."""
        name = re.sub(r"[^\w.,()+\- ]", "_", posixpath.basename(stated.replace("\\", "/"))).strip(" .")[-100:]
        if not name or f"{folder}/{name}" in self.taken:
            name = f"{number:06d}"
        if not posixpath.splitext(name)[1]:
            name += _suffix(data)
        if f"{folder}/{name}" in self.taken:
            name = f"{number:06d}_{name}"
        self.taken.add(f"{folder}/{name}")
        return f"{folder}/{name}"

    def _write(self, shard: Path, relative: str, data: bytes) -> None:
        plain = posixpath.normpath(relative)
        parts = plain.split("/")
        if plain.startswith(("/", "..")) or re.match(r"[A-Za-z]:", plain) or not fits(plain) or not plain.isprintable():
            raise InputError(f"{shard} holds the path '{plain[:100]!a}', which leads out of it; it is not unpacked.")
        if any(part.startswith(".") for part in parts):
            raise InputError(f"{shard} holds the hidden path '{plain[:100]!a}'; it is not unpacked.")
        self.images, self.written = self.images + 1, self.written + len(data)
        if len(data) > MAX_IMAGE_BYTES or self.written > self.most or len(data) > spare_bytes(self.folder):
            raise InputError(
                f"{shard} unpacks to more than it may or than this disk holds ({self.written / 1e6:.0f} MB)."
            )
        target = self.folder / plain
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _image_of(value: Any) -> tuple[bytes, str]:
    """The bytes of an image and the name that stands beside them."""
    data = value.get("bytes") if isinstance(value, dict) else value
    name = value.get("path") if isinstance(value, dict) else ""
    return data if isinstance(data, bytes) else b"", name if isinstance(name, str) else ""


def _suffix(data: bytes) -> str:
    return next((suffix for mark, suffix in _MAGIC if data.startswith(mark)), ".png")
