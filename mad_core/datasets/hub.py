"""The published benchmark on the Hugging Face hub: what files it has, and how to get one, cut-offs included.

The hub's own library throws a download away that a stopped process left unfinished (version 2.4), and
shards have hundreds of megabytes; so the few requests that are needed are made here. ``HF_ENDPOINT`` names
another hub, such as a mirror in one's own network; ``HF_HUB_OFFLINE`` holds for the public one.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mad_core.errors import InputError, UnavailableError, WorkError

REPOSITORY = "tricao1105/MultilevelADSet"
PUBLIC = "https://huggingface.co"
ATTEMPTS = 5
"""Attempts in a row that bring no further byte, before a download is given up."""
WAIT_SECONDS = 1.0
TIMEOUT_SECONDS = 15.0
"""A silent server is left before the worker takes the job for dead."""
MOST_PAGES, MOST_LISTING_BYTES = 1_000, 50_000_000
_CHUNK = 1 << 20
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="next"')
_TRANSIENT = (OSError, http.client.HTTPException)  # URLError and timeouts are OSErrors


@dataclass(frozen=True)
class HubFile:
    """A file of the repository: its path, size in bytes, and the SHA-256 of its content or its git blob id."""

    path: str
    size: int
    sha256: str | None
    blob: str = ""

    def is_whole(self, path: Path) -> bool:
        """Whether a file on disk has this file's content."""
        if path.stat().st_size != self.size:
            return False
        with path.open("rb") as file:
            if self.sha256:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
            digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)  # as git names content
            while piece := file.read(_CHUNK):
                digest.update(piece)
        return digest.hexdigest() == self.blob


@dataclass(frozen=True)
class Hub:
    """One repository of data sets on a hub.

    Parameters
    ----------
    endpoint : str
        The hub's address, without a slash at its end.
    repository : str
    """

    endpoint: str = PUBLIC
    repository: str = REPOSITORY

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Hub:
        """The hub that ``HF_ENDPOINT`` names, else the public one.

        Raises
        ------
        InputError
            If the address is none.
        UnavailableError
            If ``HF_HUB_OFFLINE`` keeps this machine off the public hub.
        """
        endpoint = (environment.get("HF_ENDPOINT") or PUBLIC).rstrip("/")
        if urllib.parse.urlsplit(endpoint).scheme not in ("http", "https"):
            raise InputError(f"HF_ENDPOINT is '{endpoint}', which is no http or https address.")
        if endpoint == PUBLIC and environment.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on"):
            raise UnavailableError(
                f"HF_HUB_OFFLINE is set, so {PUBLIC} is not asked. Unset it, or fetch on another machine and copy "
                "the folder here."
            )
        return cls(endpoint)

    def listing(self, check: Callable[[], None] = lambda: None) -> tuple[str, list[HubFile]]:
        """The newest revision of the repository and its files; ``check`` is called between requests.

        Raises
        ------
        UnavailableError
            If the hub does not answer or has no such repository.
        """
        api = f"{self.endpoint}/api/datasets/{self.repository}"
        revision = str(self._json(f"{api}/revision/main", check)[0].get("sha", ""))
        if not re.fullmatch(r"[0-9a-zA-Z]{6,64}", revision):
            raise UnavailableError(f"{api} names no revision; {self.endpoint} is not a Hugging Face hub.")
        files = [_file(entry) for entry in self._pages(f"{api}/tree/{revision}?recursive=true", check)]
        return revision, sorted((f for f in files if f), key=lambda f: f.path)

    def address(self, file: HubFile, revision: str) -> str:
        return f"{self.endpoint}/datasets/{self.repository}/resolve/{revision}/{urllib.parse.quote(file.path)}"

    def download(self, file: HubFile, revision: str, target: Path, progress: Callable[[int], None]) -> None:
        """Get a file, going on where an earlier download of it ended, and check its content.

        Parameters
        ----------
        file : HubFile
        revision : str
        target : Path
            Appears when the file is whole; until then what came lies beside it as ``<name>.part``.
        progress : callable
            Called as ``progress(bytes there)``; what it raises ends the download and keeps what came.

        Raises
        ------
        UnavailableError
            If the hub does not give the file.
        WorkError
            If what it gives does not have the published checksum.
        """
        if target.is_file() and file.is_whole(target):
            return
        part = target.with_name(f"{target.name}.part")
        for _ in range(2):  # what lay here may be damaged: once more from the start
            self._complete(file, revision, part, progress)
            if file.is_whole(part):
                part.replace(target)
                return
            part.unlink()
        raise WorkError(
            f"{self.address(file, revision)} does not have the published checksum. It was downloaded twice and thrown "
            "away; try again later, or from another network."
        )

    def _complete(self, file: HubFile, revision: str, part: Path, progress: Callable[[int], None]) -> None:
        """Bring the unfinished file to its full size, however often the connection is cut."""
        failed, address = 0, self.address(file, revision)
        while (have := part.stat().st_size if part.is_file() else 0) < file.size or not part.is_file():
            reason = "the connection ended early"
            progress(have)
            try:
                self._append(address, part, have, file.size, progress)
            except urllib.error.HTTPError as error:
                if error.code == 416:  # it holds no such range: what lies here is of another file
                    part.unlink(missing_ok=True)
                elif error.code not in (408, 429) and error.code < 500:
                    raise UnavailableError(f"{address} is refused: {error.code} {error.reason}.") from None
                reason = f"{error.code} {error.reason}"
            except _TRANSIENT as error:
                if isinstance(error, OSError) and error.errno and error.filename:  # of this disk, not of the network
                    raise
                reason = str(getattr(error, "reason", "") or error or type(error).__name__)
            gained = (part.stat().st_size if part.is_file() else 0) > have
            failed = 0 if gained else failed + 1
            if failed >= ATTEMPTS:
                raise UnavailableError(
                    f"{address} could not be downloaded: {reason}. What came is kept; the same command goes on from "
                    "there."
                )
            if failed:
                time.sleep(WAIT_SECONDS * 2 ** (failed - 1))
        if have > file.size:
            part.unlink()
            self._complete(file, revision, part, progress)

    def _append(self, address: str, part: Path, have: int, size: int, progress: Callable[[int], None]) -> None:
        with _opened(address, {"Range": f"bytes={have}-"} if have else {}) as answer:
            begin = have if answer.status == 206 else 0  # a server may ignore the range and send everything
            with part.open("ab" if begin else "wb") as file:
                while begin < size and (piece := answer.read(min(_CHUNK, size - begin))):
                    _write(file, piece, part)
                    begin += len(piece)
                    progress(begin)

    def _pages(self, address: str, check: Callable[[], None]) -> Iterator[Mapping[str, Any]]:
        for _ in range(MOST_PAGES):
            entries, following = self._json(address, check)
            if not isinstance(entries, list):
                raise UnavailableError(f"{address} lists no files; {self.endpoint} is not a Hugging Face hub.")
            yield from entries
            if following is None:
                return
            address = urllib.parse.urljoin(address, following)

    def _json(self, address: str, check: Callable[[], None]) -> tuple[Any, str | None]:
        """A JSON document, and the address of its next page."""
        reason = ""
        for attempt in range(ATTEMPTS):
            check()
            try:
                with _opened(address, {}) as answer:
                    link = _NEXT.search(answer.headers.get("Link") or "")
                    return json.loads(answer.read(MOST_LISTING_BYTES)), link[1] if link else None
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {error.reason}"
                if error.code not in (408, 429) and error.code < 500:
                    break
            except (*_TRANSIENT, ValueError) as error:
                reason = str(getattr(error, "reason", "") or error or type(error).__name__)
            if attempt + 1 < ATTEMPTS:
                time.sleep(WAIT_SECONDS * 2**attempt)
        raise UnavailableError(
            f"{address} cannot be read: {reason}. Check the network, or name a mirror in HF_ENDPOINT; on a machine "
            "without network, copy the benchmark's folder here instead."
        )


class Remote(io.RawIOBase):
    """A file on the hub that is read in pieces, by range; nothing else of it is downloaded.

    Raises
    ------
    OSError
        On reading, if the server does not answer ranges.
    """

    def __init__(self, address: str, size: int) -> None:
        self._address, self._size, self._at = address, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._at + len(buffer))
        if end <= self._at:
            return 0
        with _opened(self._address, {"Range": f"bytes={self._at}-{end - 1}"}) as answer:
            if answer.status != 206:
                raise OSError(f"{self._address} is not given in pieces.")
            data = answer.read(end - self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _opened(address: str, headers: Mapping[str, str]) -> Any:
    request = urllib.request.Request(address, headers={"User-Agent": "mad-inspector", **headers})  # noqa: S310 - http(s)
    return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 - see from_environment


def _write(file: Any, piece: bytes, path: Path) -> None:
    """Write, so that a full disk is told from a broken connection: its error names the file."""
    try:
        file.write(piece)
        file.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _file(entry: Mapping[str, Any]) -> HubFile | None:
    """What the tree says of a file; None for folders."""
    if entry.get("type") != "file":
        return None
    lfs = entry.get("lfs") or {}
    sha256 = str(lfs.get("oid") or lfs.get("sha256") or "").removeprefix("sha256:") or None
    return HubFile(
        str(entry["path"]), int(lfs.get("size") or entry.get("size") or 0), sha256, str(entry.get("oid", ""))
    )
