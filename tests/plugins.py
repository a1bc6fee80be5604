"""Packages with scorers, installed beside the environment instead of into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def install_example(folder: Path) -> Path:
    """Install the example of the documentation with pip into ``folder/site``, from a copy: a build leaves files."""
    source, site = folder / "source", folder / "site"
    shutil.copytree(ROOT / "examples" / "plugin", source)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--target", str(site), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return site


def write_package(site: Path, name: str, text: str, entry: str) -> None:
    """A package as installed: one module and its metadata with an entry point."""
    facts = site / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / f"{name}.py").write_text(text, encoding="utf-8")
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[mad_inspector.scorers]\n{name} = {entry}\n")


def with_site(site: Path) -> Mapping[str, str]:
    """The environment of a process that finds these packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
