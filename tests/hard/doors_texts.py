"""The doors of texts: rubrics, records of audits, findings, answers of models, replies of servers, parameters."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mad_core.audit.events import Event
from mad_core.audit.exchange import events_csv, events_from_text, events_json, read_events
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import SubsetCard
from mad_core.errors import MadError
from mad_core.runs.store import Store
from mad_core.scorers import catalog
from mad_core.scorers.contract import Item
from mad_core.scorers.multimodal.endpoint.address import read_address
from mad_core.scorers.multimodal.endpoint.client import Client, read_reply
from mad_core.scorers.multimodal.endpoint.scorer import Endpoint
from mad_core.scorers.multimodal.readout import read_answer
from mad_core.scorers.multimodal.rubrics import find_rubric, parse_rubric
from mad_core.scorers.multimodal.showing import Question
from mad_core.settings import Settings
from mad_core.studies.finding import Finding, finding_from_json
from tests.engine.chat_server import Answer, serving, token_logprobs
from tests.hard.attack import Door, expect, refusal
from tests.hard.doors_data import yaml_text
from tests.hard.mutation import NASTY, json_value, nasty_bytes, spoiled_bytes, spoiled_json, spoiled_text

# -- rubrics --------------------------------------------------------------------------------------

_BANDS = (
    "bands:\n  - {from: 0, to: 0, name: normal, meaning: fine}\n"
    "  - {from: 1, to: 60, name: light}\n  - {from: 61, to: 100, name: lost}\n"
)
_RUBRICS = (
    f"title: Castings\nexpert: an inspector\ncriterion: By cost.\n{_BANDS}products:\n  bracket: Holds the pump.\n",
    "title: T\ntext: |\n  0 is fine,\n  100 is *lost*.\nsource: somebody\n",
    f"title: 3\n{_BANDS}",
)


def rubric_cases(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        if number >= 30 and rng.random() < 0.3:
            data: Any = {
                "title": "t",
                "bands": [{"from": 0, "to": 50, "name": "a"}, {"from": 51, "to": 100, "name": "b"}],
                "products": {"p": "x"},
            }
            for _ in range(rng.randrange(1, 3)):
                data = spoiled_json(rng, data)
            yield f"{number} values", json.dumps(data).encode()
        else:
            name, text = yaml_text(rng, _RUBRICS, number)
            yield f"{number} {name}", text


def enter_rubric(case: bytes, folder: Path) -> bool:
    path = folder / "mine.yaml"
    path.write_bytes(case)
    try:
        rubric = find_rubric(str(path), SubsetCard())
    except MadError as error:
        return refusal(error, path.name)
    said = rubric.wording("bracket", "a pump")
    expect(len(said) < 200_000, f"a rubric of {len(said)} characters")
    again = parse_rubric(rubric.to_yaml())
    expect(
        (again.bands, again.title, dict(again.products)) == (rubric.bands, rubric.title, dict(rubric.products)),
        "another rubric came back",
    )
    return True


# -- records of audits ----------------------------------------------------------------------------


@cache
def _events() -> tuple[Event, ...]:
    facts = {"dataset_id": "d", "image_id": "i", "reviewer": "Ann", "content_hash": "c", "path": "p.png", "time": 1e9}
    first = Event(kind="level", after=2.0, before=1.0, reason='=HYPERLINK("x")\n;,"', id="0" * 32, **facts)
    region = {"shape": "polygon", "points": [[0, 0], [0.5, 1], [1, 0.25]]}
    return (
        first,
        Event(kind="region", region=region, id="1" * 32, **facts),
        Event(kind="compare", after=0.5, other="j", id="2" * 32, **facts),
        Event(kind="undo", undoes="0" * 32, id="3" * 32, **facts),
        Event(kind="comment", reason="'quoted", id="4" * 32, seconds=3.5, **facts),
    )


def event_cases(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    table, document = events_csv(_events()), events_json(_events())
    for number in range(count):
        way = rng.randrange(4)
        if way == 0:
            data = json.dumps(spoiled_json(rng, json.loads(document)))
            yield f"{number} values", data.replace("\\\\u0000", rng.choice(("\\u0000", "\\ud800"))).encode()
        elif way == 1:
            yield f"{number} bytes", spoiled_bytes(rng, rng.choice((table, document)).encode())
        else:
            yield (
                f"{number} text",
                nasty_bytes(rng, spoiled_text(rng, table if way == 2 else document, (table, document))),
            )


def enter_events(case: bytes, folder: Path) -> bool:
    """Read; write what was read both ways and read it again; keep it in a store now and then."""
    path = folder / "record.json"
    path.write_bytes(case)
    try:
        events = read_events(path)
    except MadError as error:
        return refusal(error, path.name)
    expect(events_from_text(events_json(events)) == events, "another record came back from JSON")
    expect(events_from_text(events_csv(events)) == events, "another record came back from CSV")
    if events and len(case) % 8 == 0:
        store = Store(Settings.from_environment({"MAD_HOME": str(folder / "home")}))
        try:
            AuditStore(store).merge(events)
        except MadError as error:
            return refusal(error)
        finally:
            store.close()
    return True


# -- findings -------------------------------------------------------------------------------------


def finding_cases(rng: random.Random, count: int) -> Iterator[tuple[str, Any]]:
    whole = {
        "study": "area",
        "title": "t",
        "sentence": "s.",
        "caveat": "c",
        "tables": {"one": {"columns": ["a", "b"], "rows": [[1, 2.5], ["x", None]]}},
        "facts": {"n": 3, "interval": [0.1, 0.2]},
        "images": {"strip": ["i", "j"]},
    }
    for number in range(count):
        data: Any = whole
        for _ in range(rng.choice((1, 1, 2, 5))):
            data = spoiled_json(rng, data)
        yield f"{number} {json.dumps(data)[:200]}", data


def enter_finding(case: Any, folder: Path) -> bool:
    try:
        found = finding_from_json(case)
    except MadError as error:
        return refusal(error)
    expect(isinstance(found, Finding), "no finding")
    json.dumps(found.to_json(), allow_nan=False)
    return True


# -- answers of models ----------------------------------------------------------------------------

_ANSWERS = (
    "Anomaly Score: 72\nReason: a deep crack.",
    "**Anomaly Score:** [72.5]\n\n**Reason:** x",
    '{"anomaly_score": 40, "reason": "x"}',
    '```json\n{"Anomaly Score": "41/100", "reasoning": {"a": 1}}\n```',
    "<think>about 30, no 50</think>Score: 50/100",
    "Reason: a, b.\nFinal anomaly score = 12,5 %",
    "I'm sorry, I cannot assess medical images.",
    "The severity score is 7/10.",
    "72",
    "Anomaly Score: ٧٢",
)


def floods() -> dict[str, str]:
    """Long answers on which a careless pattern takes for ever."""
    n = 60_000
    return {
        "blanks": "Anomaly Score" + " " * n,
        "stars": "Anomaly Score" + "*" * n,
        "quotes": "Score" + '"' * n + "x",
        "colons": "Anomaly Score:" * (n // 14),
        "thoughts": "<think>" * (n // 7),
        "ended thoughts": "</think>" * (n // 8),
        "thoughts that close": "<think></think>" * (n // 15),
        "lines": "\n" * n + "Score",
        "lines of marks": "- * \n" * (n // 5) + "Anomaly Score",
        "digits": "Anomaly Score: " + "7" * n,
        "grouped digits": "Anomaly Score: " + "1,111" * (n // 5),
        "decimals": "Anomaly Score: " + "1.1" * (n // 3),
        "reasons": "Reason: " * (n // 8),
        "the the": "the " * (n // 4) + "score",
        "brackets": "[" * n,
        "objects": '{"a":' * (n // 5),
        "json blanks": "{" + " " * n,
        "scores": "Anomaly Score: 5\n" * (n // 17),
        "scores apart": "Anomaly Score - " * (n // 16),
        "fences": "`" * n,
        "sorry": "I can " * (n // 6),
        "underscores": "anomaly" + "_" * n + "score: 3",
        "final": "final " * (n // 6) + "anomaly score: 3",
        "numbers": "\n".join(str(k) for k in range(n // 6)),
    }


def answer_cases(rng: random.Random, count: int) -> Iterator[tuple[str, tuple[str, str]]]:
    long = floods()
    for number in range(count):
        finish = rng.choice(("stop", "length", "content_filter", "stop", "tool_calls", ""))
        if number < len(long):
            name = list(long)[number]
            yield f"{number} {name}", (long[name], "stop")
        elif rng.random() < 0.05:
            a, b = rng.choice(list(long)), rng.choice(list(long))
            yield f"{number} {a} {b}", (long[a][: rng.randrange(9000)] + long[b][: rng.randrange(9000)], finish)
        else:
            yield f"{number} spoiled", (spoiled_text(rng, rng.choice(_ANSWERS), _ANSWERS), finish)


def enter_answer(case: tuple[str, str], folder: Path) -> bool:
    text, finish = case
    found = read_answer(text, finish)
    expect((found.score is None) != (found.problem is None), f"{found}")
    expect(found.score is None or (0 <= found.score <= 100 and math.isfinite(found.score)), f"{found.score}")
    expect(isinstance(found.reason, str) and len(found.reason) <= len(text), "a reason from nowhere")
    return found.score is not None


# -- replies of servers ---------------------------------------------------------------------------


def _completion(text: str, logprobs: Any = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": logprobs}}
    usage = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def reply_cases(rng: random.Random, count: int) -> Iterator[tuple[str, Any]]:
    for number in range(count):
        score = rng.randrange(101)
        data: Any = _completion(
            f"Anomaly Score: {score}\nReason: dark.", token_logprobs(score) if rng.random() < 0.7 else None
        )
        for _ in range(rng.choice((1, 1, 2, 6))):
            data = spoiled_json(rng, data)
        if rng.random() < 0.3:
            tokens = [
                {
                    "token": rng.choice(NASTY),
                    "logprob": rng.choice((-1, 0, 5, -math.inf, math.inf, math.nan, None, "x", True)),
                }
                for _ in range(4)
            ]
            entry = {
                "token": str(score),
                "logprob": 0,
                "top_logprobs": rng.choice((tokens, tokens[0], 7, "x", [1, None, tokens])),
            }
            data = _completion(f"Anomaly Score: {score}", [{"token": "Anomaly Score: ", "top_logprobs": []}, entry])
        yield f"{number} {json.dumps(data)[-160:]}", data


@cache
def _asked() -> tuple[Endpoint, Client, Question]:
    scorer = Endpoint(**catalog.scorer("endpoint").defaults())
    scorer._served = ""
    client = Client(read_address("http://127.0.0.1:9/v1"), "sk-secret-key", 5, 0)
    return scorer, client, Question(None, (), (), None, {})  # type: ignore[arg-type]


def enter_reply(case: Any, folder: Path) -> bool:
    """As the endpoint's scorer takes a reply: a score, a named failure, or no chat completion at all."""
    scorer, client, question = _asked()
    try:
        reply = read_reply(json.loads(json.dumps(case)))
    except (ValueError, LookupError, TypeError, AttributeError):
        return False  # what the client turns into a failure named server-error
    scored = scorer._scored(client, Item("i", "i.png"), question, reply, None, 0.1)
    json.dumps(dict(scored.detail), allow_nan=False).encode()
    expect(scored.score is None or 0 <= scored.score <= 100, f"score {scored.score}")
    expect(scored.reason is None or bool(scored.reason.encode()), "a reason that cannot be written down")
    if scored.distribution is not None:
        expect(bool(np.isclose(scored.distribution.sum(), 1)), "a distribution that is none")
    return scored.score is not None


def server_cases(rng: random.Random, count: int) -> Iterator[tuple[str, Answer]]:
    """What a server may send over the wire, status and headers included."""
    body = json.dumps(_completion("Anomaly Score: 5"))
    for number in range(count):
        way = rng.randrange(8)
        answer = Answer(body=body)
        if way == 0:
            answer = Answer(body=spoiled_text(rng, body))
        elif way == 1:
            answer = Answer(
                body=body, status=rng.choice((200, 204, 301, 400, 401, 404, 408, 413, 418, 422, 429, 500, 503, 599))
            )
        elif way == 2:
            answer = Answer(body=json.dumps({"error": json_value(rng)}), status=rng.choice((400, 422, 500, 503)))
        elif way == 3:
            answer = Answer(body="x" * rng.choice((0, 1, 5_000_000)), status=rng.choice((200, 500)))
        elif way == 4:
            answer = Answer(
                body=body,
                headers={
                    "Content-Type": rng.choice(
                        ("text/html", "", "application/json; charset=utf-16", "image/png", "x" * 500)
                    )
                },
            )
        elif way == 5:
            answer = Answer(
                body=body, headers={"Content-Encoding": rng.choice(("gzip", "br", "zstd", "x", "deflate, gzip"))}
            )
        elif way == 6:
            answer = Answer(
                body=body,
                status=302,
                headers={"Location": rng.choice(("http://example.com/", "file:///etc/passwd", "//", "\u00e9"))},
            )
        else:
            answer = Answer(body="[" * rng.choice((10, 100_000)))
        yield f"{number} {way} {answer.status}", answer


def enter_server(case: Answer, folder: Path) -> bool:
    async def asked(url: str) -> Any:
        client = Client(read_address(url), "sk-secret-key", 5, 0)
        try:
            return await client.ask(
                "m",
                [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "x"}]}],
                10,
            )
        finally:
            await client.close()

    with serving(lambda request, number: case) as server:
        try:
            reply = asyncio.run(asked(server.url))
        except MadError as error:
            return refusal(error, f"127.0.0.1:{server.server_address[1]}")
    expect(isinstance(reply.text, str), "no text")
    return True


# -- addresses and parameters ---------------------------------------------------------------------


def address_cases(rng: random.Random, count: int) -> Iterator[tuple[str, str]]:
    fine = (
        "http://127.0.0.1:8000/v1",
        "https://models.example/v1",
        "http://[::1]:8000/v1",
        "https://user:pw@host/v1?q=1#f",
        "localhost:8000",
    )
    for number in range(count):
        text = spoiled_text(rng, rng.choice(fine), fine)[:3000]
        yield f"{number} {text[:80]!r}", text


def enter_address(case: str, folder: Path) -> bool:
    try:
        found = read_address(case)
        Client(found, None, 5, 0)
    except MadError as error:
        return refusal(error, "MAD_ENDPOINT_URL", "another machine")
    expect(found.url.lower().startswith(("http://", "https://")), f"{found.url[:80]!r}")
    return True


def parameter_cases(rng: random.Random, count: int) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    every = catalog.scorers()
    for number in range(count):
        info = rng.choice(every)
        names = [p.name for p in info.parameters] or ["x"]
        given = {
            rng.choice((*names, *names, rng.choice(NASTY))): rng.choice((rng.choice(NASTY), json_value(rng)))
            for _ in range(rng.randrange(1, 4))
        }
        yield f"{number} {info.id} {str(given)[:100]}", (info.id, given)


def enter_parameters(case: tuple[str, dict[str, Any]], folder: Path) -> bool:
    """The values of a form or of ``--param``: what passes is what the declaration says, and JSON can hold it."""
    name, given = case
    info = catalog.scorer(name)
    try:
        found = info.check(given)
    except MadError as error:
        return refusal(error, name, *given)
    json.dumps(found, allow_nan=False).encode()
    return True


DOORS = (
    Door("rubrics", rubric_cases, enter_rubric),
    Door("events", event_cases, enter_events),
    Door("findings", finding_cases, enter_finding),
    Door("answers", answer_cases, enter_answer),
    Door("replies", reply_cases, enter_reply),
    Door("servers", server_cases, enter_server),
    Door("addresses", address_cases, enter_address),
    Door("parameters", parameter_cases, enter_parameters),
)
