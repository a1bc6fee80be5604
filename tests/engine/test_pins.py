"""constraints.txt: every requirement of those who serve, in a tested version, with digests, and no registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tools import pin

ROOT = Path(__file__).resolve().parents[2]


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pins() -> dict[str, tuple[str, list[str]]]:
    """Version and digests by name."""
    found: dict[str, tuple[str, list[str]]] = {}
    for entry in re.split(r"\n(?! )", (ROOT / "constraints.txt").read_text(encoding="utf-8")):
        if entry.strip() and not entry.startswith("#"):
            first, *hashes = [part.strip(" \\") for part in entry.splitlines()]
            name, version = re.fullmatch(r"([a-z0-9._-]+)==([^ ;]+)(?: ;.*)?", first).groups()  # type: ignore[union-attr]
            found[name] = version, hashes
    return found


def test_every_requirement_is_pinned_within_its_range() -> None:
    known = pins()
    assert len(known) > 50
    for name in pin.REQUIREMENTS:
        for requirement in requirements(name):
            version, _ = known[requirement.name.lower().replace("_", "-")]
            assert Version(version) in requirement.specifier, requirement


def test_every_pin_has_digests_and_no_registry_is_named() -> None:
    for name, (_, hashes) in pins().items():
        assert hashes and all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", one) for one in hashes), name
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--extra-index|--find-links|--trusted", text)


@pytest.mark.parametrize(
    ("asked", "installs"), [("1", "--require-hashes -r constraints.txt"), ("", "-r requirements.txt")]
)
def test_make_app_installs_what_was_asked_for(tmp_path: Path, asked: str, installs: str) -> None:
    for name in ("Makefile", "constraints.txt", "requirements.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    command = ["make", "-n", "app", f"MAD_PINNED={asked}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.findall(r"pip install -q (.+)", done.stdout) == [installs]
