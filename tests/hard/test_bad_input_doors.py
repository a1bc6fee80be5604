"""More than ten thousand bad inputs: each is taken, or refused with a sentence, in bounded time and memory.

What is counted is printed: ``pytest -m hard tests/hard/test_bad_input_doors.py -s``.
"""

from __future__ import annotations

import pytest

from tests.hard.attack import report, run

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
