"""Who may come in: everybody where no login is configured, else only who is logged in and on the list.

Image requests come outside a Streamlit session. With a login configured, pages drawn for somebody who is in put a
signed, expiring pass into the address of each image; it is good for that image alone, and nobody else has one.
"""

import hashlib
import hmac
import importlib.util
import math
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import streamlit as st
from starlette.requests import Request

from mad_core.errors import MadError
from mad_core.settings import Settings

LONGEST_LOGIN = 320
PASS_SECONDS = 12 * 3600
LOOK_SECONDS = 1.0
_SECRET = secrets.token_bytes(32)
_login = (-math.inf, False)
"""When the secrets were looked at, and whether a login is configured."""


def login_configured() -> bool:
    """Whether Streamlit's OIDC login is configured: ``[auth]`` in the secrets, or secrets that cannot be read.

    The answer stands for a second: while there are no secrets Streamlit looks for them at every question, one session
    after the other, and a gallery asks once for each image.
    """
    global _login
    now = time.monotonic()
    if now - _login[0] >= LOOK_SECONDS:
        _login = now, unreadable_secrets() or "auth" in (_secrets() or {})
    return _login[1]


def unreadable_secrets() -> bool:
    """Whether there are secrets and they cannot be read: then nobody can tell who may come in."""
    return _secrets() is None and any(Path(path).exists() for path in st.get_option("secrets.files"))


def _secrets() -> Mapping[str, Any] | None:
    """The secrets; None where there are none or they cannot be read, which Streamlit tells in its log."""
    try:
        return st.secrets.to_dict()
    except (OSError, ValueError):
        return None


def admitted() -> bool:
    """Whether the pages may be drawn for this session; nobody where the settings cannot be read."""
    return not login_configured() or admits(st.user)


def admits(user: Mapping[str, Any]) -> bool:
    """Whether somebody of whom the login says this may come in; nobody where the settings cannot be read."""
    try:
        return bool(user.get("is_logged_in", False)) and Settings.from_environment().admits(address_of(user))
    except MadError:
        return False


def ask_login() -> None:
    """What stands in place of every page for somebody who is not in."""
    from pages.ui.text import plain  # brings pandas, which the image routes do without

    st.set_page_config(page_title="MAD Inspector")
    st.title("MAD Inspector", anchor=False)
    if unreadable_secrets():
        st.error(
            "The secrets of this server cannot be read, so nobody is let in. Its log says what is wrong with the file.",
            icon=":material/block:",
        )
        return
    try:
        Settings.from_environment()
    except MadError as error:
        st.error(plain(str(error)), icon=":material/block:")
        return
    if _logged_in():
        account = plain(address()) or "This account, which has no confirmed e-mail address,"
        st.error(f"{account} is not among those who may use this server.", icon=":material/block:")
        st.button("Log out", on_click=st.logout)
        return
    if importlib.util.find_spec("authlib") is None:
        st.error(
            "A login is configured, but what it needs is not installed: pip install -r requirements-login.txt.",
            icon=":material/error:",
        )
        return
    st.info("This server is for people with a login.", icon=":material/lock:", width=560)
    for provider in _providers():
        words = f"Log in with {provider}" if provider else "Log in"
        st.button(words, type="primary", on_click=st.login, args=(provider,) if provider else ())


def _providers() -> list[str]:
    """Names of the providers in the secrets; the unnamed one is empty."""
    section = st.secrets["auth"]
    named = [str(name) for name, value in section.items() if isinstance(value, Mapping) and "client_id" in value]
    return ([""] if "client_id" in section else []) + named


def _logged_in() -> bool:
    return bool(st.user.get("is_logged_in", False))


def address() -> str:
    """The e-mail address that the provider vouches for; empty where there is none."""
    return address_of(st.user)


def address_of(user: Mapping[str, Any]) -> str:
    """The e-mail address that the provider vouches for, of somebody of whom the login says this.

    It vouches where it says that the address is verified, as a truth value or in words, or where the operator trusts
    it by name (``MAD_TRUSTED_PROVIDERS``). What it says nothing of may be anybody's address.
    """
    verified = user.get("email_verified")
    confirmed = verified is True or (isinstance(verified, str) and verified.lower() == "true")
    providers = (user.get("provider"), user.get("iss"))
    named = any(name in Settings.from_environment().trusted_providers for name in providers)
    return str(user.get("email") or "") if confirmed or named else ""


def user_of(request: Request) -> dict[str, Any]:
    """What the login says of the browser that asks, as Streamlit reads it when a page connects; nothing where nobody
    is logged in, the cookie is forged or of another address, or the secrets cannot be read."""
    from streamlit.web.server.starlette import starlette_websocket as socket
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    scheme = request.headers.get("x-forwarded-proto") or request.url.scheme
    try:
        cookie = socket._get_signed_cookie_with_chunks(request.cookies, USER_COOKIE_NAME)
        own = f"{scheme}://{request.headers.get('host', '')}"
        user = socket._parse_decoded_user_cookie(cookie, own) if cookie else {}
    except (ValueError, LookupError, OSError):
        return {}
    return {**user, **socket.gather_user_info(request.headers)}


@dataclass(frozen=True)
class Person:
    """Who is logged in: ``login`` is issuer and subject, which stay; name and address are for display.

    ``former`` is what stores of earlier versions may know the person by.
    """

    login: str
    name: str
    address: str
    former: str


def person() -> Person | None:
    """Who is logged in; None where nobody is, or somebody of whom the provider does not say who it is."""
    subject = str(st.user.get("sub") or "")
    if not _logged_in() or not subject:
        return None
    vouched = address()
    former = vouched or ("" if st.user.get("email") or len(_providers()) > 1 else subject)
    return Person(_key(str(st.user.get("iss") or ""), subject), str(st.user.get("name") or vouched), vouched, former)


def _key(issuer: str, subject: str) -> str:
    """Issuer and subject in one text that a column of logins holds."""
    key = f"{issuer} {subject}"
    return key if len(key) <= LONGEST_LOGIN else f"{hashlib.blake2b(key.encode(), digest_size=32).hexdigest()} hashed"


def image_pass(path: str) -> str:
    """A pass for one image's path; empty where no login is configured or nobody is in."""
    if not login_configured() or not admitted():
        return ""
    ends = int(time.time() // PASS_SECONDS + 2) * PASS_SECONDS  # equal within a period: browsers can cache
    return f"{ends}.{_signature(unquote(path), ends)}"


def known_host(request: Request) -> bool:
    """Whether this server is asked under one of its own names (``server.allowedHosts``), as Streamlit's socket is."""
    from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

    return is_host_allowed(request.headers.get("host"))


def may_see(request: Request) -> bool:
    """Whether a request for an image comes from somebody to whom a page has shown this very image."""
    return not login_configured() or _valid(request.query_params.get("pass", ""), request.scope["path"])


def _valid(given: str, path: str) -> bool:
    ends, _, signature = given.partition(".")
    if not re.fullmatch("[0-9]{1,12}", ends) or not signature.isascii():
        return False
    return int(ends) > time.time() and hmac.compare_digest(signature, _signature(path, int(ends)))


def _signature(path: str, ends: int) -> str:
    """Of a path in plain characters, as it arrives however a browser writes it."""
    return hmac.new(_SECRET, f"{ends} {path}".encode(errors="replace"), hashlib.sha256).hexdigest()
