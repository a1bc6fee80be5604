"""The HTTP interface: who is answered, what is answered, that it is what command line and pages say, and bad input."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import io
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import jsonschema
import numpy as np
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.testclient import TestClient
from streamlit import config
from streamlit.web.server.starlette import starlette_app_utils, starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli.main import app as command_line
from mad_core.errors import InputError, WorkError
from mad_core.map_files import grey_png, pack
from mad_core.runs.in_process import do_here
from mad_core.runs.queue import Queue
from mad_core.runs.single_image import submit_single
from mad_core.runs.triage import calls
from mad_core.runs.watching import Watcher
from mad_core.settings import Settings
from pages.http import answers, bodies, door, service
from pages.http.door import InFlight, Rates, Refused
from pages.http.endpoints import ENDPOINTS, ROOT, SCHEMAS, openapi
from pages.http.routes import api_routes
from pages.ui import access, engine
from tests.app.conftest import ROOT as ROOT_FOLDER
from tests.app.conftest import Home, scored
from tests.engine.pictures import draw, tree
from tests.engine.test_docs import blocks

TOKEN = "planted-token-0123456789"
HERE = ("127.0.0.1", 50000)
Caller = Callable[..., TestClient]


@pytest.fixture
def caller(home: Home, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """``caller(host, client)``: a client of the interface, from this machine unless something else is said."""
    monkeypatch.setattr(service, "_RATES", Rates())

    def called(host: str = "127.0.0.1:8501", client: tuple[str, int] = HERE) -> TestClient:
        return TestClient(Starlette(routes=api_routes()), base_url=f"http://{host}", client=client)

    return called


@pytest.fixture
def client(caller: Caller) -> TestClient:
    return caller()


def set_up(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(engine.store(), "settings", replace(engine.store().settings, **changes))


def picture(grey: int = 90, mode: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((36, 48, 3), grey, np.uint8)).save(out, mode)
    return out.getvalue()


def asked_for(name: str) -> dict[str, Any]:
    """The schema of what an address answers, with everything that it refers to."""
    return {"$ref": f"#/components/schemas/{name}", "components": {"schemas": dict(SCHEMAS)}}


# -- who is answered ------------------------------------------------------------------------------


ASKED_BY = [
    ("127.0.0.1:8501", HERE, {}, 200),
    ("localhost:8501", HERE, {}, 200),
    ("[::1]:8501", ("::1", 1), {}, 200),
    ("127.0.0.1:8501", ("::ffff:127.0.0.1", 1), {}, 200),
    ("127.0.0.1:8501", HERE, {"origin": "http://127.0.0.1:8501", "sec-fetch-site": "same-origin"}, 200),
    ("127.0.0.1:8501", ("192.168.1.7", 50000), {}, 403),
    ("127.0.0.1:8501", ("testclient", 50000), {}, 403),
    ("evil.example", HERE, {}, 403),  # a name that was pointed at this machine
    ("127.0.0.1.evil.example", HERE, {}, 403),
    ("127.0.0.1:8501", HERE, {"origin": "https://evil.example"}, 403),
    ("127.0.0.1:8501", HERE, {"origin": "http://localhost:8501"}, 403),
    ("127.0.0.1:8501", HERE, {"origin": "null"}, 403),
    ("127.0.0.1:8501", HERE, {"sec-fetch-site": "cross-site"}, 403),
    ("127.0.0.1:8501", HERE, {"sec-fetch-site": "same-site"}, 403),
    ("127.0.0.1:8501", HERE, {"x-forwarded-for": "127.0.0.1"}, 403),
    ("127.0.0.1:8501", HERE, {"x-forwarded-proto": "http"}, 403),
    ("127.0.0.1:8501", HERE, {"forwarded": "for=127.0.0.1"}, 403),
    ("127.0.0.1:8501", HERE, {"via": "1.1 proxy"}, 403),
    ("127.0.0.1:8501", HERE, {"authorization": f"Bearer {TOKEN}", "x-real-ip": "127.0.0.1"}, 403),
    ("[::1]:8501", ("::1", 1), {"x-cluster-client-ip": "::1"}, 403),
    ("[::1]:8501", ("::1", 1), {"x-original-forwarded-for": "[::1]:8501"}, 403),
    ("[::1]:8501", ("::1", 1), {"x-envoy-external-address": "::1"}, 403),
    ("[::1]:8501", ("::1", 1), {"x-original-host": "[::1]"}, 403),
]


def test_without_token_and_login_only_this_machine_is_answered(caller: Caller) -> None:
    for host, client, headers, status in ASKED_BY:
        got = caller(host, client).get(f"{ROOT}/runs", headers=headers)
        assert got.status_code == status, (host, client, headers, got.text)
        assert got.headers["content-type"] == "application/json" and got.headers["cache-control"] == "no-store"
        assert status == 200 or got.json()["error"].endswith(".")
        assert "access-control-allow-origin" not in got.headers and got.headers["x-content-type-options"] == "nosniff"


def test_the_public_name_of_a_server_is_not_this_machine(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "known_host", lambda request: True)  # as with --server.allowedHosts mad.clinic.org
    got = caller("mad.clinic.org").get(f"{ROOT}/runs")
    assert got.status_code == 403 and "set MAD_API_TOKEN or configure a login" in got.json()["error"]


def test_with_a_token_everybody_shows_it(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, api_token=TOKEN)
    for client in (HERE, ("192.168.1.7", 50000)):
        asked = caller(client=client)
        assert asked.get(f"{ROOT}/runs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        for wrong in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}0", "Bearer", "Bearer \xff", f"Bearer {TOKEN[:-1]}"):
            got = asked.get(f"{ROOT}/runs", headers=[(b"authorization", wrong.encode("latin-1"))])
            assert (got.status_code, got.headers["www-authenticate"]) == (401, "Bearer"), wrong
            assert TOKEN not in got.text
        assert asked.get(f"{ROOT}/runs?token={TOKEN}").status_code == 401
        forged = {"authorization": f"Bearer {TOKEN}", "origin": "https://evil.example"}
        assert asked.get(f"{ROOT}/runs", headers=forged).status_code == 403
    assert TOKEN not in repr(engine.store().settings)


def login(monkeypatch: pytest.MonkeyPatch, origin: str = "http://127.0.0.1:8501", **user: object) -> dict[str, str]:
    """Configure a login; the cookie of a browser in which this person is logged in."""
    secret = "planted-cookie-secret-0123456789abcdef0123456789"
    monkeypatch.setattr(access, "login_configured", lambda: True)
    monkeypatch.setattr(starlette_websocket, "get_cookie_secret", lambda: secret)
    facts = json.dumps({"origin": origin, "is_logged_in": True, "iss": "https://login", "sub": "7", **user})
    signed = starlette_app_utils.create_signed_value(secret, USER_COOKIE_NAME, facts)
    return {"cookie": f"{USER_COOKIE_NAME}={signed.decode()}"}


def test_a_login_counts_as_on_the_pages(client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAD_ALLOWED_LOGINS", "@clinic.org")
    ada = login(monkeypatch, email="ada@clinic.org", email_verified=True)
    assert client.get(f"{ROOT}/runs", headers=ada).status_code == 200
    refused = (
        {},
        {"cookie": ada["cookie"][:-3] + "abc"},
        login(monkeypatch, email="ben@elsewhere.org", email_verified=True),
        login(monkeypatch, email="ada@clinic.org", email_verified="false"),
        login(monkeypatch, email="ada@clinic.org", email_verified=True, is_logged_in=False),
        login(monkeypatch, "https://other.example", email="ada@clinic.org", email_verified=True),
        {"authorization": f"Bearer {TOKEN}"},
    )
    for headers in refused:
        assert client.get(f"{ROOT}/runs", headers=headers).status_code == 401, headers
    # Another site's form would send the cookie along, and no Origin of ours.
    to = f"{ROOT}/runs/{home.run('Alpha').id}/score"
    assert client.post(to, content=picture(), headers=ada).status_code == 403
    set_up(monkeypatch, api_token=TOKEN)
    assert client.get(f"{ROOT}/runs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("given", ["", " ", "short", "with blanks in the token", "x" * 501, "täglich-tätiges-Token"])
def test_a_token_that_can_be_guessed_is_an_error(given: str) -> None:
    with pytest.raises(InputError, match="MAD_API_TOKEN must have 16 to 500") as error:
        Settings.from_environment({"MAD_API_TOKEN": given})
    assert not given.strip() or given not in str(error.value)


def test_a_rate_is_a_number() -> None:
    assert Settings.from_environment({"MAD_API_RATE": "30"}).api_rate == 30
    for rate in ("0", "-1", "many", "1e9", "1.5", "\u0663"):
        with pytest.raises(InputError, match="MAD_API_RATE is"):
            Settings.from_environment({"MAD_API_RATE": rate})


def test_a_store_that_cannot_be_opened_is_said_without_its_place(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed() -> None:
        raise InputError("postgresql://ada:secret@db is down.")

    with monkeypatch.context() as now:
        now.setattr(service.engine, "store", closed)
        got = client.get(f"{ROOT}/runs")
    assert got.status_code == 503 and "secret" not in got.text and "retry-after" in got.headers


@pytest.mark.parametrize("error", [WorkError("The model is gone."), ValueError("planted"), RuntimeError("planted")])
def test_what_fails_is_a_sentence_and_the_log_says_why(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def failing(asked: Any) -> None:
        raise error

    monkeypatch.setattr(answers, "runs", failing)
    got = client.get(f"{ROOT}/runs")
    assert (got.status_code, got.headers["content-type"]) == (500, "application/json")
    said = got.json()["error"]
    assert said == ("The model is gone." if isinstance(error, WorkError) else said) and said.endswith(".")
    assert "planted" not in got.text and "Traceback" not in got.text
    assert f"GET {ROOT}/runs failed" in caplog.text and str(error) in caplog.text


# -- how often and how much -----------------------------------------------------------------------


def test_a_client_that_asks_too_often_is_told_when_to_come_back(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(service, "_RATES", Rates(lambda: now[0]))
    set_up(monkeypatch, api_rate=30)
    assert [client.get(f"{ROOT}/runs").status_code for _ in range(6)] == [200] * 5 + [429]
    got = client.get(f"{ROOT}/runs")
    assert "30 requests a minute" in got.json()["error"] and int(got.headers["retry-after"]) >= 2
    now[0] = 2.0
    assert [client.get(f"{ROOT}/runs").status_code for _ in range(2)] == [200, 429]


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 1200))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_client_gets_more_than_its_rate_and_its_burst(pauses: list[float], a_minute: int) -> None:
    now = [0.0]
    rates, taken = Rates(lambda: now[0]), 0
    for pause in pauses:
        now[0] += pause
        wait = rates.take("a", a_minute)
        taken += wait == 0
        assert 0 <= wait <= 60 / a_minute + 1e-9
        assert taken <= max(1, a_minute / 60 * door.BURST_SECONDS) + now[0] * a_minute / 60 + 1e-6
    assert rates.take("b", a_minute) == 0  # others are not held up


def test_clients_are_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_CLIENTS", 3)
    rates = Rates(lambda: 0.0)
    for client in "abcd":
        rates.take(client, 1)
    assert list(rates._left) == ["b", "c", "d"]


def test_pictures_on_their_way_in_are_bounded_together() -> None:
    held = InFlight(100, "Too many pictures.")
    with held.taken(150), pytest.raises(Refused, match="Too many pictures"), held.taken(1):
        pass
    with held.taken(60), held.taken(40):
        pass


def test_a_program_cannot_fill_the_queue(client: TestClient, home: Home, working: None, monkeypatch) -> None:
    monkeypatch.setattr("mad_core.runs.queue.MOST_ASKED", 2)
    to = f"{ROOT}/runs/{home.run('Alpha').id}/score?subset=plate&wait=0"
    got = [client.post(to, content=picture(grey)) for grey in (1, 2, 3)]
    assert [one.status_code for one in got] == [202, 202, 429]
    assert "2 jobs of this session are waiting already" in got[-1].json()["error"]


def test_programs_that_ask_at_once_leave_the_pages_their_threads(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four are answered at a time, a few wait, the others are told to come again."""
    monkeypatch.setattr(service, "_UNDER_WAY", InFlight(6, "Too much."))
    at_work, most, go_on = [0], [0], threading.Event()

    def busy(asked: Any) -> Response:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        assert go_on.wait(60)
        at_work[0] -= 1
        return Response("[]", media_type="application/json")

    monkeypatch.setattr(answers, "runs", busy)

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(caller().app, client=HERE)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501", timeout=60) as programs:
            asked = [asyncio.create_task(programs.get(f"{ROOT}/runs")) for _ in range(60)]
            with anyio.fail_after(30):
                while sum(task.done() for task in asked) < 54 or at_work[0] < 4:
                    await asyncio.sleep(0.01)
                await anyio.to_thread.run_sync(lambda: None)
            go_on.set()
            return sorted(answer.status_code for answer in await asyncio.gather(*asked))

    with ThreadPoolExecutor(1) as own:  # a browser of another test may have its loop in this thread
        assert own.submit(asyncio.run, ask()).result() == [200] * 6 + [503] * 54
    assert most == [4]


def test_metrics_are_computed_once_for_all_who_ask_meanwhile(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    together = threading.Barrier(3)

    def evaluated(store: Any, run_id: str, rounding: str | None) -> dict[str, Any]:
        computed.append(run_id)
        time.sleep(0.05)  # long enough that the others come meanwhile; sooner or later they get the same
        return {}

    monkeypatch.setattr(answers, "evaluate_run", evaluated)

    def ask(_: int) -> dict[str, Any]:
        together.wait(30)
        return answers._metrics("r", None, (1,))

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(ask, range(3))) == [{}] * 3
    assert computed == ["r"]


# -- runs, metrics and lists ----------------------------------------------------------------------


def test_answers_are_those_of_the_command_line(client: TestClient, home: Home) -> None:
    run = home.run("Beta").id
    for address, words in {
        "runs": ["runs"],
        "datasets": ["datasets"],
        f"runs/{run}": ["show", run],
        f"runs/{run}/metrics": ["evaluate", f"run:{run}"],
        f"runs/{run}/metrics?levels=rounded-up": ["evaluate", f"run:{run}", "--levels", "rounded-up"],
    }.items():
        said = CliRunner().invoke(command_line, [*words, "--json"])
        assert client.get(f"{ROOT}/{address}").json() == json.loads(said.stdout), address


def rows(got: Any) -> list[dict[str, str]]:
    assert got.status_code == 200 and got.headers["content-type"] == "text/csv; charset=utf-8", got.text
    return list(csv.DictReader(io.StringIO(got.text)))


def test_lists_come_as_csv_too(client: TestClient, home: Home) -> None:
    home.store.rename_run(home.run("Alpha").id, "=1+1")
    found = rows(client.get(f"{ROOT}/runs", headers={"accept": "text/csv"}))
    assert [row["title"] for row in found] == ["'=1+1", "Beta"] and json.loads(found[0]["subsets"])
    assert rows(client.get(f"{ROOT}/datasets?format=csv"))[0]["name"] == "parts"
    run = home.run("Beta").id
    metrics = client.get(f"{ROOT}/runs/{run}/metrics").json()
    table = rows(client.get(f"{ROOT}/runs/{run}/metrics?format=csv"))
    assert [row["Subset"] for row in table] == ["", "leaf", "plate"]
    assert float(table[0]["c_index"]) == metrics["c_index"]
    assert float(table[2]["kendall_tau_b"]) == metrics["subsets"]["plate"]["kendall_tau_b"]


def test_the_list_of_images_is_that_of_the_page(client: TestClient, home: Home) -> None:
    run = home.run("Beta")
    at = f"{ROOT}/runs/{run.id}/images?subset=plate"
    got = client.get(at).json()
    jsonschema.validate(got, asked_for("Images"))
    assert got["total"] == len(got["images"]) == 24 and "at least 80%" in got["guarantee"]
    images = {one["image"]: one for one in got["images"]}
    scores = home.store.scores(run.id).set_index("image_id")
    view = home.images("plate").assign(score=scores["score"].reindex(home.images("plate")["image_id"]).to_numpy())
    found = calls(home.store, run, "plate", view)
    each: Any = zip(view.itertuples(), found["called"], found["set"], strict=True)
    for row, called, words in each:
        one = images[str(row.image_id)]
        assert one["score"] == (None if np.isnan(row.score) else row.score) and one["level"] == row.level
        assert one["called"] == (None if np.isnan(called) else called)
        assert [f"L{level:g}" in words for level in one["set"]] == [True] * len(one["set"])
        assert one["flagged"] == (None if one["score"] is None else one["score"] >= got["threshold"])
    (failed,) = (one for one in got["images"] if one["score"] is None)
    assert failed["state"] == "failed" and failed["flagged"] is None and failed["called"] is None


def test_lists_are_filtered_ordered_and_cut_as_asked(client: TestClient, home: Home) -> None:
    run = home.run("Alpha").id
    home.store.tags.add(home.dataset, home.images("plate")["image_id"].iloc[:2], "set aside")
    home.store.tags.add(home.dataset, home.images("plate")["image_id"].iloc[2:3], "to rework")
    home.store.cuts.save(run, "plate", [0.0, 1.0, 2.0, 3.0], [0.95, 1.95, 2.95])
    at = f"{ROOT}/runs/{run}/images?subset=plate"

    def shown(query: str) -> list[dict[str, Any]]:
        got = client.get(f"{at}&{query}")
        assert got.status_code == 200, got.text
        return got.json()["images"]

    everything = shown("sort=highest%20score")
    assert len(everything) == 22 and everything == sorted(everything, key=lambda one: -one["score"])
    assert shown("sort=highest%20score&offset=3&limit=5") == everything[3:8]
    assert {one["level"] for one in shown("level=1&level=L3")} == {1.0, 3.0}
    assert {one["defect"] for one in shown("defect=dent")} == {"dent"}
    assert shown("level=none") == [] and shown("state=failed") == []
    assert [one["tags"] for one in shown("tag=to%20rework")] == [["to rework"]]
    assert len(shown("tag=set%20aside")) == 2
    assert all("level_2" in one["path"] for one in shown("find=LEVEL_2"))
    assert {one["called"] for one in shown("called=2&call=as%20labelled")} == {2.0}
    assert all(one["score"] >= 2.5 for one in shown("flagged=1&threshold=2.5")) and shown("least=1e9") == []
    assert len(shown("flagged=1&threshold=2.5")) == len(shown("least=2.5")) > 0
    table = rows(client.get(f"{at}&format=csv&sort=highest%20score&limit=4"))
    assert [float(row["Anomaly Score"]) for row in table] == pytest.approx([one["score"] for one in everything[:4]])
    assert list(table[0])[:5] == ["Path", "File", "Subset", "Severity", "Anomaly Score"]


ODD_QUERIES = [
    ("subset=plates", "has no subset 'plates' here; say subset=, one of leaf, plate"),
    ("", "has several subsets; say subset="),
    ("subset=plate&colour=red", "knows no parameter 'colour'; it knows subset, level"),
    ("subset=plate&level=high", "'high' is no level"),
    ("subset=plate&level=inf", "'inf' is no level"),
    ("subset=plate&sort=best", "'sort' is 'best', but may be: severe first"),
    ("subset=plate&limit=0", "'limit' must lie between 1 and 10000"),
    ("subset=plate&limit=%D9%A3", "must be a whole number"),
    ("subset=plate&offset=-1", "must be a whole number"),
    ("subset=plate&threshold=nan", "'threshold' is 'nan', but must be a number"),
    ("subset=plate&flagged=perhaps", "may be 1 or 0"),
    ("subset=plate&subset=leaf", "'subset' may be given once"),
    ("subset=plate&find=" + "x" * 301, "more than 300 characters"),
    ("subset=plate&" + "&".join(["level=1"] * 101), "at most 100 times"),
]


def test_a_query_that_is_not_understood_is_a_sentence(client: TestClient, home: Home) -> None:
    for query, says in ODD_QUERIES:
        got = client.get(f"{ROOT}/runs/{home.run('Alpha').id}/images?{query}")
        assert (got.status_code, says in got.json()["error"]) == (400, True), (query, got.text)


ODD_ADDRESSES = [
    ("GET", "/api", 404),
    ("GET", "/api/v1", 404),
    ("GET", "/api/v2/runs", 404),
    ("GET", f"{ROOT}/runs/", 404),
    ("GET", f"{ROOT}/runs/{'f' * 32}", 404),
    ("GET", f"{ROOT}/runs/..%2f..%2fmad.db", 404),
    ("GET", f"{ROOT}/runs/%00/metrics", 404),
    ("GET", f"{ROOT}/runs/' OR 1=1 --/images", 404),
    ("GET", f"{ROOT}/scores/999", 404),
    ("GET", f"{ROOT}/scores/{'9' * 5000}", 404),
    ("GET", f"{ROOT}/scores/%D9%A1/map.png", 404),
    ("POST", f"{ROOT}/runs", 405),
    ("DELETE", f"{ROOT}/runs/{'f' * 32}", 405),
    ("OPTIONS", f"{ROOT}/runs", 405),
    ("GET", f"{ROOT}/runs/{'f' * 32}/score", 405),
]


def test_what_is_not_there_is_a_sentence_in_json(client: TestClient) -> None:
    for method, path, status in ODD_ADDRESSES:
        got = client.request(method, path)
        assert got.status_code == status and got.json()["error"].endswith("."), (method, path, got.text)
        assert "Traceback" not in got.text and (status != 405 or got.headers["allow"] in ("GET, HEAD", "POST"))


# -- one picture ----------------------------------------------------------------------------------


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is there."""
    monkeypatch.setattr(engine, "worker_ready", lambda: True)


def finish(queue: Queue, job: int, **result: Any) -> None:
    assert queue.claim("w", ["cpu", "auto"], job_id=job) is not None
    queue.finish(job, "w", "done", result={"status": "ok", "reason": None, "seconds": 0.1, "map": False, **result})


def test_a_picture_is_scored_with_level_set_guarantee_and_map(
    client: TestClient, home: Home, working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, anomaly_map = home.run("Alpha"), np.linspace(-2, 5, 18 * 24, dtype=np.float32).reshape(18, 24)

    def submit_and_work(*given: Any) -> int:
        job = submit_single(*given)
        Path(home.store.queue.job(job).payload["map"]).write_bytes(pack(anomaly_map))
        finish(home.store.queue, job, score=2.4, map=True)
        return job

    monkeypatch.setattr(answers, "submit_single", submit_and_work)
    got = client.post(f"{ROOT}/runs/{run.id}/score?subset=plate&name=bolt.png&map=1", content=picture())
    assert got.status_code == 200, got.text
    said = got.json()
    jsonschema.validate(said, asked_for("Score"))
    assert (said["score"], said["status"], said["name"], said["subset"]) == (2.4, "ok", "bolt.png", "plate")
    assert said["called"] == 2.0 and 2.0 in said["set"] and "at least 80%" in said["guarantee"]
    assert said["unlike"] is False and said["flagged"] is (said["threshold"] <= 2.4)
    drawn = Image.open(io.BytesIO(base64.b64decode(said["map"]["png"])))
    low, high = said["map"]["low"], said["map"]["high"]
    assert np.abs(low + np.asarray(drawn) / 65535 * (high - low) - anomaly_map).max() <= (high - low) / 65535
    assert (drawn.size, drawn.info["low"], drawn.info["high"]) == ((24, 18), repr(low), repr(high))
    served = client.get(said["map"]["address"])
    assert served.headers["content-type"] == "image/png" and served.content == base64.b64decode(said["map"]["png"])
    again = client.get(f"{ROOT}/scores/{said['job']}").json()
    assert again == {**said, "map": {name: value for name, value in said["map"].items() if name != "png"}}
    form = client.post(f"{ROOT}/runs/{run.id}/score?subset=plate", files={"file": ("../nut <b>.png", picture(91))})
    assert form.status_code == 200 and form.json()["name"] == "../nut <b>.png"


def test_who_does_not_wait_asks_again(client: TestClient, home: Home, working: None) -> None:
    got = client.post(f"{ROOT}/runs/{home.run('Alpha').id}/score?subset=plate&wait=0", content=picture())
    assert got.status_code == 202 and got.headers["location"] == got.json()["again"]
    jsonschema.validate(got.json(), asked_for("Waiting"))
    assert client.get(got.json()["again"]).status_code == 202
    assert client.get(f"{got.json()['again']}/map.png").status_code == 404
    finish(home.store.queue, got.json()["job"], score=None, status="unreadable", reason="It is cut off.")
    done = client.get(got.json()["again"])
    jsonschema.validate(done.json(), asked_for("Score"))
    facts = done.json()
    assert (facts["score"], facts["called"], facts["flagged"], facts["set"]) == (None, None, None, [])
    assert (facts["status"], facts["reason"], facts["map"]) == ("unreadable", "It is cut off.", None)


def test_what_is_unlike_anything_fitted_is_called_nothing(client: TestClient, home: Home, working: None) -> None:
    got = client.post(f"{ROOT}/runs/{home.run('Alpha').id}/score?subset=plate&wait=0", content=picture())
    finish(home.store.queue, got.json()["job"], score=9.0, unlike=True)
    facts = client.get(got.json()["again"]).json()
    assert facts["unlike"] and facts["called"] is None and facts["set"] == [] and facts["guarantee"] == ""
    assert facts["why"] == "unlike anything fitted"


def test_kept_cuts_and_learned_grades_call_the_level(client: TestClient, home: Home, working: None) -> None:
    run = home.run("Alpha")
    home.store.cuts.save(run.id, "plate", [0.0, 1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
    got = client.post(f"{ROOT}/runs/{run.id}/score?subset=plate&wait=0", content=picture())
    finish(home.store.queue, got.json()["job"], score=0.25)
    facts = client.get(got.json()["again"]).json()
    assert facts["called"] == 2.0 and facts["why"] == "by the cut-points kept with the run"
    taught = home.add_run("Taught", lambda row: scored(row, row.level, detail={"level": row.level, "levels": [1.0]}))
    got = client.post(f"{ROOT}/runs/{taught.id}/score?subset=plate&wait=0", content=picture())
    detail = {"level": 3.0, "levels": [2.0, 3.0], "nearest": [{"level": 3.0}]}
    finish(home.store.queue, got.json()["job"], score=0.25, detail=detail)
    facts = client.get(got.json()["again"]).json()
    assert (facts["called"], facts["set"], facts["why"]) == (3.0, [2.0, 3.0], "nearest graded images: L3")


def test_what_cannot_be_scored_is_a_sentence(client: TestClient, home: Home, working: None, monkeypatch) -> None:
    to = f"{ROOT}/runs/{home.run('Alpha').id}/score"

    def refused(status: int, says: str, address: str = f"{to}?subset=plate", **given: Any) -> None:
        got = client.post(address, **given)
        assert (got.status_code, says in got.json()["error"]) == (status, True), got.text
        assert str(home.store.settings.home) not in got.text

    refused(400, "has several subsets", to, content=picture())
    refused(400, "No picture was sent")
    refused(400, "No picture was sent", data={"name": "x"}, files={"other": (None, "text")})
    refused(400, "The picture", content=b"no picture at all")
    refused(400, "bolt.png", files={"file": ("bolt.png", b"no picture at all")})
    refused(400, "The form cannot be read", headers={"content-type": "multipart/form-data"}, content=b"x")
    two = [("file", ("a.png", picture())), ("file", ("b.png", picture()))]
    refused(400, "Too many files", files=two)
    refused(404, "nothing", f"{ROOT}/runs/nothing/score", content=picture())
    monkeypatch.setattr(bodies, "most_bytes", lambda: 1000)
    refused(413, "at most 0 MB", content=b"x" * 1001)
    refused(413, "at most 0 MB", content=iter([b"x" * 600, b"x" * 600]))
    refused(413, "at most 0 MB", headers={"content-length": str(10**12)}, content=b"")
    monkeypatch.setattr(bodies, "FORM_BYTES", 500)
    refused(413, "at most 0 MB", files={"file": ("a.png", b"x" * 2000)})
    monkeypatch.setattr(engine, "worker_ready", lambda: False)
    refused(503, "No worker runs", content=picture())
    fresh = home.add_run("Fresh", lambda row: scored(row, 1.0), subsets=("plate",))
    home.store.delete_run(fresh.id)
    refused(404, fresh.id, f"{ROOT}/runs/{fresh.id}/score", content=picture())


def test_work_that_failed_is_said_without_places(client: TestClient, home: Home, working: None) -> None:
    got = client.post(f"{ROOT}/runs/{home.run('Alpha').id}/score?subset=plate&wait=0&name=bolt.png", content=picture())
    job = home.store.queue.claim("w", ["cpu", "auto"], job_id=got.json()["job"])
    assert job is not None
    home.store.queue.finish(job.id, "w", "failed", error=f"{job.payload['path']} broke the scorer.")
    failed = client.get(got.json()["again"])
    assert (failed.status_code, failed.json()) == (500, {"error": "bolt.png broke the scorer."})


def test_jobs_of_other_kinds_are_not_told(client: TestClient, home: Home) -> None:
    job = home.store.queue.submit("import", {"source": "/secret/place"})
    got = client.get(f"{ROOT}/scores/{job}")
    assert got.status_code == 404 and "secret" not in got.text


def test_an_image_has_its_stored_map(client: TestClient, home: Home) -> None:
    run, image = home.run("Alpha"), home.images("plate")["image_id"].iloc[-1]
    got = client.get(f"{ROOT}/runs/{run.id}/images/{image}/map.png")
    stored = home.store.read_map(run, image)
    assert stored is not None and got.content == grey_png(stored)
    assert client.get(f"{ROOT}/runs/{run.id}/images/{'0' * 16}/map.png").status_code == 404


@given(st.integers(1, 6), st.integers(1, 6), st.lists(st.floats(-1e6, 1e6, width=32), min_size=36, max_size=36))
def test_a_map_is_read_back_from_its_png(height: int, width: int, values: list[float]) -> None:
    anomaly_map = np.array(values[: height * width], np.float32).reshape(height, width)
    anomaly_map[0, 0] = np.nan if height * width > 1 else 0.0
    drawn = Image.open(io.BytesIO(grey_png(anomaly_map)))
    low, high = float(drawn.info["low"]), float(drawn.info["high"])
    back, there = low + np.asarray(drawn) / 65535 * (high - low), np.isfinite(anomaly_map)
    assert drawn.size == (width, height)
    assert np.abs(back - anomaly_map)[there].max() <= (high - low) / 65535 + 1e-9


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda tail: picture()[:80] + tail)),
    st.sampled_from(["", "image/png", "multipart/form-data; boundary=x", "multipart/form-data; boundary=", "a/b;c"]),
    st.booleans(),
)
def test_any_body_is_answered_with_a_sentence(
    client: TestClient, home: Home, working: None, body: bytes, kind: str, framed: bool
) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    sent = head + body + b"\r\n--x--\r\n" if framed else body
    service._RATES._left.clear()
    to = f"{ROOT}/runs/{home.run('Alpha').id}/score?subset=plate&wait=0"
    got = client.post(to, content=sent, headers={"content-type": kind} if kind else {})
    assert got.status_code in (202, 400, 429) and got.headers["content-type"] == "application/json"
    assert str(home.store.settings.home) not in got.text
    assert list(home.store.settings.uploads.glob("*.part")) == []


PARTS = [*(f"train/good/{i}.png" for i in range(4)), "test/good/4.png", "test/good/5.png", "test/level_1/6.png"]


def test_sent_and_watched_pictures_get_the_scores_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, working: None
) -> None:
    """By a real fit: what is sent scores as the image of the run and as the arrival in a watched folder."""
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    engine.store.cache_clear()
    run = mad.score(tree(tmp_path / "parts", PARTS), scorer="filterbank")
    store, client = engine.store(), TestClient(Starlette(routes=api_routes()), "http://127.0.0.1:8501", client=HERE)

    def submit_and_work(*given: Any) -> int:
        return do_here(store, submit_single(*given), "cpu", lambda facts: None).id

    monkeypatch.setattr(answers, "submit_single", submit_and_work)

    def sent(path: Path) -> dict[str, Any]:
        got = client.post(f"{ROOT}/runs/{run.id}/score?map=1", content=path.read_bytes())
        assert got.status_code == 200, got.text
        return got.json()

    listed = {one["path"]: one for one in client.get(f"{ROOT}/runs/{run.id}/images").json()["images"]}
    for one in listed.values():
        said = sent(Path(one["file"]))
        assert said["score"] == one["score"] and said["scorer"] == "filterbank"
        stored = store.read_map(store.run(run.id), one["image"])
        drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(said["map"]["png"]))))
        low, high = said["map"]["low"], said["map"]["high"]
        assert stored is not None and drawn.shape == stored.shape
        assert np.abs(low + drawn / 65535 * (high - low) - stored).max() <= 2e-3 * max(abs(low), abs(high))
    watched = (tmp_path / "watched").resolve()
    watched.mkdir()
    came = draw(watched / "new.png", "new.png")
    stored_run = store.run(run.id)
    said, watcher = sent(came), Watcher(store, stored_run.dataset_id, watched, (run.id,), stored_run.subsets[0])
    while watcher.look() is None:
        assert watcher._looks < 3
    for job in store.queue.active():
        do_here(store, job.id, "cpu", lambda facts: None)
    (arrived,) = client.get(f"{ROOT}/runs/{run.id}/images?find=new.png").json()["images"]
    same = ("score", "called", "set", "unlike", "why")
    assert {name: said[name] for name in same} == {name: arrived[name] for name in same}
    engine.store().close()
    engine.store.cache_clear()


def test_what_the_documentation_sends_by_curl_is_answered(
    home: Home, working: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    monkeypatch.setattr(service, "_RATES", Rates())

    def submit_and_work(*given: Any) -> int:
        job = submit_single(*given)
        Path(home.store.queue.job(job).payload["map"]).write_bytes(pack(np.eye(4, dtype=np.float32)))
        finish(home.store.queue, job, score=2.4, map=True)
        return job

    monkeypatch.setattr(answers, "submit_single", submit_and_work)
    (script, *_) = blocks(ROOT_FOLDER / "docs" / "http.md", "sh")
    (tmp_path / "part.png").write_bytes(picture())
    with served(Starlette(routes=api_routes())) as address:
        said = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8501", address)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert said.returncode == 0, said.stderr
    assert '"c_index"' in said.stdout and '"called": 2.0' in said.stdout
    assert (tmp_path / "flagged.csv").read_text().startswith("Path,File,Subset")
    assert Image.open(tmp_path / "map.png").size == (4, 4)


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[str]:
    """A real server on a loopback port of its own, in a thread, which Streamlit's is too."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


# -- the document ---------------------------------------------------------------------------------


def test_the_document_is_openapi_and_holds_every_address(client: TestClient) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="pip install -r requirements-dev.txt")
    got = client.get(f"{ROOT}/openapi.json").json()
    validator.validate(got)
    assert got == json.loads(json.dumps(openapi(ROOT)))
    assert {(path, method) for path, ways in got["paths"].items() for method in ways} == {
        (one.path, one.method.lower()) for one in ENDPOINTS
    }
    assert all(hasattr(answers, one.name) for one in ENDPOINTS)


def test_the_document_says_below_which_path_it_is_served(caller: Caller) -> None:
    before = config.get_option("server.baseUrlPath")
    config.set_option("server.baseUrlPath", "mad")
    try:
        asked = caller()
        got = asked.get(f"/mad{ROOT}/openapi.json")
        assert got.json()["servers"] == [{"url": f"/mad{ROOT}"}]
        assert asked.get(f"/mad{ROOT}/runs").status_code == 200
    finally:
        config.set_option("server.baseUrlPath", before)


def test_every_answer_is_as_the_document_says(client: TestClient, home: Home) -> None:
    run, parts = home.run("Beta").id, {"schemas": dict(SCHEMAS)}
    for one in ENDPOINTS:
        if one.method == "GET" and "{job}" not in one.path and "application/json" in one.gives:
            address = ROOT + one.path.format(run=run, image="0" * 16)
            got = client.get(address, params={"subset": "plate"} if one.name == "images" else {})
            schema: Mapping[str, Any] = one.gives["application/json"]
            jsonschema.validate(got.json(), {**schema, "components": parts})
