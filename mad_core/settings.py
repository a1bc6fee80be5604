"""Environment variables, read once, as a typed and frozen object."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from mad_core.errors import InputError

VERSION = "0.1.0"
"""Of this software; a test compares it with the package's."""
EXECUTORS = ("local", "ray")
SHORTEST_TOKEN, LONGEST_TOKEN = 16, 500
"""Of the characters of ``MAD_API_TOKEN``."""
MAX_PIXELS = 100_000_000
"""Largest image, in pixels, that is opened; larger ones are reported as ``too-large``."""


class _Folder:
    """A folder of ``home``, called as the attribute is."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, settings: Settings, owner: type) -> Path:
        return settings.home / self.name


@dataclass(frozen=True)
class Settings:
    """Where things live and what may be opened.

    Parameters
    ----------
    home : Path
        Folder of the store, the anomaly maps, fitted scorers, thumbnails and imported archives.
    database_url : str
        SQLAlchemy URL of the store.
    allowed_roots : tuple of Path
        Folders that the pages may open; the command line is not restricted.
    executor : {"local", "ray"}
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda:n"``.
    endpoint_url, endpoint_key : str or None
        Of the OpenAI-compatible server; they are never stored.
    endpoint_model : str or None
        Name of the model on that server where none is asked for; None for the first one it lists.
    endpoint_consent : bool
        Whether images of every dataset may be sent to that server.
    allowed_logins : tuple of str
        E-mail addresses, or ``@domain`` for all of a domain, that may use the pages where a login is configured;
        empty = everybody whom the login's provider lets in.
    trusted_providers : tuple of str
        Providers of logins, by their names in the secrets or by issuer, whose e-mail addresses count without their
        saying that these are verified.
    allowed_addresses : tuple of str
        Places on object storage that the pages may open, named among the allowed roots; none by default.
    remote_bytes : int
        How much of what was fetched from object storage is kept.
    api_token : str or None
        What programs show to use the HTTP interface; None where there is none, and then only programs of this machine
        may use it.
    api_rate : int
        Requests a minute that one client of the HTTP interface may make.
    """

    home: Path
    database_url: str = field(repr=False)  # may hold a password
    allowed_roots: tuple[Path, ...]
    executor: str = "local"
    device: str = "auto"
    endpoint_url: str | None = None
    endpoint_key: str | None = field(default=None, repr=False)
    endpoint_model: str | None = None
    endpoint_consent: bool = False
    allowed_logins: tuple[str, ...] = ()
    trusted_providers: tuple[str, ...] = ()
    allowed_addresses: tuple[str, ...] = ()
    remote_bytes: int = 20_000_000_000
    api_token: str | None = field(default=None, repr=False)
    api_rate: int = 600

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the ``MAD_…`` variables.

        Raises
        ------
        InputError
            If ``MAD_EXECUTOR`` names an unknown executor, ``MAD_REMOTE_GB`` is no size, ``MAD_API_TOKEN`` can be
            guessed, ``MAD_API_RATE`` is no rate, a folder is the home of nobody, or a variable that says who or what is
            allowed is set and names nothing: nobody knows then what was meant.
        """
        home = _folder("MAD_HOME", environment.get("MAD_HOME") or platformdirs.user_data_dir("mad-inspector", False))
        named = _parts(environment, "MAD_ALLOWED_ROOTS", r":(?!//)")
        roots = [_folder("MAD_ALLOWED_ROOTS", part) for part in named or () if "://" not in part]
        executor = environment.get("MAD_EXECUTOR") or "local"
        if executor not in EXECUTORS:
            raise InputError(f"MAD_EXECUTOR is '{executor}', but only {' and '.join(EXECUTORS)} are known.")
        return cls(
            home=home,
            database_url=environment.get("MAD_DATABASE_URL") or f"sqlite:///{home / 'mad.db'}",
            allowed_roots=(Path.home(), home) if named is None else tuple(roots),
            executor=executor,
            device=environment.get("MAD_DEVICE") or "auto",
            endpoint_url=environment.get("MAD_ENDPOINT_URL") or None,
            endpoint_key=environment.get("MAD_ENDPOINT_KEY") or None,
            endpoint_model=environment.get("MAD_ENDPOINT_MODEL") or None,
            endpoint_consent=environment.get("MAD_ENDPOINT_CONSENT", "").strip().lower() in ("yes", "true", "1"),
            allowed_addresses=tuple(part.rstrip("/") for part in named or () if "://" in part),
            remote_bytes=_gigabytes(environment, "MAD_REMOTE_GB", 20.0),
            allowed_logins=tuple(part.lower() for part in _parts(environment, "MAD_ALLOWED_LOGINS", ",") or ()),
            trusted_providers=tuple(_parts(environment, "MAD_TRUSTED_PROVIDERS", ",") or ()),
            api_token=_token(environment, "MAD_API_TOKEN"),
            api_rate=_rate(environment, "MAD_API_RATE", 600),
        )

    maps = _Folder()
    """Anomaly maps, one file per run and subset."""
    fits = _Folder()
    """Fitted scorers, one folder per fit digest."""
    looks = _Folder()
    """Descriptions of images for the learner of severity, one folder per set of normals; they can be made again."""
    features = _Folder()
    """Pictures in feature space, one folder per dataset; they can be made again."""
    thumbnails = _Folder()
    studies = _Folder()
    """What studies need not do again, one folder per run or dataset and in it one per study."""
    imports = _Folder()
    """Extracted archives and uploads."""
    masks = _Folder()
    """Masks that were made on import: of several files, of outlines, or turned as their image is."""
    uploads = _Folder()
    """Single images uploaded to be scored at once, and their maps."""
    weights = _Folder()
    """Backbone weights, fetched ahead of time by ``warm``."""
    remote = _Folder()
    """What was fetched from object storage; all of it can be fetched again."""
    reports = _Folder()
    """Reports that were made as jobs."""
    logs = _Folder()

    def admits(self, address: str) -> bool:
        """Whether somebody with this e-mail address may use the pages, where a login is configured."""
        address = address.strip().lower()
        _, at, domain = address.rpartition("@")
        return not self.allowed_logins or (bool(at) and bool({address, f"@{domain}"} & set(self.allowed_logins)))

    def may_open(self, path: Path) -> bool:
        """Whether a page may open ``path``: it lies, links resolved, under an allowed root."""
        try:
            real = path.expanduser().resolve()
            return any(real.is_relative_to(root.resolve()) for root in (*self.allowed_roots, self.home))
        except (OSError, RuntimeError, ValueError):  # the home of nobody, a loop of links, no text of a path
            return False

    def may_open_address(self, address: str) -> bool:
        """Whether a page may open a place on object storage: it is an allowed one or lies in it."""
        return any(address == root or address.startswith(f"{root}/") for root in self.allowed_addresses)


def _folder(name: str, text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise InputError(f"{name} names '{text[:300]}', the home of a user who is not here.") from None


def _parts(environment: Mapping[str, str], name: str, between: str) -> list[str] | None:
    """What a variable lists; None where it is not set."""
    given = environment.get(name)
    if given is None:
        return None
    parts = [part.strip() for part in re.split(between, given) if part.strip()]
    if not parts:
        raise InputError(f"{name} is set but names nothing; name what is allowed, or unset it for the default.")
    return parts


def _gigabytes(environment: Mapping[str, str], name: str, default: float) -> int:
    given = environment.get(name) or default
    try:
        size = float(given)
    except ValueError:
        size = -1.0
    if not 0 < size < 1e6:
        raise InputError(f"{name} is '{given}', but a number of gigabytes is needed.")
    return int(size * 1e9)


def _token(environment: Mapping[str, str], name: str) -> str | None:
    """A token that can stand in a header and that nobody guesses; None where the variable is not set."""
    given = environment.get(name)
    if given is None:
        return None
    if not re.fullmatch(rf"[!-~]{{{SHORTEST_TOKEN},{LONGEST_TOKEN}}}", given.strip()):
        raise InputError(
            f"{name} must have {SHORTEST_TOKEN} to {LONGEST_TOKEN} letters, digits and signs, without blanks; make one "
            "with: python -c 'import secrets; print(secrets.token_urlsafe())'. Unset it for no token."
        )
    return given.strip()


def _rate(environment: Mapping[str, str], name: str, default: int) -> int:
    given = environment.get(name) or str(default)
    if not re.fullmatch("[1-9][0-9]{0,5}", given.strip()):
        raise InputError(f"{name} is '{given[:80]}', but a whole number of requests a minute is needed.")
    return int(given)
