"""Who may come in: everybody where no login is configured, else only who is logged in and on the list.

Image requests come outside a Streamlit session. With a login configured, pages drawn for somebody who is in put a
signed, expiring pass into the addresses of images; nobody else has one.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import math
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request

from mad_core.settings import Settings

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
    """Whether the pages may be drawn for this session."""
    return not login_configured() or (_logged_in() and Settings.from_environment().admits(_address()))


def ask_login() -> None:
    """What stands in place of every page for somebody who is not in."""
    from pages.ui.text import plain  # brings pandas, which the image routes do without

    st.title("MAD Inspector", anchor=False)
    if unreadable_secrets():
        st.error(
            "The secrets of this server cannot be read, so nobody is let in. Its log says what is wrong with the file.",
            icon=":material/block:",
        )
        return
    if _logged_in():
        known = plain(_address()) or "This account, which has no confirmed e-mail address,"
        st.error(f"{known} is not among those who may use this server.", icon=":material/block:")
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


def _address() -> str:
    """The e-mail address that the provider vouches for; empty where there is none."""
    return "" if st.user.get("email_verified") is False else str(st.user.get("email") or "")


def image_pass() -> str:
    """A pass for image addresses; empty where no login is configured or nobody is in."""
    if not login_configured() or not admitted():
        return ""
    ends = int(time.time() // PASS_SECONDS + 2) * PASS_SECONDS  # equal within a period: browsers can cache
    return f"{ends}.{_signature(ends)}"


def known_host(request: Request) -> bool:
    """Whether this server is asked under one of its own names (``server.allowedHosts``), as Streamlit's socket is."""
    from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

    return is_host_allowed(request.headers.get("host"))


def may_see(request: Request) -> bool:
    """Whether a request for an image comes from somebody who may see it."""
    return not login_configured() or _valid(request.query_params.get("pass", ""))


def _valid(given: str) -> bool:
    ends, _, signature = given.partition(".")
    return ends.isdecimal() and int(ends) > time.time() and hmac.compare_digest(signature, _signature(int(ends)))


def _signature(ends: int) -> str:
    return hmac.new(_SECRET, str(ends).encode(), hashlib.sha256).hexdigest()
