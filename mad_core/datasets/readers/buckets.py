"""Datasets on object storage: the tree is rebuilt here without its images, so that it is read by the rules of folders.

Tables, cards and policies are copied; an image is an empty file that stands for its address. Each image is fetched once
at import, for its header and digest, and lies in the cache until room is needed. Where there are no images but shards,
Parquet files or tars with images in them, these are fetched whole.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mad_core import remote
from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import listed
from mad_core.datasets.readers.shards import may_be_shard
from mad_core.datasets.walking import COMPANIONS, is_hidden, is_image
from mad_core.errors import InputError, WorkError
from mad_core.paths import fits, remove_tree
from mad_core.settings import Settings

MOST_TEXT_BYTES = 64_000_000
"""Larger tables are left out."""
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Bucket:
    """An address and the tree that stands for it on this machine."""

    address: str
    root: Path

    @property
    def name(self) -> str:
        return self.address.rpartition("/")[2]

    def address_of(self, path: str) -> str:
        """The address that a path of the tree stands for."""
        return f"{self.address}/{Path(path).relative_to(self.root).as_posix()}"


def rebuilt(address: str, settings: Settings, progress: Callable[[int, int], None]) -> tuple[Bucket, list[Problem]]:
    """Rebuild the tree of an address below ``<MAD_HOME>/remote``.

    Raises
    ------
    InputError
        If nothing lies there.
    UnavailableError
        If the storage cannot be reached.
    WorkError
        If the tree cannot be written.
    """
    files = remote.listed(address, progress)
    shards = [] if any(is_image(f.relative) for f in files) else [f for f in files if may_be_shard(f.relative)]
    if sum(file.size for file in shards) > settings.remote_bytes:
        raise InputError(
            f"{address} holds {sum(f.size for f in shards) / 1e9:.1f} GB of shards, more than the "
            f"{settings.remote_bytes / 1e9:.1f} GB of MAD_REMOTE_GB; raise it, or name a folder with fewer of them."
        )
    digest = hashlib.blake2b(address.encode(), digest_size=8).hexdigest()
    bucket = Bucket(address, settings.remote / "trees" / digest)
    refused: list[Problem] = []
    try:
        remove_tree(bucket.root)
        for place, file in enumerate(files):
            if place % 1_000 == 0:
                progress(0, len(files))
            problem = _put(bucket, file, file in shards)
            refused += [problem] if problem else []
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{address} holds a file and a folder of one name: {error.filename}.") from None
    except OSError as error:
        raise WorkError(f"The tree of {address} cannot be written to {bucket.root}: {error.strerror}.") from error
    return bucket, listed(refused)


def _put(bucket: Bucket, file: remote.RemoteFile, whole: bool) -> Problem | None:
    address = f"{bucket.address}/{file.relative}"
    if not _is_safe(file.relative):
        shown = file.relative.encode(errors="replace").decode()[:200]
        return Problem("unreadable", shown, "This name is no path that a folder can hold; the file is left out.")
    if any(is_hidden(part) for part in file.relative.split("/")):
        return None
    target = bucket.root / file.relative
    suffix = target.suffix.lower()
    if suffix in COMPANIONS and file.size > MOST_TEXT_BYTES and not whole:
        return Problem("too-large", address, f"This file has more than {MOST_TEXT_BYTES / 1e6:.0f} MB; it is left out.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if suffix in COMPANIONS or whole:
        remote.fetch(address, target)
    elif is_image(target.name):
        target.touch()
    return None


def _is_safe(relative: str) -> bool:
    """No way out of the folder, no name that some file system takes for another one."""
    parts = relative.split("/")
    return (
        fits(relative)
        and "\\" not in relative
        and not _DRIVE.match(relative)
        and not any(part in ("", ".", "..") for part in parts)
        and not any(unicodedata.category(c)[0] == "C" for c in relative)
    )
