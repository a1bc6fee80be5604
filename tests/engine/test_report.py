"""The report: what it holds, and that it escapes what users wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mad_core.cli_report import report
from mad_core.errors import NotFoundError
from mad_core.metrics.comparing import summarize
from mad_core.report import report_html
from mad_core.runs.results import run_table
from tests.app.conftest import Home, home  # noqa: F401 - a fixture

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def html(home: Home) -> str:  # noqa: F811
    home.store.rename_run(home.run("Beta").id, EVIL)
    return report_html(home.store, [run.id for run in home.store.runs()], draws=30)


def body(html: str) -> str:
    """Without plotly.js."""
    return html.partition("</head>")[2]


def test_numbers_strips_and_commands_are_there(home: Home, html: str) -> None:  # noqa: F811
    run, text = home.run("Alpha"), body(html)
    rows = run_table(home.store, run.id)
    found = summarize(rows["level"], rows["score"], rows["subset"], draws=30)
    low, high = found["intervals"]["c_index"]
    assert f"{found['c_index']:.3f} [{low:.3f}, {high:.3f}]" in text
    assert "Perfect detection, severity at random" in text
    assert "Alpha: best" in text and "Alpha: worst" in text and "Contested by Alpha" in text
    assert 10 < text.count("data:image/webp;base64,") <= 120
    assert "python -m mad_core score" in text and f"--param title={run.title}" in text
    assert run.request in text and run.dataset_version in text
    assert text.count("How to read this") >= 5


def test_what_users_write_is_escaped(html: str) -> None:
    assert EVIL not in body(html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body(html)


def test_an_unknown_run_is_said(home: Home) -> None:  # noqa: F811
    with pytest.raises(NotFoundError):
        report_html(home.store, ["nothing"])


def test_the_command_writes_report_and_tables(home: Home, tmp_path: Path) -> None:  # noqa: F811
    app = typer.Typer()
    app.command()(report)
    out, folder = tmp_path / "r.html", tmp_path / "figures"
    arguments = [home.run("Alpha").id, "--out", str(out), "--figures", str(folder), "--draws", "20", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert out.stat().st_size == answer["bytes"] > 1_000_000
    assert {Path(f).suffix for f in answer["files"]} >= {".csv"}
    assert answer["missing"] or {".svg", ".png"} <= {Path(f).suffix for f in answer["files"]}
