"""More than ten thousand bad inputs: each is taken, or refused with a sentence, in bounded time and memory.

What is counted is printed: ``pytest -m hard tests/hard/test_bad_input_doors.py -s``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hard.attack import report, run
from tests.hard.workshop import mad

pytestmark = pytest.mark.hard

COUNTS = {
    "images": 3000,
    "tables": 800,
    "archives": 600,
    "folders": 700,
    "policies and cards": 250,
    "score files": 2000,
    "rubrics": 400,
    "events": 1200,
    "findings": 1200,
    "answers": 2000,
    "replies": 1200,
    "servers": 80,
    "addresses": 400,
    "parameters": 800,
    "weights": 150,
    "folders of models": 300,
}
"""Cases a door; together more than the 10,000 that are wanted."""


def test_there_are_enough_cases() -> None:
    assert sum(COUNTS.values()) >= 10_000


@pytest.mark.parametrize("door", COUNTS)
def test_every_case_ends_well(door: str) -> None:
    (tally,) = run({door: COUNTS[door]}, seed=2026)
    print(f"\n{report([tally])}", flush=True)
    assert tally.cases == COUNTS[door] and not tally.faults, report([tally])
    assert tally.taken and tally.refused, "cases of one kind only prove little"


@pytest.mark.parametrize(
    ("command", "status", "header", "row", "said"),
    [
        ("check", 1, "path,level", "{i:07d}.png,{level}", "1,000,000 of 1,000,000 rows name no file here"),
        (
            "evaluate",
            0,
            "Path,Severity,Anomaly Score",
            "{i:07d}.png,{level},{score}",
            "1000000 of 1000000 images scored",
        ),
    ],
)
def test_a_table_of_a_million_rows(command: str, status: int, header: str, row: str, said: str, tmp_path: Path) -> None:
    """Read whole, or what is wrong with its rows said in short, in bounded time and memory."""
    table = tmp_path / "many.csv"
    with table.open("w") as out:
        out.write(f"{header}\n")
        out.writelines(row.format(i=i, level=i % 5, score=i % 977 / 3) + "\n" for i in range(1_000_000))
    answer = mad([command, str(table)], tmp_path / "home", status=status)
    print(f"\n{command} of 1,000,000 rows: {answer.seconds:.0f} s, at most {answer.megabytes:.0f} MB")
    assert said in answer.out
    assert answer.seconds < 120 and answer.megabytes < 2000
