"""Exact versions of everything that is installed for those who serve, with the digests of their files: ``make pin``.

``constraints.txt`` holds the versions of the environment that runs this, which are those that the tests passed with,
for every Python and system that is supported. It names no registry. Needs the network, and uv.
"""

import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "constraints.txt"
REQUIREMENTS = ("requirements.txt", "requirements-login.txt")
HEAD = "# Made by `make pin`: exact versions that were tested, with digests. Used by `make app` where MAD_PINNED=1.\n"


def installed() -> str:
    """The versions of this environment, a line each."""
    versions = {d.metadata["Name"].lower(): d.version.partition("+")[0] for d in distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def pinned(uv: str) -> str:
    """What uv resolves for all supported systems, with no other versions than the installed ones.

    Raises
    ------
    SystemExit
        If it finds no solution, or cannot ask.
    """
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder) / "installed.txt"
        versions.write_text(installed(), encoding="utf-8")
        command = [uv, "pip", "compile", *REQUIREMENTS, "--constraints", str(versions), "--universal", "--quiet"]
        command += ["--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--no-config"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr.strip())
    lines = [line for line in done.stdout.splitlines() if not re.match(r"--(extra-)?index|--find-links|#", line)]
    return HEAD + "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    TARGET.write_text(pinned(sys.argv[1]), encoding="utf-8")
