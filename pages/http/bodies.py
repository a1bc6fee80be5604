"""A picture that is sent to the HTTP interface: bounded in bytes, in time, and together with others on their way in."""

import contextlib
from collections.abc import AsyncIterator

import anyio
import streamlit as st
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from mad_core.runs.single_image import MAX_BYTES
from pages.http.door import InFlight, Refused

ARRIVAL_SECONDS = 60.0
FORM_BYTES = 1 << 20
"""What a form may have around its file."""
BYTES_IN_FLIGHT = 400_000_000
"""Of all pictures that are being received at once."""
_IN_FLIGHT = InFlight(BYTES_IN_FLIGHT, "Too many pictures are on their way in; send this one again.")


def most_bytes() -> int:
    """Of one picture: as of uploads on pages, and of the page "One image"."""
    return min(MAX_BYTES, int(st.get_option("server.maxUploadSize")) << 20)


@contextlib.asynccontextmanager
async def sent_picture(request: Request) -> AsyncIterator[tuple[bytes, str]]:
    """The picture of a request, and what a form calls it; its bytes count as on their way in meanwhile.

    Raises
    ------
    Refused
    """
    most, says = most_bytes(), request.headers.get("content-length", "")
    size = int(says) if says.isascii() and says.isdecimal() and len(says) < 20 else most
    if size > most + FORM_BYTES:
        raise _too_large(most)
    with _IN_FLIGHT.taken(min(size, most)):
        yield await _received(request, most)


async def _received(request: Request, most: int) -> tuple[bytes, str]:
    try:
        with anyio.fail_after(ARRIVAL_SECONDS):
            data, name = await _read(request, most)
    except TimeoutError:
        raise Refused(408, f"The picture did not arrive within {ARRIVAL_SECONDS:g} s.", Connection="close") from None
    except ClientDisconnect:
        raise Refused(400, "The picture did not arrive whole.") from None
    except (HTTPException, MultiPartException, ValueError, KeyError) as error:
        why = str(getattr(error, "detail", None) or error).rstrip(".")
        raise Refused(400, f"The form cannot be read: {why}.") from None
    if not data:
        raise Refused(400, "No picture was sent: send its bytes as the body, or a form with one file.")
    if len(data) > most:
        raise _too_large(most)
    return data, name


async def _read(request: Request, most: int) -> tuple[bytes, str]:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await Request(request.scope, _bounded(request.receive, most)).body(), ""
    limited = Request(request.scope, _bounded(request.receive, most + FORM_BYTES, most))
    async with limited.form(max_files=1, max_fields=16) as form:
        for _, value in form.multi_items():
            if isinstance(value, UploadFile):
                return await value.read(), value.filename or ""
    return b"", ""


def _bounded(receive: Receive, most: int, told: int | None = None) -> Receive:
    """Messages of a body of at most ``most`` bytes, whatever its length was said to be."""
    left = most

    async def next_message() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(most if told is None else told)
        return message

    return next_message


def _too_large(most: int) -> Refused:
    return Refused(413, f"A picture may have at most {most / 1e6:,.0f} MB.", Connection="close")
