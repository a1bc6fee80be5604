"""The check of a machine with a graphics card, at toy size on this one."""

from __future__ import annotations

import re

import pytest

from tools import gpu_check


@pytest.mark.slow
def test_it_prints_one_table_in_which_nothing_failed(capsys, monkeypatch, tmp_path):
    gpu_check.main(["--tiny", "--device", "cpu", "--only", "families,shapes,memory"])
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("|")][2:]
    assert "no graphics card" in printed and len(lines) == 2 * 2 + 2 * 4 + 1
    assert not [line for line in lines if "failed" in line or "differs" in line or "left out" in line], printed
    assert sum("pictures/s" in line for line in lines) == 8 and "2 of 2 scored, batch 2 became 1" in printed
    assert all(re.search(r"\| \d+\.\d \|$", line) for line in lines)


def test_what_there_is_no_time_for_is_named(capsys):
    gpu_check.main(["--tiny", "--device", "cpu", "--seconds", "-1"])
    printed = capsys.readouterr().out
    assert printed.count("left out: no time") == 2 + 2 + 1 + 1


def test_an_error_is_a_line_and_not_the_end():
    def broken() -> str:
        raise RuntimeError("CUDA error: device-side assert\nmore")

    assert "**failed**: CUDA error: device-side assert" in str(gpu_check.lines_of("a", broken))
