"""One chat completion after another from an OpenAI-compatible server: what is sent, and what came back.

Servers differ in what they take. A request that one refuses for the way it is put (alternatives of tokens,
the name of the length limit, the temperature, how much to think, a system line) is put another way once, and from
then on so.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import cv2
import httpx2
import numpy as np
import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from mad_core.errors import InputError, MadError, WorkError
from mad_core.scorers.multimodal.endpoint.address import Address
from mad_core.scorers.multimodal.prompts import Conversation

JPEG_QUALITY = 95
MOST_BYTES = 32_000_000
"""Of a server's answer; alternatives of a long answer's tokens take a few."""
RAW_CHARACTERS = 4000
"""Of an answer that is kept, at most."""
GRACE_SECONDS = 60.0
"""For the pauses between the attempts of one request, beyond the attempts themselves."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
GOES_ON = MappingProxyType({"add_generation_prompt": False, "continue_final_message": True})
"""What tells a server (vLLM, SGLang) to go on with an answer that is begun."""
UNSAID = 3
"""Errors of a server in a row, of which it does not say why, after which one request is put without all extras."""
TIMEOUT, SERVER_ERROR = "timeout", "server-error"
_OPENAI = "api.openai.com"
_SAID = 300
_NO_DOCUMENT = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a body raises that is not the JSON document it should be."""


@dataclass(frozen=True)
class Form:
    """How requests are put.

    Parameters
    ----------
    alternatives : int
        Most probable tokens that are asked for at each place; 0 = none.
    limit_name : str
        What the server calls the limit of an answer's length.
    greedy : bool
        Whether temperature 0 is asked for.
    switch, effort : bool
        Whether a model that can think is told not to, by its chat template and by ``reasoning_effort``.
    seed : bool
        Whether a seed is given.
    detail : bool
        Whether images are to be seen in full detail.
    system : bool
        Whether there is a system line; else it stands at the beginning of the user's turn.
    """

    alternatives: int = 20
    limit_name: str = "max_tokens"
    greedy: bool = True
    switch: bool = True
    effort: bool = True
    seed: bool = True
    detail: bool = True
    system: bool = True

    def options(self, tokens: int, body: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
        """What a request says besides model and messages; ``body`` is further content of its own."""
        options: dict[str, Any] = {self.limit_name: tokens}
        if self.greedy:
            options["temperature"] = 0
        if self.alternatives:
            options |= {"logprobs": True, "top_logprobs": self.alternatives}
        if self.seed:
            options["seed"] = 0
        if self.effort:
            options["reasoning_effort"] = "low"
        more = {"chat_template_kwargs": {"enable_thinking": False}} if self.switch else {}
        return options | ({"extra_body": {**more, **body}} if more or body else {})

    def put(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The messages as this form has them."""
        system, user, *begun = [dict(message) for message in messages]
        if self.detail:
            user["content"] = [_detailed(part) for part in user["content"]]
        if not self.system:
            line = {"type": "text", "text": f"{system['content']}\n"}
            return [{**user, "content": [line, *user["content"]]}, *begun]
        return [system, user, *begun]

    def bare(self) -> Form:
        """The form without anything that a server may not know."""
        return replace(self, alternatives=0, greedy=False, switch=False, effort=False, seed=False, detail=False)

    def adapted(self, complaint: str) -> Form | None:
        """Another form, after what a server says of this one; None where nothing of it is complained of."""
        text = complaint.lower()
        if self.alternatives and ("logprob" in text):
            return replace(self, alternatives=5 if self.alternatives > 5 else 0)
        if "max_completion_tokens" in text and self.limit_name == "max_tokens":
            return replace(self, limit_name="max_completion_tokens")
        if "temperature" in text and self.greedy:
            return replace(self, greedy=False)
        if _THINKING.search(text) and (self.switch or self.effort):
            return replace(self, switch=self.switch and "effort" in text and "kwargs" not in text, effort=False)
        if "seed" in text and self.seed:
            return replace(self, seed=False)
        if "detail" in text and self.detail and "detailed" not in text:
            return replace(self, detail=False)
        if self.system and _SYSTEM.search(text):
            return replace(self, system=False)
        return self._without_extras(text)

    def _without_extras(self, text: str) -> Form | None:
        """Without what few servers know, where one says that it does not know something."""
        extras = self.switch or self.effort or self.seed or self.detail
        if not (extras and _UNKNOWN.search(text)):
            return None
        return replace(self, switch=False, effort=False, seed=False, detail=False)


_THINKING = re.compile(r"chat_template|enable_thinking|reasoning")
_SYSTEM = re.compile(r"developer instruction|system (?:role|message|prompt|instruction)|role.{0,20}system|'system'")
_UNKNOWN = re.compile(
    r"unrecognized|unknown|unexpected|unsupported|not supported|not permitted|not allowed|extra (?:inputs|fields)"
)


def _detailed(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") != "image_url":
        return dict(part)
    return {**part, "image_url": {**part["image_url"], "detail": "high"}}


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Parameters
    ----------
    text : str
        The answer; empty where there is none.
    finish : str or None
        Why it ended: ``"stop"``, ``"length"``, ``"content_filter"``, …
    refused : bool
        Whether the server marked it as a refusal.
    content : sequence of mapping
        ``logprobs.content``; empty where the server gave none.
    tokens_in, tokens_out : int
    model : str
        The model that answered, as the server names it.
    retries : int
    host : str
        The server that answered.
    """

    text: str
    finish: str | None
    refused: bool
    content: Sequence[Mapping[str, Any]]
    tokens_in: int
    tokens_out: int
    model: str
    retries: int = 0
    host: str = ""


class NoAnswerError(MadError):
    """One image got no answer: its status, a sentence, what came instead, and whether that is the image's fault."""

    def __init__(self, status: str, sentence: str, raw: str = "", *, of_image: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.raw, self.of_image = status, raw, of_image


class Client:
    """A server, asked by several coroutines at once.

    Parameters
    ----------
    address : Address
    key : str or None
    timeout : float
        Seconds an attempt may take.
    retries : int
        Attempts after the first one, at 408, 409, 429, 5xx, time-outs and lost connections.
    """

    def __init__(self, address: Address, key: str | None, timeout: float, retries: int) -> None:
        self.address, self.form = address, Form()
        self._failing = 0
        self._key, self._total = key, timeout * (retries + 1) + GRACE_SECONDS
        # A redirect would carry images to a host that nobody agreed to; a proxy has no business on loopback.
        http = DefaultAsyncHttpxClient(
            follow_redirects=False,
            trust_env=not address.loopback,
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},
            event_hooks={"response": [_bound]},
        )
        try:
            self._openai = AsyncOpenAI(
                api_key=key or "none",
                base_url=address.url,
                timeout=timeout,
                max_retries=retries,
                http_client=http,
                default_headers=address.headers(key),
                default_query=address.query,
            )
            if address.host.partition(":")[0] != _OPENAI:  # its library takes these from the environment
                self._openai.organization = self._openai.project = None
            self._openai.admin_api_key = None
        except Exception as error:  # its library for URLs has errors of its own
            raise InputError(f"MAD_ENDPOINT_URL cannot be used as an address: {str(error)[:200]}.") from None

    async def first_model(self) -> str:
        """The first model that the server lists.

        Raises
        ------
        WorkError
            If it lists none; the sentence says what to do.
        """
        advice = f"Name one with --param model=…, and see that {self.address.host} runs."
        try:
            raw = await self._openai.models.with_raw_response.list()
            models = json.loads(raw.http_response.content)["data"]
            return str(models[0]["id"])
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._fatal(error) from None
        except openai.APIError as error:
            raise WorkError(f"{self.address.host} does not list its models: {self._said(error)}. {advice}") from (None)
        except _NO_DOCUMENT:
            raise WorkError(f"{self.address.host} lists no model. {advice}") from None

    async def ask(
        self, model: str, messages: Sequence[Mapping[str, Any]], tokens: int, body: Mapping[str, Any] = NOTHING
    ) -> Reply:
        """Ask once; retried and, where the server does not take its form, put another way.

        Parameters
        ----------
        body : mapping
            Further content of the request. One that has any is put as it is: the server takes it or not.

        Raises
        ------
        NoAnswerError
            If this request got no answer that can be used.
        WorkError
            If no other would: the key, the model or the address is wrong.
        """
        try:
            async with asyncio.timeout(self._total):
                if body:
                    return await self._ask_once(self.form, model, messages, tokens, body)
                return await self._ask_adapting(model, messages, tokens)
        except (openai.APITimeoutError, TimeoutError):
            raise NoAnswerError(TIMEOUT, f"{self.address.host} did not answer in time.") from None
        except openai.APIStatusError as error:
            raise self._of_status(error) from None
        except openai.APIConnectionError as error:
            cause = self.hidden(str(error.__cause__ or error))
            raise NoAnswerError(SERVER_ERROR, f"{self.address.host} cannot be reached: {cause}.") from None

    async def _ask_adapting(self, model: str, messages: Sequence[Mapping[str, Any]], tokens: int) -> Reply:
        form = self.form
        while True:
            try:
                reply = await self._ask_once(form, model, messages, tokens)
            except openai.APIStatusError as error:
                adapted = self._other_form(form, error)
                if adapted is None:
                    raise
                form = adapted
            else:
                self._failing = 0
                if form != Form():
                    self.form = form
                return reply

    def _other_form(self, form: Form, error: openai.APIStatusError) -> Form | None:
        """Another form, where an error is about this one; at the third in a row that does not say so, a bare one."""
        if error.status_code == 401 or error.status_code in (408, 409, 413, 429) or 300 <= error.status_code < 400:
            return None
        adapted = form.adapted(f"{error.message} {error.body}")
        if adapted is not None or error.status_code < 500:
            return adapted
        self._failing += 1
        return form.bare() if self._failing == UNSAID and form != form.bare() else None

    async def _ask_once(
        self,
        form: Form,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        tokens: int,
        body: Mapping[str, Any] = NOTHING,
    ) -> Reply:
        create: Any = self._openai.chat.completions.with_raw_response.create
        raw = await create(model=model, messages=form.put(messages), **form.options(tokens, body))
        came = raw.http_response.content
        try:
            return replace(read_reply(json.loads(came)), retries=raw.retries_taken, host=self.address.host)
        except _NO_DOCUMENT:
            sentence = f"{self.address.host} answered with something that is no chat completion."
            came = self.hidden(came.decode(errors="replace"))[:RAW_CHARACTERS]
            raise NoAnswerError(SERVER_ERROR, sentence, came) from None

    def _of_status(self, error: openai.APIStatusError) -> MadError:
        status = error.status_code
        if status in (401, 403, 404) or 300 <= status < 400:
            return self._fatal(error)
        message = self._said(error)
        if status == 408:
            return NoAnswerError(TIMEOUT, f"{self.address.host} gave up waiting (408).", message)
        advice = " Set a lower height or show fewer references." if status == 413 else ""
        of_image = status < 500 and status not in (409, 429)
        sentence = f"{self.address.host} answered {status}: {message}.{advice}"
        return NoAnswerError(SERVER_ERROR, sentence, message, of_image=of_image)

    def _fatal(self, error: openai.APIStatusError) -> WorkError:
        host, status, message = self.address.host, error.status_code, self._said(error)
        if 300 <= status < 400:
            return WorkError(
                f"{host} sends requests elsewhere ({status}); put the final address into MAD_ENDPOINT_URL."
            )
        if status == 404:
            return WorkError(
                f"{host} knows no such model or address (404: {message}). Check model and MAD_ENDPOINT_URL."
            )
        return WorkError(f"{host} does not accept the key ({status}: {message}). Check MAD_ENDPOINT_KEY.")

    def hidden(self, text: str) -> str:
        """A text without the key, which servers may quote, in part or as an address or JSON writes it."""
        if self._key and len(self._key) >= 4:
            plain = self._key
            for form in (plain, quote(plain, safe=""), quote(plain), json.dumps(plain)[1:-1]):
                text = text.replace(form, "[key]")
        return re.sub(r"\bsk-[\w*-]{4,}", "[key]", text)

    def _said(self, error: openai.APIError) -> str:
        """The message of an error; what is hidden is hidden before the end is cut off."""
        body = error.body
        inner = body.get("error", body) if isinstance(body, dict) else None
        message = inner.get("message") if isinstance(inner, dict) else inner
        return self.hidden(" ".join(str(message or error.message).split()))[:_SAID].rstrip(".")

    async def close(self) -> None:
        await self._openai.close()


class _Counted(httpx2.AsyncByteStream):
    """An answer as it comes, which ends when it gets too long."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MOST_BYTES:
                raise httpx2.ReadError(f"the answer is longer than {MOST_BYTES / 1e6:.0f} MB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    """Take no answer without end, and none that is packed: it was not asked for, and may unpack to anything."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise httpx2.ReadError("the answer is compressed, which was not asked for")
    response.stream = _Counted(response.stream)


def read_reply(data: Any) -> Reply:
    """A chat completion as it came.

    Raises
    ------
    LookupError, TypeError, ValueError, AttributeError, RecursionError
        If it is none.
    """
    choice = data["choices"][0]
    message = choice["message"]
    usage = data.get("usage") or {}
    content = (choice.get("logprobs") or {}).get("content") or ()
    refusal = message.get("refusal")
    return Reply(
        text=_whole(refusal or _text(message.get("content")) or _answer_among_thoughts(choice)),
        finish=None if choice.get("finish_reason") is None else str(choice["finish_reason"]),
        refused=bool(refusal) or choice.get("finish_reason") == "content_filter",
        content=[entry for entry in content if isinstance(entry, dict)],
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
        model=_whole(data.get("model") or "")[:200],
    )


def _answer_among_thoughts(choice: Mapping[str, Any]) -> str:
    """The thoughts of an answer that ended by itself and is nothing else: some servers file the whole answer there."""
    if choice.get("finish_reason") != "stop":
        return ""
    message = choice["message"]
    return _text(message.get("reasoning_content") or message.get("reasoning"))


def _count(value: Any) -> int:
    """A number of tokens; 0 where the server names none."""
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content)
    return "" if content is None else str(content)


def _whole(value: Any) -> str:
    """A text in which half characters, which no file can hold, are replaced."""
    return str(value).encode(errors="replace").decode()


def messages(conversation: Conversation, images: Sequence[str]) -> list[dict[str, Any]]:
    """A conversation as chat completions take it.

    Parameters
    ----------
    images : sequence of str
        Data URLs, in the order of the conversation's places for images.
    """
    urls, content = iter(images), []
    for piece in (*conversation.shared, *conversation.own):
        if piece.kind == "text":
            content.append({"type": "text", "text": piece.text})
        else:
            content.append({"type": "image_url", "image_url": {"url": next(urls)}})
    return [{"role": "system", "content": conversation.system}, {"role": "user", "content": content}]


def data_url(image: np.ndarray, encoding: str) -> str:
    """An image as a data URL.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8, RGB
    encoding : {"png", "jpeg"}
        PNG keeps every pixel; JPEG has quality 95.
    """
    suffix, options = (".png", []) if encoding == "png" else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    done, packed = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError("the image cannot be encoded")
    return f"data:image/{encoding};base64,{base64.b64encode(packed.tobytes()).decode('ascii')}"
