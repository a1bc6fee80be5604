"""What is said of known vulnerabilities, and of nobody to ask."""

from __future__ import annotations

from pathlib import Path

from tools.vulnerable import ask, verdict

FINE = {"name": "fine", "version": "1.0", "vulns": []}
BAD = {
    "name": "bad",
    "version": "2.0",
    "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}, {"id": "X", "fix_versions": []}],
}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}


def test_known_vulnerabilities_fail_with_a_line_each() -> None:
    lines, status = verdict({"dependencies": [FINE, BAD, UNKNOWN]})
    assert status == 1
    assert lines[:2] == ["bad 2.0: CVE-1, fixed in 2.1", "bad 2.0: X, fixed in no version"]
    assert lines[2] == "2 known vulnerabilities in 2 packages; 1 not checked"
    assert verdict({"dependencies": [FINE]}) == (["0 known vulnerabilities in 1 packages"], 0)


def test_nobody_to_ask_is_no_clean_bill(tmp_path: Path) -> None:
    assert verdict({"dependencies": [UNKNOWN]})[0][0].startswith("Nothing was checked")
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho 'ERROR: no way to the index' >&2\nexit 1\n")
    program.chmod(0o755)
    lines, status = verdict(*ask(str(program), str(tmp_path)))
    assert status == 0 and "no way to the index" in lines[0]
    assert "Nothing was checked" in verdict(*ask(str(tmp_path / "missing"), str(tmp_path)))[0][0]
