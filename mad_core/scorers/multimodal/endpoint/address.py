"""Where OpenAI-compatible servers are, and whether images may be sent there. No network, no torch here.

Addresses and key come from ``MAD_ENDPOINT_URL`` and ``MAD_ENDPOINT_KEY`` alone: neither is a parameter,
so neither ends up in the store. Of an address the host is recorded, and a digest that tells two paths on one
host apart: a request names its servers, so scores of one are never returned for another.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from mad_core.errors import InputError, MadError, UnavailableError
from mad_core.settings import Settings

_EXAMPLE = "http://127.0.0.1:8000/v1"
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_QUESTION = "/chat/completions"
"""What is put behind a base URL; it may stand in an address that was copied whole."""


@dataclass(frozen=True)
class Address:
    """A checked base URL.

    Parameters
    ----------
    url : str
        What requests are built from, ``…/v1`` as a rule.
    host : str
        Host and port, as it is shown, recorded and agreed to.
    loopback : bool
        Whether it is this machine.
    azure : bool
        Whether it is Azure's, which wants the key under a name of its own.
    version : str
        What Azure calls ``api-version``; empty where the address names none.
    """

    url: str
    host: str
    loopback: bool
    azure: bool = False
    version: str = ""

    def headers(self, key: str | None) -> dict[str, str]:
        """What goes with every request besides the usual key."""
        return {"api-key": key} if self.azure and key else {}

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the question mark of every request."""
        return {"api-version": self.version} if self.version else {}


@dataclass(frozen=True)
class Servers:
    """Servers of one model that share its images between them; one as a rule.

    Parameters
    ----------
    each : tuple of Address
        No two alike.
    """

    each: tuple[Address, ...]

    @property
    def host(self) -> str:
        """All hosts, as they are shown, recorded and agreed to."""
        return ", ".join(sorted({address.host for address in self.each}))

    @property
    def loopback(self) -> bool:
        """Whether all are this machine."""
        return all(address.loopback for address in self.each)

    @property
    def identity(self) -> str:
        """A host and a digest of the URLs: what a request says of its servers."""
        urls = sorted(address.url for address in self.each)
        digest = hashlib.blake2b("\n".join(urls).encode(), digest_size=4).hexdigest()
        more = f" and {len(urls) - 1} more" if len(urls) > 1 else ""
        return f"{min(address.host for address in self.each)}{more} {digest}"


def read_servers(urls: str, *, plain_http: bool = False) -> Servers:
    """Check base URLs with commas between them.

    Raises
    ------
    InputError
        As :func:`read_address`.
    """
    given = [url.strip() for url in urls.split(",") if url.strip()] or [urls]
    return Servers(tuple(dict.fromkeys(read_address(url, plain_http=plain_http) for url in given)))


def read_address(url: str, *, plain_http: bool = False) -> Address:
    """Check a base URL.

    Parameters
    ----------
    plain_http : bool
        Whether images may travel to another machine unencrypted.

    Raises
    ------
    InputError
        If it is no http(s) URL, holds a user, password, query or fragment, or is plain http to another
        machine without that being wanted.
    """
    parts, port = _split(url.strip())
    name = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not name:
        raise InputError(f"MAD_ENDPOINT_URL must begin with http:// or https:// and name a host, as {_EXAMPLE} does.")
    azure = name.endswith(_AZURE)
    version = _api_version(parts.query) if azure else ""
    if parts.username or parts.password or (parts.query and not version) or parts.fragment:
        raise InputError(
            "MAD_ENDPOINT_URL holds a user, a password or a query; give the bare address there and the key in "
            "MAD_ENDPOINT_KEY."
        )
    shown = f"[{name}]" if ":" in name else name
    host = f"{shown}:{port}" if port else shown
    loopback = _is_loopback(name)
    if parts.scheme == "http" and not loopback and not plain_http:
        raise InputError(
            f"{host} is another machine and its address begins with http://, so images and key would travel "
            "unencrypted. Use https://, or set plain_http=yes on a network that you trust."
        )
    path = parts.path.rstrip("/").removesuffix(_QUESTION) or ("/openai/v1" if azure else "")
    return Address(urlunsplit((parts.scheme, parts.netloc, path, "", "")), host, loopback, azure, version)


def _api_version(query: str) -> str:
    """The version that a query asks for, where it asks for nothing else."""
    asked = parse_qs(query)
    return asked["api-version"][0] if set(asked) == {"api-version"} else ""


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        if not url.isprintable() or " " in url:
            raise ValueError
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        raise InputError(f"MAD_ENDPOINT_URL cannot be read as an address; it looks like {_EXAMPLE}.") from None


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def servers_of(settings: Settings, parameters: Mapping[str, Any]) -> Servers:
    """The servers of these settings.

    Raises
    ------
    UnavailableError
        If no server is set, or others than the run was asked for.
    InputError
        If an address cannot be used.
    """
    if not settings.endpoint_url:
        raise UnavailableError(
            f"No server is set: put its address into MAD_ENDPOINT_URL ({_EXAMPLE}) and its key, if it has one, "
            "into MAD_ENDPOINT_KEY."
        )
    servers = read_servers(settings.endpoint_url, plain_http=bool(parameters.get("plain_http")))
    asked = parameters.get("server")
    if asked and asked != servers.identity:
        raise UnavailableError(
            f"This run was asked of the server {asked}, but MAD_ENDPOINT_URL names {servers.identity} now. "
            "Set the address back, or queue a new run for what it names."
        )
    return servers


def settled(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with server and model named as far as the environment names them."""
    settings = Settings.from_environment()
    model = parameters["model"] or settings.endpoint_model or ""
    try:
        server = parameters["server"] or servers_of(settings, parameters).identity
    except MadError:  # why_not says it
        server = ""
    return {**parameters, "model": model, "server": server}


def why_not(parameters: Mapping[str, Any]) -> str | None:
    """Why the endpoint scorer cannot run here with these parameters; None if it can."""
    try:
        servers_of(Settings.from_environment(), parameters)
    except MadError as error:
        return str(error)
    return None


def notice(servers: Servers) -> str:
    """What a person has to know before images are scored by a server."""
    if servers.loopback:
        return f"Images are sent to {servers.host}, a server on this machine."
    return (
        f"Images of this dataset, normals and images to judge alike, leave this machine: they are sent to "
        f"{servers.host}, which may keep them. Agree only if you may pass them on."
    )


def check_consent(servers: Servers, agreed: Collection[str], parameters: Mapping[str, Any], settings: Settings) -> None:
    """Let images go to this machine itself, or to a host that a person agreed to.

    Parameters
    ----------
    agreed : collection of str
        Hosts that a person agreed to send this dataset's images to.

    Raises
    ------
    InputError
    """
    if servers.loopback or servers.host in agreed or parameters["consent"] or settings.endpoint_consent:
        return
    raise InputError(
        f"{notice(servers)} Nobody has agreed to that for this dataset yet: agree on the Score page, or say "
        "--param consent=yes (MAD_ENDPOINT_CONSENT=yes agrees for every dataset)."
    )
