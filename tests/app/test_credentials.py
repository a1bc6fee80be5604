"""Address and key of a server from Streamlit's secrets: they reach the engine and its workers, and stay there."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from mad_core.runs.in_process import do_here
from mad_core.runs.supervisor import Supervisor
from mad_core.scorers.multimodal.endpoint import address
from mad_core.settings import Settings
from pages.ui import credentials, engine
from tests.app.conftest import ROOT, Home
from tests.app.test_score_page import button, form, written
from tests.engine.chat_server import ChatServer, judge, serving

KEY = "sk-secret-0123456789abcdef"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A server, and an environment that says nothing of it."""
    for name in credentials.NAMES:
        monkeypatch.setenv(name, "")  # put back at the end, whatever the pages set
        monkeypatch.delenv(name)
    with serving(judge) as found:
        yield found


def opened(home: Home, page: str, secrets: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    monkeypatch.setattr(script_runner, "_mpa_v1", runpy.run_path)
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    test.secrets = secrets
    test.query_params.update({"dataset": home.dataset, **query})
    test._page_hash = calc_hash(page)  # as `open_page` does
    test.run()
    assert not test.exception, test.exception
    return test


def drawn(test: AppTest) -> str:
    """All that a page sent to the browser, and what its session keeps."""
    kept = dict(test.session_state._state.filtered_state)
    return "\n".join([*(str(getattr(node, "proto", "")) for node in test._tree), str(kept)])


def of_server(server: ChatServer) -> dict[str, Any]:
    return {"MAD_ENDPOINT_URL": server.url, "MAD_ENDPOINT_KEY": KEY, "MAD_ENDPOINT_MODEL": "canned-1"}


def test_secrets_reach_the_engine_and_its_workers(home: Home, server: ChatServer, monkeypatch) -> None:
    assert Settings.from_environment().endpoint_url is None
    opened(home, "score", of_server(server), monkeypatch)
    settings = Settings.from_environment()
    assert (settings.endpoint_url, settings.endpoint_key, settings.endpoint_model) == (server.url, KEY, "canned-1")
    assert engine.store().settings.endpoint_url == server.url
    assert address.why_not({}) is None
    given: list[dict[str, str]] = []

    class Child:
        def __init__(self, command: list[str], *, env: dict[str, str], **how: Any) -> None:
            assert KEY not in " ".join(command)
            given.append(env)

        def poll(self) -> None:
            return None

    monkeypatch.setattr(subprocess, "Popen", Child)
    Supervisor(home.store).look()
    assert [env["MAD_ENDPOINT_KEY"] for env in given] == [KEY]


def test_without_secrets_the_environment_stands(home: Home, server: ChatServer, monkeypatch) -> None:
    monkeypatch.setenv("MAD_ENDPOINT_URL", "http://127.0.0.1:1/v1")
    opened(home, "score", {}, monkeypatch)
    assert os.environ["MAD_ENDPOINT_URL"] == "http://127.0.0.1:1/v1"
    engine.store.cache_clear()
    opened(home, "score", {"MAD_ENDPOINT_KEY": KEY, "other": {"MAD_ENDPOINT_URL": "x"}}, monkeypatch)
    assert os.environ["MAD_ENDPOINT_URL"] == "http://127.0.0.1:1/v1" and os.environ["MAD_ENDPOINT_KEY"] == KEY


def test_a_secrets_file_is_read_before_the_first_page(server: ChatServer, tmp_path: Path) -> None:
    """In a fresh process, as the app starts: the store is opened by a thread, without any session."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text(
        f'MAD_ENDPOINT_URL = "{server.url}"\nMAD_ENDPOINT_KEY = "{KEY}"'
    )
    code = (
        "import os; from pages.ui import engine; "
        "print(engine.store().settings.endpoint_url, len(os.environ['MAD_ENDPOINT_KEY']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MAD_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == [server.url, str(len(KEY))], done.stderr
    assert KEY not in done.stdout + done.stderr


def test_the_key_is_in_no_store_log_or_page(home: Home, server: ChatServer, monkeypatch, caplog, capfd) -> None:
    secrets = of_server(server)
    pages = [opened(home, "score", secrets, monkeypatch, view="New run"), form(home, "endpoint")]
    assert "Images are sent to 127.0.0.1" in written(pages[-1])
    button(pages[-1], "Queue run").click().run()
    assert not pages[-1].exception
    (job,) = [j for j in home.store.queue.active() if j.kind == "run"]
    run = home.store.run(job.payload["run"])
    do_here(home.store, job.id, "cpu", lambda progress: None)
    assert set(server.keys) == {f"Bearer {KEY}"}
    used = home.store.usage(run.id)
    assert used is not None and used.answers == home.store.run(run.id).done == 42
    image = home.images("plate")["image_id"].iloc[-1]
    pages += [opened(home, "score", secrets, monkeypatch, run=run.id)]
    assert used.in_words() in written(pages[-1])
    pages += [opened(home, page, secrets, monkeypatch, runs=run.id) for page in ("data", "compare")]
    pages += [opened(home, "images", secrets, monkeypatch, image=image, subset="plate", run=run.id)]
    for page in pages:
        text = drawn(page)
        assert len(text) > 2000 and KEY not in text
    home.store.database.close()
    kept = [p for p in home.store.settings.home.rglob("*") if p.is_file()]
    assert kept and [p for p in kept if KEY.encode() in p.read_bytes()] == []
    out, err = capfd.readouterr()
    assert KEY not in out + err + caplog.text
