"""Datasets uploaded through a page."""

import hashlib
import io
import os
import re
import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mad_core.errors import InputError
from mad_core.image_formats import SUFFIXES
from mad_core.paths import sync
from mad_core.secret_key import unguessable
from mad_core.settings import Settings

MAX_BYTES = 20_000_000_000
_CHUNK = 1 << 20
_TOO_MUCH = f"The upload has more than {MAX_BYTES / 1e9:.0f} GB; copy it to this machine instead."


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


def keep_uploads(settings: Settings, files: Sequence[tuple[str, IO[bytes]]]) -> Path:
    """Keep what was dropped at once: one archive or table, or any number of pictures, which become one archive.

    Parameters
    ----------
    files : sequence of (name, binary file)

    Returns
    -------
    Path
        As :func:`keep_upload`; the same pictures in the same order give the same path.

    Raises
    ------
    InputError
        If there is nothing, too much, or an archive or table among others.
    """
    if not files:
        raise InputError("Nothing was uploaded.")
    pictures = [Path(name).suffix.lower() in SUFFIXES for name, _ in files]
    if len(files) == 1 and not pictures[0]:
        return keep_upload(settings, *files[0])
    if not all(pictures):
        raise InputError("Upload one archive or one table at a time, or any number of pictures.")
    settings.imports.mkdir(parents=True, exist_ok=True)
    packed = settings.imports / f"{secrets.token_hex(8)}.pictures.part"
    try:
        _pack(packed, files)
        with packed.open("rb") as data:
            return keep_upload(settings, f"{len(files)} pictures.zip", data)
    finally:
        packed.unlink(missing_ok=True)


def _pack(path: Path, files: Sequence[tuple[str, IO[bytes]]]) -> None:
    """Write pictures into a zip as they are; of two with one name the second gets a number."""
    names: set[str] = set()
    left = MAX_BYTES
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, data) in enumerate(files):
            safe = safe_name(name)
            safe = f"{number}-{safe}" if safe.lower() in names else safe
            names.add(safe.lower())
            with archive.open(zipfile.ZipInfo(safe), "w", force_zip64=True) as entry:  # without the time of packing
                while piece := data.read(_CHUNK):
                    left -= len(piece)
                    if left < 0:
                        raise InputError(_TOO_MUCH)
                    entry.write(piece)


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
                raise InputError(_TOO_MUCH)
            digest.update(piece)
            file.write(piece)
    if size == 0:
        raise InputError("The upload is empty.")
    return digest.hexdigest()
