"""Datasets uploaded through a page."""

import hashlib
import io
import os
import re
import secrets
from pathlib import Path
from typing import IO

from mad_core.errors import InputError
from mad_core.paths import sync
from mad_core.secret_key import unguessable
from mad_core.settings import Settings

MAX_BYTES = 20_000_000_000
_CHUNK = 1 << 20


def keep_upload(settings: Settings, name: str, data: bytes | IO[bytes]) -> Path:
    """Keep an uploaded archive or table below ``settings.imports``.

    Parameters
    ----------
    settings : Settings
    name : str
        What the file is called where it came from; only its last part is used, odd characters replaced.
    data : bytes or binary file
        Read in pieces.

    Returns
    -------
    Path
        A file in a folder of its own, whose name nobody can guess: the same upload gives the same path, and
        another one never overwrites it. It goes after a while if no dataset comes of it.

    Raises
    ------
    InputError
        If it is empty or has more than ``MAX_BYTES``.
    """
    settings.imports.mkdir(parents=True, exist_ok=True)
    building = settings.imports / f"{secrets.token_hex(8)}.part"
    try:
        digest = _write(building, io.BytesIO(data) if isinstance(data, bytes) else data)
        target = settings.imports / f"upload-{unguessable(settings.home, f'upload {digest}')}" / safe_name(name)
        target.parent.mkdir(exist_ok=True)
        sync(building)
        building.replace(target)
        os.utime(target.parent)
    finally:
        building.unlink(missing_ok=True)
    return target


def safe_name(name: str) -> str:
    """A file name without folders, control characters or leading dots; at most 120 characters, its end kept."""
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r"[^\w.,()+\- ]", "_", last).strip(" .")[-120:].strip(" .")
    return clean or "upload"


def _write(path: Path, source: IO[bytes]) -> str:
    digest, size = hashlib.blake2b(digest_size=16), 0
    with path.open("wb") as file:
        while piece := source.read(_CHUNK):
            size += len(piece)
            if size > MAX_BYTES:
                raise InputError(f"The upload has more than {MAX_BYTES / 1e9:.0f} GB; copy it to this machine instead.")
            digest.update(piece)
            file.write(piece)
    if size == 0:
        raise InputError("The upload is empty.")
    return digest.hexdigest()
