"""The secret of a store: names that nobody can guess, and seals that nobody else can make. No backup holds it."""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY_FILE = "secret.key"


def known_key(home: Path) -> bytes:
    """The secret of the store in ``home``; empty where it has none yet."""
    try:
        return (home / KEY_FILE).read_bytes()
    except FileNotFoundError:
        return b""


def key_of(home: Path) -> bytes:
    """The secret of the store in ``home``, made where it has none yet."""
    key = known_key(home)
    if key:
        return key
    home.mkdir(parents=True, exist_ok=True)
    building = home / f"{KEY_FILE}.{secrets.token_hex(4)}.part"
    with os.fdopen(os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    with contextlib.suppress(FileExistsError):  # another process made it just now
        (home / KEY_FILE).hardlink_to(building)
    building.unlink()
    return known_key(home)


def unguessable(home: Path, what: str) -> str:
    """A name of 32 hexadecimal characters for ``what``: the same in this store, and known to nobody else."""
    return hmac.new(key_of(home), what.encode(), hashlib.sha256).hexdigest()[:32]
