"""Planted secrets come out nowhere: a real worker, a server that quotes the key, a database with a password."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import runpy
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest

from mad_core.machine.child_environment import of_worker
from mad_core.machine.python_process import start_python
from mad_core.runs.parts import resolve_parts
from mad_core.runs.store import RunRequest
from mad_core.scorers import catalog
from pages.ui import engine
from tests.app.conftest import ROOT, Home, home, make_scored_home, open_page  # noqa: F401
from tests.app.test_credentials import drawn
from tests.engine.chat_server import Answer, judge, serving
from tests.postgres import PASSWORD, Postgres
from tests.postgres import serving as serving_postgres

pytestmark = [pytest.mark.hard, pytest.mark.timeout(600)]
KEY = "planted.key/with+odd=characters-0123456789"
SECRETS = (KEY, PASSWORD)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with serving_postgres() as running:
        yield running


@pytest.fixture(autouse=True)
def environment(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that quotes the key in every third answer, which fails; set before the store is made."""

    def quoting(request: dict, number: int) -> Answer:
        said = json.dumps({"error": {"message": f"no quota for '{KEY}' ({quote(KEY, safe='')})"}})
        return Answer(status=500, body=said) if number % 3 == 0 else judge(request, number)

    with serving(quoting) as server:
        monkeypatch.setenv("MAD_ENDPOINT_URL", server.url)
        monkeypatch.setenv("MAD_ENDPOINT_KEY", KEY)
        monkeypatch.setenv("MAD_DATABASE_URL", postgres.new())
        yield


@pytest.fixture
def scored_home(environment: None, tmp_path: Path) -> Path:
    """What :func:`home` begins with, in the server's database."""
    return make_scored_home(tmp_path / "scored", MAD_DATABASE_URL=os.environ["MAD_DATABASE_URL"])


def forms() -> list[bytes]:
    """The secrets as they stand, in addresses, in JSON and in base64."""
    texts = [form for secret in SECRETS for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])]
    return [t.encode() for t in texts] + [base64.b64encode(s.encode()) for s in SECRETS]


def holding(data: bytes) -> list[bytes]:
    return [form for form in forms() if form in data]


def mad(*arguments: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "mad_core", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=240,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.stdout + done.stderr


def test_planted_secrets_come_out_nowhere(home: Home, open_page, tmp_path: Path, caplog, capfd) -> None:  # noqa: F811
    store, info = home.store, catalog.scorer("endpoint")
    assert store.database.engine.dialect.name == "postgresql"
    parameters = resolve_parts(store, info, info.check({"retries": 0}), store.dataset(home.dataset), ["plate"])
    run = store.request_run(RunRequest(home.dataset, info.id, parameters, ("plate",), title="On a server"))
    logs = store.settings.logs
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "worker-cpu.log").open("ab") as out:
        worker = start_python("mad_core", "worker", "--device", "cpu", environment=of_worker(), stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 240
        while store.run(run.id).active and time.monotonic() < deadline:
            time.sleep(0.3)
    finally:
        worker.terminate()
        worker.wait(60)
    done = store.run(run.id)
    assert done.status == "done" and done.done == 24, done.error
    failed = store.scores(run.id).query("status != 'ok'")
    assert 0 < len(failed) < 24 and failed["reason"].str.contains(r"\[key\]").all()

    said = b"".join(
        [
            mad("doctor", "--json"),
            mad("runs", "--json"),
            mad("show", run.id, "--json"),
            mad("worker", "--device", "tpu"),
        ]
    )
    mad("report", run.id, "--draws", "0", "--out", str(tmp_path / "report.html"))
    mad("backup", str(tmp_path / "backup.zip"))
    said += (tmp_path / "report.html").read_bytes()
    with zipfile.ZipFile(tmp_path / "backup.zip") as archive:
        said += b"".join(archive.read(name) for name in archive.namelist())
    assert len(said) > 100_000 and holding(said) == []

    image = failed["image_id"].iloc[0]
    for name, query in {"score": {"run": run.id}, "images": {"image": image, "subset": "plate", "run": run.id}}.items():
        text = drawn(open_page(name, **query))
        assert len(text) > 2000 and holding(text.encode()) == []
    kept = [p for p in store.settings.home.rglob("*") if p.is_file()]
    assert any(p.name == "worker-cpu.log" for p in kept)
    assert [p for p in kept if holding(p.read_bytes())] == []
    with store.database.read() as connection:
        from mad_core.backup import table_rows

        everything = "".join(
            line for table in table_rows.tables(connection) for line in table_rows.lines_of(connection, table)
        )
    assert "[key]" in everything and holding(everything.encode()) == []
    out, err = capfd.readouterr()
    assert holding((out + err + caplog.text).encode()) == []


@pytest.mark.parametrize("wrong", ["password", "port", "address"])
def test_a_database_that_cannot_be_used_is_a_sentence_on_the_page(
    postgres: Postgres, tmp_path: Path, monkeypatch, caplog, capfd, wrong: str
) -> None:
    url = {
        "password": postgres.url("postgres", f"{PASSWORD}!"),
        "port": f"postgresql://ada:{quote(PASSWORD, safe='')}@127.0.0.1:9/x",
        "address": f"postgresql://ada:x@127.0.0.1:{quote(PASSWORD, safe='')}/x",
    }[wrong]
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAD_DATABASE_URL", url)
    engine.store.cache_clear()
    monkeypatch.setattr(script_runner, "_mpa_v1", runpy.run_path)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    assert not page.exception
    (error,) = page.error
    assert error.value.startswith("MAD\\_DATABASE\\_URL is no address" if wrong == "address" else "The store at")
    out, err = capfd.readouterr()
    seen = drawn(page) + out + err + caplog.text
    with contextlib.suppress(FileNotFoundError):
        seen += "".join(p.read_text() for p in (tmp_path / "home").rglob("*.log"))
    assert holding(seen.encode()) == []
