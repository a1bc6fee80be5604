"""Servers of one model, asked as one: each request goes to the one with the fewest under way.

A server that fails is left alone for a while, and what it did not answer is put to another.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mad_core.errors import WorkError
from mad_core.scorers.multimodal.endpoint.client import NOTHING, Client, NoAnswerError, Reply

REST_SECONDS = 30.0
"""A server that failed is asked again after these, or where no other is left."""


class Fleet:
    """Servers, asked by several coroutines of one event loop at once.

    Parameters
    ----------
    clients : sequence of Client
        One for each server.
    """

    def __init__(self, clients: Sequence[Client]) -> None:
        self.clients = clients
        self._under_way: Counter[Client] = Counter()
        self._rests_until: dict[Client, float] = {}

    async def first_model(self) -> str:
        """The first model of the first server that lists one.

        Raises
        ------
        WorkError
            If none lists any; the sentence is the last one's.
        """
        for client in self.clients[:-1]:
            try:
                return await client.first_model()
            except WorkError:
                continue
        return await self.clients[-1].first_model()

    async def ask(
        self, model: str, messages: Sequence[Mapping[str, Any]], tokens: int, body: Mapping[str, Any] = NOTHING
    ) -> Reply:
        """Ask one server after the other until one answers; see :meth:`Client.ask`.

        Raises
        ------
        NoAnswerError
            If none gave an answer that can be used, or one said that the image is at fault.
        WorkError
            If a server refuses the key, the model or the address.
        """
        left = list(self.clients)
        while True:
            client = min(left, key=self._preference)
            left.remove(client)
            self._under_way[client] += 1
            try:
                reply = await client.ask(model, messages, tokens, body)
            except NoAnswerError as error:
                if error.of_image:
                    raise
                self._rests_until[client] = time.monotonic() + REST_SECONDS
                if not left:
                    raise
            else:
                self._rests_until.pop(client, None)
                return reply
            finally:
                self._under_way[client] -= 1

    def _preference(self, client: Client) -> tuple[bool, int]:
        """The smallest is asked first."""
        return self._rests_until.get(client, 0.0) > time.monotonic(), self._under_way[client]

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self.clients))
