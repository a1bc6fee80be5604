"""Who may see images: everybody where no login is configured, else only who is logged in.

Image requests come outside a Streamlit session. With a login configured, pages drawn for somebody
who is logged in put a signed, expiring pass into the addresses of images; nobody else has one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

import streamlit as st
from starlette.requests import Request

PASS_SECONDS = 12 * 3600
_SECRET = secrets.token_bytes(32)


def login_configured() -> bool:
    """Whether Streamlit's OIDC login is configured (``[auth]`` in the secrets)."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def image_pass() -> str:
    """A pass for image addresses; empty where no login is configured or nobody is logged in."""
    if not login_configured() or not st.user.get("is_logged_in", False):
        return ""
    ends = int(time.time() // PASS_SECONDS + 2) * PASS_SECONDS  # equal within a period: browsers can cache
    return f"{ends}.{_signature(ends)}"


def may_see(request: Request) -> bool:
    """Whether a request for an image comes from somebody who may see it."""
    return not login_configured() or _valid(request.query_params.get("pass", ""))


def _valid(given: str) -> bool:
    ends, _, signature = given.partition(".")
    return ends.isdecimal() and int(ends) > time.time() and hmac.compare_digest(signature, _signature(int(ends)))


def _signature(ends: int) -> str:
    return hmac.new(_SECRET, str(ends).encode(), hashlib.sha256).hexdigest()
