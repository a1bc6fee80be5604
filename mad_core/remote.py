"""Images that lie on object storage: listed through fsspec, fetched one by one when they are needed.

An address looks like ``s3://bucket/folder``. What is fetched lies below ``<MAD_HOME>/remote``, and the files that were
used least recently go when there are more than ``MAD_REMOTE_GB`` of them. Credentials come from where the storage's own
library looks for them (environment, configuration files); an address never carries any.
"""

import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mad_core.errors import InputError, UnavailableError, WorkError
from mad_core.paths import sync
from mad_core.settings import Settings

PROTOCOLS = ("s3", "gs", "gcs", "az", "abfs", "abfss", "oss", "hdfs", "sftp", "smb", "memory")
"""Storage that may be named; ``memory`` is that of this process, for trials."""
_ADDRESS = re.compile(rf"({'|'.join(PROTOCOLS)}):/+(.+)", re.DOTALL)  # pathlib takes one of two slashes away
_CHECK_EVERY = 50_000_000
"""Bytes fetched between two looks at the size of the cache."""
MOST_FILES = 2_000_000
MOST_BYTES = 2_000_000_000
"""Of one file."""
NEEDS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "oss": "ossfs"}


class MissingError(InputError):
    """There is no such object."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file below an address: its path relative to it (POSIX form) and its size in bytes."""

    relative: str
    size: int


def is_address(source: str | Path) -> bool:
    """Whether a source lies on object storage, not in a file system of this machine."""
    return _ADDRESS.fullmatch(str(source)) is not None


def plain_address(source: str | Path) -> str:
    """An address as it is kept: two slashes, none at the end.

    Raises
    ------
    InputError
        If it carries a user's name or a key, or leads out of itself.
    """
    match = _ADDRESS.fullmatch(str(source))
    if match is None:
        raise InputError(f"{source} is no address of object storage; known are {', '.join(PROTOCOLS)}.")
    protocol, rest = match[1], match[2].rstrip("/")
    if "@" in rest.partition("/")[0] or "?" in rest or "::" in rest:
        raise InputError(
            "An address carries no user, key or option; give these where the storage's library reads them."
        )
    if any(part in ("", ".", "..") for part in rest.split("/")):
        raise InputError(f"{source} leads out of itself or names an empty folder.")
    return f"{protocol}://{rest}"


def ready(address: str) -> None:
    """See that an address can be read with what is installed; the storage itself is not asked.

    Raises
    ------
    InputError
        As :func:`plain_address`.
    UnavailableError
        If a library is missing.
    """
    _system(plain_address(address))


def listed(address: str, progress: Callable[[int, int], None]) -> list[RemoteFile]:
    """Every file below an address; ``progress(0, files so far)`` is called now and then.

    Raises
    ------
    InputError
        If nothing lies there, or too much.
    UnavailableError
        If the storage cannot be reached or its library is missing.
    """
    system, root = _system(address)
    below: list[RemoteFile] = []
    with _InWords(address):
        for folder, _, files in system.walk(root, detail=True):
            for name, facts in files.items():
                relative = f"{folder}/{name}".removeprefix(root).strip("/")
                if relative:  # an empty one is the folder's own marker
                    below.append(RemoteFile(relative, int(facts.get("size") or 0)))
            if len(below) > MOST_FILES:
                raise InputError(f"{address} holds more than {MOST_FILES:,} files; name the dataset's own folder.")
            progress(0, len(below))
        if not below and system.isfile(root):
            raise InputError(f"{address} is one file; name the folder that holds the dataset.")
    if not below:
        raise InputError(f"{address} is not there or holds no files.")
    return sorted(below, key=lambda file: file.relative)


def local(path: str | Path) -> Path:
    """Where a file can be opened on this machine: itself, or what was fetched of an address.

    Raises
    ------
    MissingError
        If there is no such object.
    UnavailableError
        If the storage cannot be reached.
    WorkError
        If what comes cannot be kept.
    """
    if not is_address(path):
        return Path(path)
    address = plain_address(path)
    target = _kept(address)
    try:
        os.utime(target)  # used just now
    except FileNotFoundError:
        fetch(address, target)
        _cache().grown(target.stat().st_size)
    return target


def fetch(address: str, target: Path) -> None:
    """Fetch one object into a file, all of it or nothing."""
    system, path = _system(address)
    building = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    with _InWords(address):
        if system.size(path) is None or system.size(path) > MOST_BYTES:
            raise InputError(f"{address} is larger than {MOST_BYTES / 1e9:.0f} GB.")
        with system.open(path, "rb") as source:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with building.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                sync(building)
                building.replace(target)
            except OSError as error:
                if error.errno is None:  # of the network, not of this disk
                    raise
                raise WorkError(f"{address} cannot be kept in {target.parent}: {error.strerror}.") from error
            finally:
                building.unlink(missing_ok=True)


# -- the storage ------------------------------------------------------------------------------------


def _system(address: str) -> tuple[Any, str]:
    """The file system of an address and the path in it."""
    protocol = address.partition(":")[0]
    try:
        import fsspec

        with _InWords(address):
            system, path = fsspec.core.url_to_fs(address)
    except ImportError:
        package = NEEDS.get(protocol, "a library of its own")
        raise UnavailableError(
            f"Reading {protocol}:// needs {package}: pip install -r requirements-storage.txt, or pip install {package}."
        ) from None
    return system, str(path)


class _InWords:
    """Turn what a storage's library raises into one sentence; ours and missing libraries pass."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, InputError | UnavailableError | WorkError | ImportError):
            return
        if isinstance(error, FileNotFoundError):
            raise MissingError(f"{self.address} is not there.") from None
        if isinstance(error, PermissionError) or "credential" in str(error).lower():
            raise UnavailableError(
                f"{self.address} may not be read with the credentials of this machine; give them where the storage's "
                "library looks for them (for s3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws)."
            ) from None
        raise UnavailableError(f"{self.address} cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return text if text.endswith(".") else f"{text}."


# -- the cache --------------------------------------------------------------------------------------


class _Cache:
    """The folder of what was fetched, kept below a size."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self._fetched, self._lock = 0, threading.Lock()

    def grown(self, size: int) -> None:
        """Some bytes came; look now and then whether there are too many, and drop what was used least recently."""
        with self._lock:
            self._fetched += size
            if self._fetched < min(_CHECK_EVERY, self.most // 10):
                return
            self._fetched = 0
            there = sorted(self._files())
            spare = sum(size for _, size, _ in there) - int(0.9 * self.most)
            for _, size, path in there:
                if spare <= 0:
                    return
                Path(path).unlink(missing_ok=True)
                spare -= size

    def _files(self) -> Iterator[tuple[float, int, str]]:
        for above, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(above, name)  # noqa: PTH118 - many times
                try:
                    facts = os.stat(path)  # noqa: PTH116 - many times
                except FileNotFoundError:
                    continue
                yield facts.st_mtime, facts.st_size, path


def _cache() -> _Cache:
    settings = Settings.from_environment()
    return _cache_of(settings.remote, settings.remote_bytes)


@lru_cache(maxsize=4)
def _cache_of(folder: Path, most: int) -> _Cache:
    return _Cache(folder, most)


def _kept(address: str) -> Path:
    """Where a fetched file lies; its name is a digest, so an address cannot lead out of the folder."""
    digest = hashlib.blake2b(address.encode(), digest_size=16).hexdigest()
    suffix = Path(address).suffix.lower()
    suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
    return Settings.from_environment().remote / digest[:2] / f"{digest}{suffix}"
