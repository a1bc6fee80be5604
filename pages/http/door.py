"""Who may use the HTTP interface, how often, and how much they may send.

A program shows the server's token, or comes with the login that a browser has. Where neither is configured, only
programs of this machine are answered: the request comes over loopback, is addressed to loopback, went through no proxy,
and comes from no page of another site, whose name may have been pointed at this machine.
"""

import contextlib
import hmac
import ipaddress
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from starlette.requests import Request

from mad_core.settings import Settings
from pages.ui import access, origin

BURST_SECONDS = 10.0
"""A client that asked for nothing meanwhile may use the requests of so many seconds at once."""
MOST_CLIENTS = 4096
_VIA_PROXY = re.compile("via|.*forwarded.*|.*(?:client|real|connecting|user)-?ip|.*external-address|x-original-.*")
"""Headers that proxies and those who serve for others add."""


class Refused(Exception):
    """A request that is not answered: status, the sentence, further headers."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def admit(request: Request, settings: Settings) -> str:
    """Who asks, as far as the server can tell; the same for all requests of a client.

    Raises
    ------
    Refused
    """
    if not access.known_host(request):
        raise Refused(403, "This server has another name.")
    if _foreign(request):
        raise Refused(403, "Pages of other sites are not answered.")
    host = request.client.host if request.client else ""
    if settings.api_token is not None and _shows(request, settings.api_token):
        return f"token {host}"
    if access.login_configured():
        return _logged_in(request, settings)
    if settings.api_token is not None:
        raise Refused(401, "Show this server's token: 'Authorization: Bearer …'.", WWW_Authenticate="Bearer")
    if not _of_this_machine(request):
        raise Refused(
            403, "Only programs of this machine are answered. To let others in, set MAD_API_TOKEN or configure a login."
        )
    return "this machine"


def _foreign(request: Request) -> bool:
    """Whether a page of another origin asks; programs say nothing of an origin, browsers do."""
    asked_by = request.headers.get("sec-fetch-site", "none")
    return asked_by not in ("none", "same-origin") or not origin.same_origin(request.scope)


def _shows(request: Request, token: str) -> bool:
    given = request.headers.getlist("authorization")
    scheme, _, shown = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode("latin-1"), token.encode())


def _logged_in(request: Request, settings: Settings) -> str:
    user = access.user_of(request)
    if not access.admits(user):
        way = "log in at this server's pages" + (" or show its token" if settings.api_token else "")
        raise Refused(401, f"This server is for people with a login: {way}.", WWW_Authenticate="Bearer")
    if request.method not in ("GET", "HEAD") and "origin" not in request.headers:
        raise Refused(403, "With a login, what changes something is asked for by a page of this server: send Origin.")
    return f"login {user.get('iss')} {user.get('sub') or user.get('email')}"


def _of_this_machine(request: Request) -> bool:
    proxied = any(_VIA_PROXY.fullmatch(name) for name in request.headers)
    hosts = request.headers.getlist("host")
    return (
        not proxied
        and request.client is not None
        and _is_loopback(request.client.host)
        and len(hosts) == 1
        and _is_loopback(_name_of(hosts[0]))
    )


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class Rates:
    """A token bucket a client: so many requests a minute, and not all of them at once.

    Parameters
    ----------
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, a_minute: int) -> float:
        """Take one request; seconds until there is one again if there is none, else 0."""
        now, a_second = self._clock(), a_minute / 60
        most = max(1.0, a_second * BURST_SECONDS)
        with self._lock:
            left, since = self._left.pop(client, (most, now))
            left = min(most, left + (now - since) * a_second)
            taken = left >= 1
            self._left[client] = (left - taken, now)
            while len(self._left) > MOST_CLIENTS:
                self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / a_second


class InFlight:
    """So much may be under way at once; whoever comes then is sent away for a moment, with a sentence."""

    def __init__(self, most: int, sentence: str) -> None:
        self._most, self._sentence = most, sentence
        self._taken, self._lock = 0, threading.Lock()

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold ``size`` of it, bytes or requests.

        Raises
        ------
        Refused
        """
        with self._lock:
            if self._taken and self._taken + size > self._most:
                raise Refused(503, self._sentence, Retry_After="1")
            self._taken += size
        try:
            yield
        finally:
            with self._lock:
                self._taken -= size
