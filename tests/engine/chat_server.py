"""A real HTTP server that speaks the chat-completions protocol, with canned mathematics or a model behind it."""

from __future__ import annotations

import base64
import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


@dataclass
class Answer:
    """What the server sends back: a completion, or whatever else is to go wrong."""

    text: str = ""
    finish: str = "stop"
    logprobs: list[dict[str, Any]] | None = None
    refusal: str | None = None
    status: int = 200
    body: str | None = None
    wait: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Bytes of the body after which the connection ends."""


Behaviour = Callable[[dict[str, Any], int], Answer]
"""Gets the request and its number, from 0."""


def images_of(request: dict[str, Any]) -> list[np.ndarray]:
    """The images of a request, RGB, in order."""
    parts = [part for message in request["messages"] for part in message["content"] if isinstance(part, dict)]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [np.array(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))) for url in urls]


def darkness(request: dict[str, Any]) -> int:
    """The canned judgement: how dark the image to judge is, 0-100."""
    return round(100 - float(images_of(request)[-1].mean()) / 255 * 100)


def judge(request: dict[str, Any], number: int) -> Answer:
    """A whole answer, with the alternatives of its tokens where they are asked for."""
    score = darkness(request)
    text = f"Anomaly Score: {score}\nReason: {score} percent dark."
    logprobs = token_logprobs(score) if request.get("logprobs") else None
    return Answer(text, logprobs=logprobs)


def token_logprobs(score: int) -> list[dict[str, Any]]:
    """One token a number: the score at 0.6, two above it at 0.3, and a word at 0.1."""
    alternatives = [(str(score), 0.6), (str(min(100, score + 2)), 0.3), ("none", 0.1)]
    entries = [_entry(token, [(token, 1.0)]) for token in ("An", "omaly", " Score", ":", " ")]
    entries.append(_entry(str(score), alternatives))
    return entries + [_entry(token, [(token, 1.0)]) for token in ("\n", "Reason", ":", " dark", ".")]


def _entry(token: str, alternatives: Sequence[tuple[str, float]]) -> dict[str, Any]:
    tops = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in alternatives]
    return {"token": token, "logprob": tops[0]["logprob"], "bytes": None, "top_logprobs": tops}


class ChatServer(ThreadingHTTPServer):
    """Serves ``/v1/models`` and ``/v1/chat/completions``; keeps every request it got."""

    daemon_threads = True

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = behaviour
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.models = ["canned-1"]
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_GET(self) -> None:
        self._send(200, json.dumps({"object": "list", "data": [{"id": name} for name in self.server.models]}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.requests)
            server.requests.append(request)
            server.keys.append(self.headers.get("Authorization", ""))
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
        try:
            answer = server.behaviour(request, number)
            time.sleep(answer.wait)
        finally:
            with server.lock:
                server.busy -= 1
        body = answer.body if answer.body is not None else _completion(answer)
        self._send(answer.status, body, answer.headers, answer.cut)

    def _send(self, status: int, body: str, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        data = body.encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:cut])
            self.close_connection = cut is not None
        except OSError:
            self.close_connection = True  # the client went away

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _completion(answer: Answer) -> str:
    message = {"role": "assistant", "content": None if answer.refusal else answer.text, "refusal": answer.refusal}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": "canned-1-of-may",
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": answer.finish,
                    "logprobs": {"content": answer.logprobs} if answer.logprobs is not None else None,
                }
            ],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020},
        }
    )


@contextmanager
def serving(behaviour: Behaviour = judge) -> Iterator[ChatServer]:
    """A server on a free port of this machine, until the end of the block."""
    server = ChatServer(behaviour)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
