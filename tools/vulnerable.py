"""Known vulnerabilities in the installed packages, by pip-audit: ``make audit``. It asks PyPI, so it needs the network.

Exit status: 0 nothing is known, or nobody could be asked (it says so); 1 something is known.
"""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECONDS = 900


def verdict(report: Mapping[str, Any] | None, reason: str = "") -> tuple[list[str], int]:
    """What a report of pip-audit says, in lines, and the exit status.

    Parameters
    ----------
    report : mapping or None
        As ``pip-audit --format json`` writes it; None where it wrote none.
    reason : str
        What it said instead.
    """
    packages = report["dependencies"] if report else []
    asked = [package for package in packages if "vulns" in package]
    if not asked:
        why = reason or "the source knows none of the packages, so it is no full copy of PyPI"
        return [f"Nothing was checked: known vulnerabilities could not be asked for ({why})."], 0
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {_versions(vulnerability)}"
        for package in asked
        for vulnerability in package["vulns"]
    ]
    count = len(lines)
    left = len(packages) - len(asked)
    lines.append(f"{count} known vulnerabilities in {len(asked)} packages" + (f"; {left} not checked" if left else ""))
    return lines, int(count > 0)


def _versions(vulnerability: Mapping[str, Any]) -> str:
    return ", ".join(vulnerability["fix_versions"]) or "no version"


def ask(program: str, folder: str) -> tuple[dict[str, Any] | None, str]:
    """Run pip-audit over a folder of packages; its report, or None and its last line."""
    command = [program, "--path", folder, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    try:
        return json.loads(done.stdout), ""
    except ValueError:
        messages = done.stderr.strip().splitlines()
        return None, messages[-1][:300] if messages else f"pip-audit ended with {done.returncode}"


def main() -> int:
    lines, status = verdict(*ask(str(Path(sys.argv[1])), sysconfig.get_paths()["purelib"]))
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
