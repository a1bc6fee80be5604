"""Children get no secret that they do not need, and no code of the Hub is ever run."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import plotly.graph_objects as go
import pytest

from mad_core.errors import WorkError
from mad_core.machine import browser, child_environment
from mad_core.machine.python_process import start_python
from mad_core.runs import supervisor
from mad_core.runs.store import Store
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.endpoint.address import read_address
from mad_core.scorers.multimodal.endpoint.client import Client

from .test_models import model_folder

ALL = {
    "PATH": "/bin",
    "LANG": "de",
    "MAD_HOME": "/m",
    "MAD_ENDPOINT_KEY": "planted",
    "MAD_API_TOKEN": "planted",
    "MAD_DATABASE_URL": "postgresql://u:planted@h/d",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "HF_TOKEN": "planted",
    "PGPASSWORD": "planted",
    "STREAMLIT_SERVER_COOKIE_SECRET": "planted",
    "OPENAI_API_KEY": "planted",
    "GITHUB_TOKEN": "planted",
    "SMTP_PASSWORD": "planted",
    "OMP_NUM_THREADS": "1",
}


def test_who_is_told_what() -> None:
    worker = child_environment.of_worker(ALL)
    assert {name for name in ALL if name not in worker} == {
        "MAD_API_TOKEN",
        "STREAMLIT_SERVER_COOKIE_SECRET",
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
        "SMTP_PASSWORD",
    }
    assert child_environment.without_secrets(ALL) == {
        "PATH": "/bin",
        "LANG": "de",
        "MAD_HOME": "/m",
        "OMP_NUM_THREADS": "1",
    }
    assert child_environment.of_program(ALL) == {"PATH": "/bin", "LANG": "de"}


def test_a_cluster_of_ones_own_inherits_the_storages_secrets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ALL.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with child_environment.secrets_apart():
        planted = {name for name, value in os.environ.items() if "planted" in value}
    assert planted == {"AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "PGPASSWORD"} and dict(os.environ) == before


def test_the_browser_that_draws_is_told_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "chromium"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/told\n")
    program.chmod(stat.S_IRWXU)
    for name, value in (ALL | {"CHROMIUM": str(program), "PATH": os.environ["PATH"]}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WorkError, match="drew no figure"):
        browser.draw_figures({"a": go.Figure()})
    assert "planted" not in (tmp_path / "told").read_text() and "LANG=de" in (tmp_path / "told").read_text()


def test_a_process_of_ours_is_told_nothing_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAD_ENDPOINT_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "planted")
    (tmp_path / "tell.py").write_text("import json, os\nprint(json.dumps(dict(os.environ)))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = start_python("tell", environment={"MAD_ENDPOINT_KEY": "given"}, stdout=subprocess.PIPE)
    told = json.loads(process.communicate()[0])
    assert told["MAD_ENDPOINT_KEY"] == "given" and "GITHUB_TOKEN" not in told


def test_a_worker_is_told_what_the_store_needs_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ALL.items():
        monkeypatch.setenv(name, value)
    given: list[dict[str, str]] = []

    def start(*_: object, environment: dict[str, str], **how: object) -> SimpleNamespace:
        given.append(environment)
        return SimpleNamespace(poll=lambda: None)

    monkeypatch.setattr(supervisor, "start_python", start)
    supervisor.Supervisor(store).look()
    planted = {name for name, value in given[0].items() if "planted" in value}
    assert planted == {"MAD_ENDPOINT_KEY", "MAD_DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "PGPASSWORD"}


@pytest.mark.parametrize(("host", "sent"), [("models.example", False), ("api.openai.com", True)])
def test_organisation_and_project_go_to_their_own_host(monkeypatch: pytest.MonkeyPatch, host: str, sent: bool) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "planted")
    client = Client(read_address(f"https://{host}/v1"), "k", 1.0, 0)
    headers = {name for name, value in client._openai.default_headers.items() if value == "planted"}
    assert headers == ({"OpenAI-Organization", "OpenAI-Project"} if sent else set())
    assert client._openai.admin_api_key is None


KERNELS = """
import os
import mad_core.scorers.multimodal.loading
from transformers.integrations import hub_kernels
try:
    import kernels
except ImportError:
    print(hub_kernels._kernels_enabled, os.environ["USE_HUB_KERNELS"])
"""


def test_hub_kernels_never_run(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("raise SystemExit('a kernel of the Hub was loaded')")
    paths = os.pathsep.join([str(tmp_path), str(Path(models.__file__).parents[3])])
    environment = {**os.environ, "PYTHONPATH": paths, "USE_HUB_KERNELS": "YES"}
    done = subprocess.run([sys.executable, "-c", KERNELS], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "0"], done.stderr[-1500:]


@pytest.mark.parametrize(
    "named",
    [
        {"attn_implementation": "kernels-community/flash-attn3"},
        {"_attn_implementation": "someone/kernel@main:f"},
        {"text_config": {"_attn_implementation": "someone/kernel"}},
        {"attn_implementation": {"text_config": "someone/kernel"}},
    ],
)
def test_a_model_that_names_a_kernel_is_refused(tmp_path: Path, named: dict) -> None:
    folder = model_folder(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | named))
    assert "never run" in str(models.why_not({"model": str(folder), "quantisation": "auto"}))
