"""What children of this process are told: no secret that they do not need."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping

_SECRET = re.compile(
    r"KEY|SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|COOKIE|AUTH|PRIVATE|DATABASE_URL|_DSN$|^PG|^STREAMLIT_|WEBHOOK",
    re.IGNORECASE,
)
_OF_WORKERS = re.compile(r"(MAD|AWS|HF|HUGGING_FACE|GOOGLE|GCS|AZURE|OSS|FSSPEC|PG|RAY|CUDA|SSL|REQUESTS)_|PG[A-Z]+$")
"""Names under which the store, its database, object storage and the Hub find what they need."""
_OF_SERVER = frozenset({"MAD_API_TOKEN"})
"""What only the web server asks for."""
_OF_PROGRAMS = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_.+|TZ|TMPDIR|TEMP|TMP|USER|DISPLAY|XDG_.+|FONTCONFIG_.+|LD_LIBRARY_PATH"
)


def of_worker(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For a process that does the store's work: secrets of the web server and of other programs are left out."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_SERVER and (_OF_WORKERS.match(name) or not is_secret(name))
    }


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For a process of ours that needs none."""
    return {name: value for name, value in environment.items() if not is_secret(name)}


def of_program(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For a program that is not ours: where things lie, and which language is spoken."""
    return {name: value for name, value in environment.items() if _OF_PROGRAMS.fullmatch(name)}


def is_secret(name: str) -> bool:
    """Whether a variable of this name may hold a secret."""
    return _SECRET.search(name) is not None


@contextlib.contextmanager
def secrets_apart() -> Iterator[None]:
    """Start children meanwhile that inherit this process's variables: they read images and need the storage's alone."""
    apart = {
        name: value
        for name, value in os.environ.items()
        if is_secret(name) and (name.startswith("MAD_") or not _OF_WORKERS.match(name))
    }
    for name in apart:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(apart)
