"""Documentation: links resolve, files exist, commands parse; those of ``console`` and ``python`` blocks run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mad_core.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```([\w-]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:python -m mad_core|mad) (.+)$", re.MULTILINE)


def blocks(page: Path, kind: str) -> list[str]:
    return [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == kind]


def commands(text: str) -> Iterator[list[str]]:
    for line in COMMAND.findall(text.replace("\\\n", " ")):
        yield shlex.split(line, comments=True)


def pages_with(*kinds: str) -> list[object]:
    chosen = [page for page in PAGES if any(blocks(page, kind) for kind in kinds)]
    return [pytest.param(page, id=page.name) for page in chosen]


def parse(words: list[str]) -> None:
    """Parse a command line as the program would, without doing anything."""
    command, context = typer.main.get_command(app), None
    while hasattr(command, "resolve_command"):
        context = command.make_context("mad", [], parent=context, resilient_parsing=True)
        name, command, words = command.resolve_command(context, words)
        assert command is not None, f"No such command: {name}"
    command.make_context(command.name, list(words), parent=context)


def test_there_is_documentation() -> None:
    assert len(PAGES) >= 10
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_links_and_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    files = re.findall(r"`((?:mad_core|pages|tests|tools|examples|docs|assets)/[\w./-]+\.\w+)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing + [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", pages_with("sh", "console"))
def test_commands_parse(page: Path) -> None:
    for text in (*blocks(page, "sh"), *blocks(page, "console")):
        for words in commands(text):
            parse(words)


def test_a_wrong_command_does_not_parse() -> None:
    with pytest.raises(Exception, match="No such"):
        parse(["score", "demo", "--no-such-option"])
    with pytest.raises(Exception, match="No such"):
        parse(["no-such-command"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, with_demo: Callable[..., Path]) -> Path:
    """A ``MAD_HOME`` with a smaller demo, for all pages: one fit of the demo serves them all."""
    return with_demo(tmp_path_factory.mktemp("home"), normals=12, a_level=6)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("console"))
def test_console_commands_run(page: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAD_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    for text in blocks(page, "console"):
        for words in commands(text):
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, f"{words}: {done.output} {done.exception}"


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("python"))
def test_python_examples_run(page: Path, home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks(page, "python"))],
        env={**os.environ, "MAD_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout
