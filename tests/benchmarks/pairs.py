"""Paired runs of a peer and of MAD Inspector on the same input, and the rows of the table they make.

Both take turns, so what else the machine does meets both. A ratio is that of one pair; its median and range are
given, once by the clock and once by processor time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HEAD = (
    "| What | Against | Theirs | Ours | Faster by the clock, median [range] | By processor time | Same results |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of the processor, threads and ended children included."""

    clock: float
    processor: float


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    what, against : str
    same : str
        How far the results of both agree; checked before anything is timed.
    theirs, ours : sequence of Cost
        One of each a pair; ``theirs`` is empty where there is no peer.
    """

    what: str
    against: str
    same: str
    theirs: Sequence[Cost]
    ours: Sequence[Cost]

    def markdown(self) -> str:
        clock, processor = (self._ratio(name) for name in ("clock", "processor"))
        cells = (self.what, self.against, _seconds(self.theirs), _seconds(self.ours), clock, processor, self.same)
        return f"| {' | '.join(cells)} |"

    def _ratio(self, name: str) -> str:
        ratios = [getattr(a, name) / max(getattr(b, name), 1e-9) for a, b in zip(self.theirs, self.ours, strict=False)]
        if not ratios:
            return "–"
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        return f"{_times(middle)} × [{_times(low)}, {_times(high)}]"


def timed(work: Callable[[], Any]) -> tuple[Any, Cost]:
    """The result of ``work`` and what it cost."""
    gc.collect()
    processor, clock = processor_seconds(), time.perf_counter()
    found = work()
    return found, Cost(time.perf_counter() - clock, processor_seconds() - processor)


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def paired(what: str, against: str, same: str, theirs: Callable[[], Any], ours: Callable[[], Any], rounds: int) -> Row:
    """Time both in turns, theirs first."""
    pairs = [(timed(theirs)[1], timed(ours)[1]) for _ in range(rounds)]
    return Row(what, against, same, [a for a, _ in pairs], [b for _, b in pairs])


def alone(what: str, ours: Callable[[], Any], rounds: int) -> Row:
    """Time what has no peer."""
    return Row(what, "–", "–", [], [timed(ours)[1] for _ in range(rounds)])


def table(rows: Sequence[Row]) -> str:
    return "\n".join([*HEAD, *(row.markdown() for row in rows)])


def joined(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows of several processes that did the same, their pairs together; what was said of the first one stays."""
    return [
        Row(
            rows[0].what,
            rows[0].against,
            rows[0].same,
            [cost for row in rows for cost in row.theirs],
            [cost for row in rows for cost in row.ours],
        )
        for rows in zip(*runs, strict=True)
    ]


def hand_over(rows: Sequence[Row], file: Path | None) -> None:
    """Print the rows, or keep them in ``file`` for the runner, which prints those of all benchmarks."""
    if file is None:
        print(table(rows))
    else:
        file.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def handed_over(file: Path) -> list[Row]:
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return [Row(**{**row, **{side: [Cost(**one) for one in row[side]] for side in ("theirs", "ours")}}) for row in rows]


def arguments(doc: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="pairs of runs")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    return parser


def _seconds(costs: Sequence[Cost]) -> str:
    return f"{_times(statistics.median(one.clock for one in costs))} s" if costs else "–"


def _times(value: float) -> str:
    """Two or three figures, as many as paired runs can tell apart."""
    return (
        f"{value:.0f}"
        if value >= 20
        else f"{value:.1f}"
        if value >= 4
        else f"{value:.2f}"
        if value >= 0.1
        else f"{value:.2g}"
    )
