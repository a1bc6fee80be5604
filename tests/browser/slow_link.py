"""A loopback port that leads to a server over a link that can be made slow: what the server sends arrives late."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Link:
    """Seconds of delay on the way back, from now on."""

    seconds: float = 0.0


@contextlib.contextmanager
def slow_link(port: int, target: int) -> Iterator[Link]:
    """While inside, ``port`` leads to ``target``; the link that it gives is fast until it gets its delay."""
    link = Link()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_pass_on(reader, back, Link()), _pass_on(there, writer, link), return_exceptions=True)

    listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(joined, "127.0.0.1", port), loop).result()
    try:
        yield link
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(65536):
        loop.call_later(link.seconds, writer.write, data)
    loop.call_later(link.seconds, writer.close)
