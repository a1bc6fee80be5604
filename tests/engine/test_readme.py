"""The README's example runs as it stands, and the commands it names exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mad_core.cli.main import app

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example) == 1
    done = subprocess.run(
        [sys.executable, "-c", example[0]],
        env={**os.environ, "MAD_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "level_" in done.stdout and "(" in done.stdout


def test_every_command_it_names_exists():
    named = set(re.findall(r"python -m mad_core ([a-z-]+)", README))
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {group.name for group in app.registered_groups if group.name}
    assert named and named <= known


def test_every_file_it_names_exists():
    root = Path(__file__).resolve().parents[2]
    paths = re.findall(r"\]\((assets/[^)]+)\)|`(mad_core/[a-z_/]+\.py)`", README)
    assert paths
    assert [p for pair in paths for p in pair if p and not (root / p).is_file()] == []
