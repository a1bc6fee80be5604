"""The endpoint scorer against a real HTTP server on this machine: well-behaved, slow, failing, and odd."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mad_core.datasets.dataset import Dataset, Imported, SubsetCard
from mad_core.errors import CancelledError, InputError, UnavailableError, WorkError
from mad_core.runs import consent
from mad_core.runs.in_process import do_here
from mad_core.runs.parts import resolve_parts
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, LabelledItem, Scored
from mad_core.scorers.multimodal.endpoint import fleet as endpoint_fleet
from mad_core.scorers.multimodal.endpoint.address import Address, notice, read_address, read_servers
from mad_core.scorers.multimodal.models import SHIPPED, locate
from mad_core.scorers.multimodal.showing import Recommended
from mad_core.settings import Settings

from . import tiny_models
from .chat_model import ModelBehind
from .chat_server import Answer, Behaviour, ChatServer, darkness, images_of, judge, serving, token_logprobs
from .conftest import digests, make_dataset

KEY = "sk-test-0123456789abcdef"
QUICK = {"retries": 0, "timeout": 5.0}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Item], list[Item]]:
    """Four bright normals, five ever darker images and one that cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")

    def write(name: str, grey: int) -> Item:
        Image.fromarray(np.full((40, 60, 3), grey, np.uint8)).save(folder / name)
        return Item(name, str(folder / name))

    normals = [write(f"n{i}.png", 240 + i) for i in range(4)]
    return normals, [write(f"t{i}.png", 230 - 40 * i) for i in range(5)]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Behaviour], ChatServer]]:
    """Start a server and point the environment at it."""
    open_servers = []

    def start(behaviour: Behaviour = judge) -> ChatServer:
        context = serving(behaviour)
        server = context.__enter__()
        open_servers.append(context)
        monkeypatch.setenv("MAD_ENDPOINT_URL", server.url)
        monkeypatch.setenv("MAD_ENDPOINT_KEY", KEY)
        return server

    yield start
    for context in open_servers:
        context.__exit__(None, None, None)


def run(pictures: Any, *, context: Context | None = None, **parameters: Any) -> tuple[list[Scored], dict[str, Any]]:
    normals, tests = pictures
    scorer = catalog.scorer("endpoint").create(QUICK | parameters)
    context = context or Context(subset="plate", card=SubsetCard(domain="industrial"), normals=normals)
    try:
        scorer.fit([], context)
        return list(scorer.score(tests, context)), json.loads(json.dumps(scorer.facts()))
    finally:
        scorer.close()


def test_scores_are_the_expectation_over_the_named_tokens(serve, pictures) -> None:
    server = serve()
    scored, facts = run(pictures, price_in=2.0, price_out=10.0)
    written = [darkness(request) for request in sorted(server.requests, key=lambda r: darkness(r))]
    assert [s.image_id for s in scored] == [i.image_id for i in pictures[1]]
    assert [s.detail["written"] for s in scored] == written
    for one, number in zip(scored, written, strict=True):
        assert one.score == pytest.approx((0.6 * number + 0.3 * (number + 2)) / 0.9)
        assert one.detail["mass"] == pytest.approx(0.9)
        assert (one.detail["score_from"], one.detail["expected_from"]) == ("expected", "top tokens, approximate")
        assert one.distribution is not None and one.distribution.sum() == pytest.approx(1)
        assert one.reason == f"{number} percent dark."
        assert (one.detail["tokens_in"], one.detail["tokens"]) == (1000, 20)
        assert one.detail["cost"] == pytest.approx((2.0 * 1000 + 10.0 * 20) / 1e6)
    assert facts["model"] == "canned-1" and facts["served_model"] == "canned-1-of-may"
    assert "approximate" in facts["expectation"] and facts["encoding"] == "PNG"


def test_the_image_to_judge_comes_last_and_the_shared_part_is_the_same(serve, pictures) -> None:
    server = serve()
    run(pictures, references=2, view="yes", concurrency=1)
    shared = [json.dumps(r["messages"][1]["content"][:5]) for r in server.requests]
    assert len(set(shared)) == 1
    for request, item in zip(server.requests, pictures[1], strict=True):
        assert request["messages"][0]["role"] == "system" and isinstance(request["messages"][0]["content"], str)
        found = images_of(request)
        assert len(found) == 4  # two references, the view, the image
        assert np.array_equal(found[-1], np.array(Image.open(item.path)))
        assert np.array_equal(found[0], np.array(Image.open(pictures[0][0].path)))
        assert (request["temperature"], request["max_tokens"], request["top_logprobs"]) == (0, 300, 20)


def test_jpeg_is_near_and_said(serve, pictures) -> None:
    server = serve()
    facts = run(pictures, encoding="jpeg", references=0)[1]
    assert facts["encoding"] == "JPEG, quality 95"
    url = server.requests[0]["messages"][1]["content"][-1]["image_url"]["url"]
    assert url.startswith("data:image/jpeg;base64,")


def test_madbench_protocol_fixes_what_is_asked(serve, pictures) -> None:
    server = serve()
    scored, facts = run(pictures, protocol="madbench", references=0, tokens=9, reasons=False)
    assert all(len(images_of(r)) == 4 and r["max_tokens"] == 300 for r in server.requests)
    assert facts["references"] == ["n0.png", "n1.png", "n2.png"] and scored[0].status == "ok"


def test_without_logprobs_the_written_score_stands(serve, pictures) -> None:
    serve(lambda request, number: Answer(f"Anomaly Score: {darkness(request)}\nReason: dark."))
    scored, facts = run(pictures)
    assert [s.detail["score_from"] for s in scored] == ["written"] * 5
    assert [s.score for s in scored] == [s.detail["written"] for s in scored]
    assert scored[0].distribution is None and facts["expectation"].startswith("none")


def test_a_distribution_that_covers_little_is_not_used(serve, pictures) -> None:
    def vague(request: dict[str, Any], number: int) -> Answer:
        entries = token_logprobs(darkness(request))
        for top in entries[5]["top_logprobs"]:
            top["logprob"] -= 3
        return Answer(f"Anomaly Score: {darkness(request)}", logprobs=entries)

    serve(vague)
    assert {s.detail["score_from"] for s in run(pictures)[0]} == {"written"}


@pytest.mark.parametrize(
    ("complaint", "key", "value"),
    [
        ("logprobs is not supported for this model", "logprobs", None),
        ("Unsupported parameter: 'max_tokens', use 'max_completion_tokens' instead.", "max_completion_tokens", 300),
        ("'temperature' does not support 0 with this model", "temperature", None),
    ],
)
def test_a_server_that_takes_another_form_gets_it(serve, pictures, complaint, key, value) -> None:
    def picky(request: dict[str, Any], number: int) -> Answer:
        if (key in request) == (value is None):
            return Answer(status=400, body=json.dumps({"error": {"message": complaint}}))
        return judge(request, number)

    server = serve(picky)
    scored, facts = run(pictures, concurrency=1)
    assert [s.status for s in scored] == ["ok"] * 5
    assert facts["request"].get(key) == value
    assert len(server.requests) <= 5 + 2  # learned at the first image


def test_failing_then_well_is_retried(serve, pictures) -> None:
    failures = {0: 500, 1: 429, 3: 503, 4: 409, 5: 408}

    def flaky(request: dict[str, Any], number: int) -> Answer:
        if number in failures:
            return Answer(status=failures[number], body="{}", headers={"retry-after-ms": "10"})
        return judge(request, number)

    serve(flaky)
    scored, _ = run(pictures, retries=4, concurrency=1)
    assert [s.status for s in scored] == ["ok"] * 5
    assert sum(s.detail["retries"] for s in scored) == 5 and scored[0].detail["retries"] == 2


ODD = {
    "server-error": Answer(status=500, body=f'{{"error": {{"message": "no GPU left for {KEY}"}}}}'),
    "server-error ": Answer(body="<html>busy</html>"),
    "server-error  ": Answer(body='{"choices": []}'),
    "server-error   ": Answer(body='{"choices": [{"message": "hello"}]}'),
    "unparsed": Answer("It looks fine to me."),
    "cut-off": Answer("Anomaly Score:", finish="length"),
    "out-of-range": Answer("Anomaly Score: 140\nReason: much."),
    "refused": Answer(refusal="I cannot help with that."),
    "refused ": Answer("", finish="content_filter"),
    "timeout": Answer("Anomaly Score: 3", wait=1.5),
}


@pytest.mark.parametrize("status", ODD)
def test_what_is_no_score_is_a_named_failure_that_keeps_its_raw_text(serve, pictures, status) -> None:
    odd = ODD[status]
    dark = darkness_of(pictures[1][2])
    serve(lambda request, number: odd if darkness(request) == dark else judge(request, number))
    scored, _ = run(pictures, timeout=0.7 if status == "timeout" else 5.0)
    assert [s.status for s in scored] == ["ok", "ok", status.strip(), "ok", "ok"]
    failed = scored[2]
    assert failed.score is None and failed.reason and failed.reason.endswith(".")
    assert KEY not in json.dumps(dict(failed.detail)) + failed.reason
    said = odd.refusal or odd.text or (odd.body or "")[:10]
    if status != "timeout":
        assert said.replace(KEY, "")[:8] in failed.detail["raw"] or "[key]" in failed.detail["raw"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(body="{" + " " * 40_000 + "}"), "longer than 0 MB"),
        (Answer(body="{}", headers={"Content-Encoding": "gzip"}), "compressed, which was not asked for"),
        (Answer("Anomaly Score: 3", cut=120), "cannot be reached"),
        (Answer("Anomaly Score: 3", cut=0), "cannot be reached"),
    ],
)
def test_an_answer_that_is_endless_packed_or_cut_is_a_failed_image(serve, pictures, answer, says, monkeypatch) -> None:
    monkeypatch.setattr("mad_core.scorers.multimodal.endpoint.client.MOST_BYTES", 30_000)
    dark = darkness_of(pictures[1][2])
    serve(lambda request, number: answer if darkness(request) == dark else judge(request, number))
    scored, _ = run(pictures)
    assert [s.status for s in scored] == ["ok", "ok", "server-error", "ok", "ok"]
    assert says in str(scored[2].reason)
    assert scored[2].score is None


def darkness_of(item: Item) -> int:
    return round(100 - float(np.array(Image.open(item.path)).mean()) / 255 * 100)


def test_an_unreadable_image_is_not_sent(serve, pictures, tmp_path) -> None:
    server = serve()
    (tmp_path / "broken.png").write_bytes(b"no image")
    scored, _ = run((pictures[0], [Item("b", str(tmp_path / "broken.png")), pictures[1][0]]))
    assert [s.status for s in scored] == ["unreadable", "ok"] and len(server.requests) == 1


def test_a_server_that_stays_down_ends_the_run_with_a_sentence(serve, pictures) -> None:
    server = serve(lambda request, number: Answer(status=503, body="{}"))
    many = (pictures[0], pictures[1] * 8)
    with pytest.raises(WorkError, match=r"failed 8 images in a row.*503.*--retry-failed"):
        run(many, concurrency=2)
    assert len(server.requests) < 20


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            Answer(status=401, body=json.dumps({"error": {"message": f"Incorrect API key: {KEY}"}})),
            "does not accept the key",
        ),
        (Answer(status=404, body='{"error": {"message": "no model x"}}'), "knows no such model"),
        (Answer(status=307, body="", headers={"Location": "http://127.0.0.2:9/v1"}), "sends requests elsewhere"),
    ],
)
def test_what_no_image_can_get_past_ends_the_run_at_once(serve, pictures, answer, sentence) -> None:
    serve(lambda request, number: answer)
    with pytest.raises(WorkError, match=sentence) as caught:
        run(pictures, model="x")
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_a_sentence(serve, pictures) -> None:
    server = serve()
    server.shutdown()
    server.server_close()
    with pytest.raises(WorkError, match="does not list its models"):
        run(pictures)
    scored, _ = run(pictures, model="x")
    assert {s.status for s in scored} == {"server-error"} and "cannot be reached" in str(scored[0].reason)


def test_concurrency_is_used_and_kept_to(serve, pictures) -> None:
    def slow(request: dict[str, Any], number: int) -> Answer:
        answer = judge(request, number)
        answer.wait = 0.2
        return answer

    server = serve(slow)
    many = (pictures[0], pictures[1] * 4)
    scored, _ = run(many, concurrency=4)
    assert len(scored) == 20 and server.most_busy in (3, 4)


def refused(message: str, status: int = 400) -> Answer:
    return Answer(status=status, body=json.dumps({"error": {"message": message}}))


def test_scores_of_one_at_most_are_said_and_another_scale_is_offered(serve, pictures) -> None:
    entries = [
        *token_logprobs(0)[:5],
        {"token": "0", "logprob": -0.1, "top_logprobs": [{"token": "0", "logprob": -0.1}]},
    ]
    serve(lambda request, number: Answer("Anomaly Score: 0.72\nReason: dark.", logprobs=entries))
    scored, facts = run(pictures)
    assert {one.score for one in scored} == {0.72} and "scale=1" in facts["score_note"]
    scored, facts = run(pictures, scale="1")
    assert {one.score for one in scored} == {72.0} and "score_note" not in facts


def test_a_scale_to_one_takes_no_higher_score(serve, pictures) -> None:
    serve(lambda request, number: Answer("Anomaly Score: 72"))
    assert {one.status for one in run(pictures, scale="1")[0]} == {"out-of-range"}


def test_how_many_written_scores_stand_for_want_of_probability_is_said(serve, pictures) -> None:
    def vague(request: dict[str, Any], number: int) -> Answer:
        entries = token_logprobs(darkness(request))
        for top in entries[5]["top_logprobs"]:
            top["logprob"] -= 3
        return Answer(f"Anomaly Score: {darkness(request)}", logprobs=entries)

    serve(vague)
    facts = run(pictures)[1]
    assert facts["written_scores"] == 5 and facts["score_note"].startswith("For 5 of 5 images")


def test_a_model_is_told_not_to_think_to_look_closely_and_to_repeat_itself(serve, pictures) -> None:
    server = serve()
    run(pictures, references=0)
    request = server.requests[0]
    assert request["chat_template_kwargs"] == {"enable_thinking": False} and request["reasoning_effort"] == "low"
    assert request["seed"] == 0 and request["messages"][1]["content"][-1]["image_url"]["detail"] == "high"


@pytest.mark.parametrize(
    ("complaint", "status", "gone"),
    [
        ("Unrecognized request argument supplied: reasoning_effort", 400, {"reasoning_effort"}),
        ("chat_template_kwargs: Extra inputs are not permitted", 422, {"chat_template_kwargs", "reasoning_effort"}),
        ("Unsupported parameter: seed", 400, {"seed"}),
        ("You are not allowed to request logprobs from this model", 403, {"logprobs"}),
        ("No endpoints found that support the requested parameters: logprobs", 404, {"logprobs"}),
        ("logprobs not implemented", 501, {"logprobs"}),
    ],
)
def test_a_parameter_that_a_server_refuses_is_left_out_whatever_the_status(
    serve, pictures, complaint, status, gone
) -> None:
    def picky(request: dict[str, Any], number: int) -> Answer:
        return refused(complaint, status) if gone & set(request) else judge(request, number)

    server = serve(picky)
    scored, _ = run(pictures, model="x", concurrency=1)
    assert {one.status for one in scored} == {"ok"} and len(server.requests) <= 5 + 2


def test_where_a_server_takes_no_system_line_it_stands_in_the_users_turn(serve, pictures) -> None:
    def picky(request: dict[str, Any], number: int) -> Answer:
        if request["messages"][0]["role"] == "system":
            return refused("Developer instruction is not enabled for this model")
        return judge(request, number)

    server = serve(picky)
    scored, _ = run(pictures, concurrency=1)
    assert {one.status for one in scored} == {"ok"} and len(server.requests) == 6
    assert server.requests[-1]["messages"][0]["content"][0]["text"].startswith("You are ")


def test_a_server_that_fails_without_a_word_is_asked_without_extras(serve, pictures) -> None:
    def silent(request: dict[str, Any], number: int) -> Answer:
        return refused("Internal error", 500) if "logprobs" in request else judge(request, number)

    serve(silent)
    assert [one.status for one in run(pictures, concurrency=1)[0]] == ["server-error"] * 2 + ["ok"] * 3


def test_an_answer_that_stands_among_the_thoughts_is_read(serve, pictures) -> None:
    message = {"role": "assistant", "content": None, "reasoning_content": "Anomaly Score: 72\nReason: A crack."}
    body = json.dumps({"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})
    serve(lambda request, number: Answer(body=body))
    assert {one.score for one in run(pictures)[0]} == {72}


def test_an_answer_that_was_cut_off_is_asked_for_once_more_and_may_be_longer(serve, pictures) -> None:
    def thinks(request: dict[str, Any], number: int) -> Answer:
        return judge(request, number) if request["max_tokens"] >= 2400 else Answer("", finish="length")

    server = serve(thinks)
    scored, _ = run(pictures, concurrency=1)
    assert {one.status for one in scored} == {"ok"} and scored[0].detail["retries"] == 1
    assert [request["max_tokens"] for request in server.requests] == [300, *[2400] * 5]


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        (Answer("It looks fine to me."), "raw answers"),
        (Answer(refusal="I cannot help with that."), "Word the rubric otherwise"),
        (Answer("", finish="length"), "tokens=4000"),
        (refused("bad image"), "--retry-failed"),
    ],
)
def test_eight_failures_in_a_row_of_any_kind_end_the_run_with_the_cure(serve, pictures, answer, cure) -> None:
    server = serve(lambda request, number: answer)
    with pytest.raises(WorkError, match="failed 8 images in a row") as caught:
        run((pictures[0], pictures[1] * 4), concurrency=1)
    assert cure in str(caught.value) and len(server.requests) <= 24


# -- several servers ------------------------------------------------------------------------------


@pytest.fixture
def fleet(serve: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[ChatServer]]:
    """Start servers and name them all, and further addresses besides."""

    def start(*behaviours: Behaviour, others: Sequence[str] = ()) -> list[ChatServer]:
        servers = [serve(behaviour) for behaviour in behaviours]
        monkeypatch.setenv("MAD_ENDPOINT_URL", ", ".join([*others, *(server.url for server in servers)]))
        return servers

    return start


def slowly(request: dict[str, Any], number: int) -> Answer:
    return replace(judge(request, number), wait=0.2)


def test_servers_share_the_images(fleet, pictures) -> None:
    servers = fleet(slowly, slowly, slowly)
    images = (pictures[0], pictures[1] * 6)
    scored, facts = run(images, concurrency=6)
    assert [s.image_id for s in scored] == [item.image_id for item in images[1]]
    assert [s.detail["written"] for s in scored] == [darkness_of(item) for item in images[1]]
    asked = [len(server.requests) for server in servers]
    assert sum(asked) == len(images[1]) and max(asked) - min(asked) <= 3
    hosts = {server.url.split("/")[2] for server in servers}
    assert {s.detail["host"] for s in scored} == hosts == set(facts["host"].split(", "))


def test_a_server_that_is_gone_costs_no_image(fleet, pictures) -> None:
    working, broken = fleet(judge, lambda request, number: Answer(status=500, body="{}"), others=[nowhere()])
    images = (pictures[0], pictures[1] * 4)
    scored, _ = run(images, concurrency=2)
    assert [s.status for s in scored] == ["ok"] * len(images[1])
    assert len(working.requests) == len(images[1]) and 1 <= len(broken.requests) <= 2  # it rests


def test_a_server_that_rested_is_asked_again(fleet, pictures, monkeypatch) -> None:
    monkeypatch.setattr(endpoint_fleet, "REST_SECONDS", 0.0)
    once = fleet(lambda request, number: judge(request, number) if number else Answer(status=503, body="{}"), slowly)[0]
    scored, _ = run((pictures[0], pictures[1] * 2), concurrency=1)
    assert [s.status for s in scored] == ["ok"] * 10 and len(once.requests) > 2


def test_an_image_that_one_server_refuses_is_not_put_to_another(fleet, pictures) -> None:
    servers = fleet(*[lambda request, number: Answer(status=413, body='{"error": "too large"}')] * 2)
    scored, _ = run(pictures, concurrency=1)
    assert [s.status for s in scored] == ["server-error"] * 5
    assert sum(len(server.requests) for server in servers) == 5


def test_where_all_are_gone_the_run_ends_with_a_sentence(fleet, pictures) -> None:
    fleet(others=[nowhere(), nowhere()])
    with pytest.raises(WorkError, match="cannot be reached"):
        run((pictures[0], pictures[1] * 4), model="canned-1", concurrency=1)


def test_servers_are_one_address_whatever_their_order() -> None:
    one, two = "http://127.0.0.1:8000/v1", "https://gpu.example:8000/v1"
    servers = read_servers(f"{one},{two}, {one}")
    assert servers.each == (read_address(one), read_address(two))
    assert servers.identity == read_servers(f"{two},{one}").identity != read_servers(one).identity
    assert read_servers(one).identity.startswith("127.0.0.1:8000 ")
    assert servers.identity.startswith("127.0.0.1:8000 and 1 more ")
    assert not servers.loopback and "127.0.0.1:8000, gpu.example:8000" in notice(servers)
    with pytest.raises(InputError, match="plain_http=yes"):
        read_servers(f"{one},http://gpu.example/v1")


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def test_cancel_leaves_within_two_seconds(serve, pictures) -> None:
    serve(lambda request, number: Answer("Anomaly Score: 1", wait=30))
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        run(pictures, context=Context(normals=pictures[0], cancelled=stop.is_set), timeout=60.0)
    assert time.monotonic() - started < 0.5 + 2 + 2  # the wait, the promise, and a busy machine; an answer takes 30


def test_score_only_asks_for_little_text(serve, pictures) -> None:
    server = serve()
    run(pictures, reasons=False)
    assert {r["max_tokens"] for r in server.requests} == {16}


def test_longer_answers_are_asked_for_the_worst_alone(serve, pictures) -> None:
    server = serve()
    brightest_last = pictures[0], pictures[1][::-1]
    scored, _ = run(brightest_last, reasons="worst", worst=1, concurrency=1)
    lengths = [request["max_tokens"] for request in server.requests]
    scores = [one.score for one in scored]
    rising = sum(score > max(scores[:k], default=-1) for k, score in enumerate(scores))
    assert lengths.count(16) == len(scored) and lengths.count(300) == rising < len(scored)
    assert scored[int(np.argmax(scores))].reason


def test_a_server_that_does_not_go_on_with_an_answer_is_asked_as_usual(serve, pictures) -> None:
    def behave(request: dict[str, Any], number: int) -> Answer:
        if "continue_final_message" in request:
            return Answer(status=400, body='{"error": {"message": "unknown field continue_final_message"}}')
        return judge(request, number)

    server = serve(behave)
    scored, facts = run(pictures, exact=True, concurrency=1)
    assert {one.status for one in scored} == {"ok"} and "approximate" in facts["expectation"]
    asked = [request for request in server.requests if "continue_final_message" not in request]
    assert len(asked) == len(scored) and all("seed" in request for request in asked)  # the usual form stays


def test_anchors_come_from_calibration(serve, pictures) -> None:
    server = serve()
    calibration = [LabelledItem("c", pictures[1][4].path, 2.0)]
    context = Context(normals=pictures[0], calibration=calibration)
    facts = run(pictures, context=context, anchors=True)[1]
    assert facts["anchors"] == {"level 2": "t4.png"} and len(images_of(server.requests[0])) == 5


# -- address and consent ------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:8000/v1"])
def test_this_machine_is_loopback(url) -> None:
    assert read_address(url).loopback


@pytest.mark.parametrize("url", ["https://api.example.com/v1", "https://127.0.0.1.example.com", "https://10.0.0.1"])
def test_other_machines_are_not(url) -> None:
    servers = read_servers(url)
    assert not servers.loopback and "leave this machine" in notice(servers) and servers.host in notice(servers)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://host/v1", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("api.example.com/v1", "http:// or https://"),
        ("https://user:secret@host/v1", "bare address"),
        ("https://host/v1?key=secret", "bare address"),
        ("https://host:99999/v1", "cannot be read"),
        ("http://host/v1", "unencrypted"),
    ],
)
def test_addresses_that_will_not_do(url, sentence, monkeypatch) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        read_address(url)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("MAD_ENDPOINT_URL", url)
    info = catalog.scorer("endpoint")
    assert sentence in str(info.why_not(info.check({})))


def test_plain_http_to_another_machine_can_be_wanted() -> None:
    assert read_address("http://host:8000/v1", plain_http=True) == Address("http://host:8000/v1", "host:8000", False)


AZURE = "https://our.openai.azure.com"


@pytest.mark.parametrize(
    ("given", "url", "version"),
    [
        (AZURE, f"{AZURE}/openai/v1", ""),
        (f"{AZURE}/openai/v1/", f"{AZURE}/openai/v1", ""),
        (
            f"{AZURE}/openai/deployments/eyes/chat/completions?api-version=2024-10-21",
            f"{AZURE}/openai/deployments/eyes",
            "2024-10-21",
        ),
    ],
)
def test_azures_addresses_are_taken_as_its_portal_shows_them(given, url, version) -> None:
    address = read_address(given)
    assert (address.url, address.version) == (url, version) and address.headers("secret") == {"api-key": "secret"}
    assert address.query == ({"api-version": version} if version else {})
    with pytest.raises(InputError, match="bare address"):
        read_address(f"{AZURE}/openai/v1?code=secret")
    assert not read_address("https://api.example.com/v1").headers("secret")


def test_an_address_that_was_copied_whole_is_cut() -> None:
    assert read_address("https://api.example.com/v1/chat/completions/").url == "https://api.example.com/v1"


def test_no_server_is_a_sentence_before_work(monkeypatch) -> None:
    monkeypatch.delenv("MAD_ENDPOINT_URL", raising=False)
    info = catalog.scorer("endpoint")
    assert "MAD_ENDPOINT_URL" in str(info.why_not(info.check({})))
    with pytest.raises(UnavailableError, match="MAD_ENDPOINT_URL"):
        info.create({}).fit([], Context())


REMOTE = "https://models.invalid/v1"


def test_another_machine_wants_consent(monkeypatch, pictures) -> None:
    monkeypatch.setenv("MAD_ENDPOINT_URL", REMOTE)
    monkeypatch.delenv("MAD_ENDPOINT_CONSENT", raising=False)
    create, context = catalog.scorer("endpoint").create, Context(normals=pictures[0])
    with pytest.raises(InputError, match=r"leave this machine.*models.invalid.*Nobody has agreed"):
        create({"model": "x"}).fit([], context)
    allowed = [
        ({"consent": True}, context, {}),
        ({}, Context(normals=pictures[0], agreed_hosts=frozenset({"models.invalid"})), {}),
        ({}, context, {"MAD_ENDPOINT_CONSENT": "yes"}),
    ]
    for parameters, given, environment in allowed:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            scorer = create({"model": "x", **parameters})
            scorer.fit([], given)  # a named model is not looked up, so nothing is sent here
            scorer.close()


def test_consent_is_kept_for_images_and_host(settings: Settings) -> None:
    mine, other = make_dataset(), make_dataset("other", subsets=("c",))
    assert consent.agreed_hosts(settings, mine) == frozenset()
    consent.agree(settings, mine, "a.example")
    consent.agree(settings, mine, "b.example")
    assert consent.agreed_hosts(settings, mine) == {"a.example", "b.example"}
    assert consent.agreed_hosts(settings, other) == frozenset()
    relabelled = Dataset("new name", mine.table.assign(level=mine.table["level"] * 2, split="test"))
    assert consent.agreed_hosts(settings, relabelled) == {"a.example", "b.example"}
    changed = mine.table.assign(content_hash=mine.table["content_hash"] + "x")
    assert consent.agreed_hosts(settings, Dataset("changed", changed)) == frozenset()
    consent.withdraw(settings, mine, "a.example")
    assert consent.agreed_hosts(settings, mine) == {"b.example"}
    (settings.home / "consents.json").write_text("not json")
    assert consent.agreed_hosts(settings, mine) == frozenset()


# -- through the store --------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path: Path) -> Dataset:
    """A dataset of real images: darker the more severe."""
    table = make_dataset(subsets=("a",)).table.copy()
    paths = []
    for number, row in enumerate(table.itertuples()):
        path = tmp_path / "files" / f"{row.image_id}.png"
        path.parent.mkdir(exist_ok=True)
        grey = 240 - int(row.level) * 60 - number
        Image.fromarray(np.full((32, 48, 3), grey, np.uint8)).save(path)
        paths.append(str(path))
    return Dataset("parts", table.assign(path=paths, content_hash=digests(paths)), source="/data/parts")


def request(store: Store, dataset: Dataset, **parameters: Any) -> Any:
    checked = catalog.scorer("endpoint").check(QUICK | parameters)
    return store.request_run(RunRequest(store.add_dataset(Imported(dataset)), "endpoint", checked))


def do(store: Store, asked: Any) -> None:
    job = store.queue.active_for(asked.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)


def test_a_run_keeps_scores_and_facts_and_never_the_key(serve, parts, store, capfd) -> None:
    server = serve()
    asked = request(store, parts)
    do(store, asked)
    scores = store.scores(asked.id)
    levels = parts.table.set_index("image_id")["level"]
    means = scores.groupby(scores["image_id"].map(levels))["score"].mean()
    assert len(scores) == 9 and means.is_monotonic_increasing
    facts = store.run_subsets(asked.id)[0].facts
    assert facts["host"] == server.url.removeprefix("http://").removesuffix("/v1")
    assert set(server.keys) == {f"Bearer {KEY}"}
    out, err = capfd.readouterr()
    assert KEY not in out + err
    store.close()
    found = [p for p in store.settings.home.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]
    assert found == []
    assert KEY not in repr(Settings.from_environment())


def test_failed_images_are_asked_again_on_demand(serve, parts, store) -> None:
    server = serve(lambda request, number: judge(request, number) if number % 2 else Answer("Hm."))
    asked = request(store, parts, concurrency=1)
    do(store, asked)
    assert store.scores(asked.id)["score"].notna().sum() == 4
    server.behaviour = judge
    store.resume_run(asked.id, retry_failed=True)
    do(store, asked)
    assert store.scores(asked.id)["score"].notna().all() and len(server.requests) == 9 + 5


def test_every_session_of_a_run_is_counted(serve, parts, store) -> None:
    """A session that is broken off, the rest, and failed answers asked for again."""
    server = serve(lambda request, number: judge(request, number) if number % 2 else Answer("Hm."))
    asked = request(store, parts, concurrency=1, price_in=2.0, price_out=10.0)
    assert store.usage(asked.id) is None
    job = store.queue.active_for(asked.job_key)
    assert job is not None

    def breaking_off(request: dict[str, Any], number: int) -> Answer:
        if number == 4:
            store.cancel_run(asked.id)
            time.sleep(1)
        return judge(request, number) if number % 2 else Answer("Hm.")

    server.behaviour = breaking_off
    with pytest.raises(CancelledError):
        do_here(store, job.id, "cpu", lambda progress: None)
    assert 0 < len(store.scores(asked.id)) < 9
    server.behaviour = lambda request, number: judge(request, number) if number % 2 else Answer("Hm.")
    store.resume_run(asked.id)
    do(store, asked)
    used = store.usage(asked.id)
    assert used is not None and (used.answers, used.tokens_in, used.tokens_out) == (9, 9000, 180)
    failed = int(store.scores(asked.id)["score"].isna().sum())
    assert failed > 0
    server.behaviour = judge
    for _ in range(2):  # the second time nothing has failed
        store.resume_run(asked.id, retry_failed=True)
        do(store, asked)
    used = store.usage(asked.id)
    assert used is not None and store.scores(asked.id)["score"].notna().all()
    assert (used.answers, used.tokens_in, used.tokens_out) == (9 + failed, 1000 * (9 + failed), 20 * (9 + failed))
    assert used.cost == pytest.approx((2.0 * used.tokens_in + 10.0 * used.tokens_out) / 1e6)
    assert used.in_words().startswith(f"{used.tokens_in:,} tokens sent, ")


def test_a_run_on_another_machine_waits_for_consent(monkeypatch, parts, store) -> None:
    monkeypatch.setenv("MAD_ENDPOINT_URL", REMOTE)
    asked = request(store, parts, model="x")
    with pytest.raises(WorkError, match="Nobody has agreed"):
        do(store, asked)
    assert store.scores(asked.id).empty
    assert os.environ["MAD_ENDPOINT_URL"] not in json.dumps(dict(store.run(asked.id).record))


def asked_for(store: Store, dataset: Dataset, **parameters: Any) -> Any:
    """The run that a person asks for, as the command line and the pages do."""
    info = catalog.scorer("endpoint")
    settled = resolve_parts(store, info, info.check(QUICK | parameters), dataset)
    return store.request_run(RunRequest(store.add_dataset(Imported(dataset)), "endpoint", settled))


def test_scores_of_one_server_are_never_given_for_another(serve, parts, store, monkeypatch) -> None:
    first = serve()
    asked = asked_for(store, parts)
    do(store, asked)
    assert asked.parameters["model"] == "canned-1"
    assert asked_for(store, parts).id == asked.id and len(first.requests) == 9
    first.models = ["canned-2"]  # the same address, another model
    assert asked_for(store, parts).id != asked.id
    assert asked_for(store, parts, model="canned-1").id == asked.id
    monkeypatch.setenv("MAD_ENDPOINT_URL", first.url.removesuffix("/v1") + "/elsewhere/v1")  # another path on the host
    assert asked_for(store, parts, model="canned-1").id != asked.id
    serve()
    other = asked_for(store, parts, model="canned-1")
    assert other.id != asked.id and other.done == 0


def test_a_run_goes_on_with_its_own_server_alone(serve, parts, store) -> None:
    serve(lambda request, number: judge(request, number) if number % 2 else Answer("Hm."))
    asked = asked_for(store, parts)
    do(store, asked)
    second = serve()
    store.resume_run(asked.id, retry_failed=True)
    with pytest.raises(WorkError, match=r"was asked of the server 127\.0\.0\.1.*MAD_ENDPOINT_URL names 127\.0\.0\.1"):
        do(store, asked)
    assert second.requests == [] and store.scores(asked.id)["score"].notna().all()


def test_a_server_without_models_is_a_sentence_before_a_run_is_queued(serve, parts, store) -> None:
    server = serve()
    server.models = []
    with pytest.raises(UnavailableError, match=r"lists no model\. Name one"):
        asked_for(store, parts)
    server.shutdown()
    server.server_close()
    with pytest.raises(UnavailableError, match=r"does not list its models: .*refused"):
        asked_for(store, parts)
    assert store.runs() == []


# -- a model behind the protocol ----------------------------------------------------------------


def _same_as_local(serve: Any, folder: Path, quantisation: str, asked: dict[str, Any], files: Any) -> list[Scored]:
    """Scores of a model over HTTP, after comparing them with the same model's on this machine."""
    serve(ModelBehind(folder, quantisation))
    remote, facts = run(files, timeout=100.0, concurrency=2, **asked)
    local = catalog.scorer("mllm").create({"model": str(folder), "quantisation": quantisation, **asked})
    context = Context(subset="plate", card=SubsetCard(domain="industrial"), normals=files[0])
    local.fit([], context)
    for far, near in zip(remote, local.score(files[1], context), strict=True):
        assert near.distribution is not None and far.detail["written"] == near.detail["written"]
        best = np.argsort(near.distribution)[::-1][:20]
        shares = near.distribution[best]
        assert far.score == pytest.approx(float(best @ shares / shares.sum()), abs=0.05)
        assert far.reason == near.reason and far.detail["score_from"] == "expected"
        if far.map is not None or near.map is not None:
            np.testing.assert_array_equal(far.map, near.map)
    assert facts["prompt_digest"] == local.facts()["prompt_digest"]
    local.close()
    return remote


@pytest.mark.slow
def test_a_model_over_http_scores_as_it_does_here(serve, tmp_path, taught) -> None:
    rng = np.random.default_rng(3)

    def write(name: str, dark: bool) -> Item:
        Image.fromarray(tiny_models.picture(rng, dark)).save(tmp_path / name)
        return Item(name, str(tmp_path / name))

    files = [write("n0.png", False)], [write(f"t{i}.png", bool(i % 2)) for i in range(4)]
    asked = {"references": 0, "rubric": "title: As taught\ntext: '0: normal.'\n"}
    scored = _same_as_local(serve, taught, "fp32", asked, files)
    assert [s.detail["written"] for s in scored] == [12, 80, 12, 80]
    exact, facts = run(files, timeout=100.0, concurrency=2, exact=True, **asked)
    assert facts["expectation"].startswith("of one token at each place")
    local = catalog.scorer("mllm").create({"model": str(taught), "quantisation": "fp32", **asked})
    local.fit([], Context(subset="plate", card=SubsetCard(domain="industrial"), normals=files[0]))
    for far, near in zip(exact, local.score(files[1], Context()), strict=True):
        assert far.score == pytest.approx(near.score, abs=0.3) and far.detail["expected_from"].startswith("one token")
        assert far.detail["mass"] == pytest.approx(near.detail["mass"], abs=0.03)
    local.close()


@pytest.mark.slow
@pytest.mark.skipif(locate(SHIPPED) is None, reason="the shipped model is not in assets/mllm")
def test_the_shipped_model_over_http_scores_as_it_does_here(serve, pictures) -> None:
    folder = locate(SHIPPED)
    assert folder is not None
    best = Recommended.of(folder)
    asked = {"references": best.references, "view": "yes" if best.view else "no", "height": best.height}
    _same_as_local(serve, folder, "auto", asked, pictures)
