"""What the answers of a server have used: tokens, repeated attempts and, where prices are known, money.

Each stored answer carries its own, so a run's sum holds all its sessions, however each of them ended.
Failed answers that are asked for again lose their entry; what they used is kept in the run's record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import scores
from mad_core.runs.store.records import PARENT, Run
from mad_core.runs.store.runs import record_of, update_run
from mad_core.scorers.contract import OK

DROPPED = "usage_of_dropped_answers"


@dataclass(frozen=True)
class Usage:
    """Sums over answers.

    Parameters
    ----------
    answers : int
        Answers whose tokens the server counted.
    tokens_in, tokens_out : int
    retries : int
        Attempts after the first ones.
    cost : float or None
        In the currency of the prices given; None where no price was.
    """

    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    retries: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        prices = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.answers + other.answers,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.retries + other.retries,
            sum(prices) if prices else None,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def in_words(self) -> str:
        """``12,000 tokens sent, 300 written, cost 0.05``."""
        words = f"{self.tokens_in:,} tokens sent, {self.tokens_out:,} written"
        return words if self.cost is None else f"{words}, cost {self.cost:.4g}"


def run_usage(database: Database, run: Run) -> Usage | None:
    """What a run has used in all its sessions; None where no server counted anything."""
    with database.read() as connection:
        total = _sum(connection, scores.c.run_id == run.id) + _read(run.record.get(DROPPED))
    return total if total.answers else None


def keep_dropped(connection: Connection, run_id: str) -> None:
    """Add what a run's failed answers used to its record; called before their entries are deleted."""
    lost = _sum(connection, sa.and_(scores.c.run_id == run_id, scores.c.status != OK))
    if lost.answers:
        record = record_of(connection, run_id)
        total = _read(record.get(DROPPED)) + lost
        update_run(connection, run_id, record=record | {DROPPED: total.to_json()})


def carried(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's record outlives a new session."""
    return {name: record[name] for name in (DROPPED, PARENT) if name in record}


def _read(facts: Mapping[str, Any] | None) -> Usage:
    return Usage(**facts) if facts else Usage()


def _sum(connection: Connection, which: sa.ColumnElement[bool]) -> Usage:
    detail = scores.c.detail
    tokens_in = detail["tokens_in"].as_integer()
    columns = [
        sa.func.count(tokens_in),
        sa.func.sum(tokens_in),
        sa.func.sum(detail["tokens"].as_integer()),
        sa.func.sum(detail["retries"].as_integer()),
        sa.func.sum(detail["cost"].as_float()),
    ]
    # Most scorers keep no detail; that is seen without parsing 100,000 of them.
    kept = sa.cast(detail, sa.Text) != "{}"
    row: Any = connection.execute(sa.select(*columns).where(which, kept, tokens_in.is_not(None))).one()
    answers, sent, written, retries, cost = row
    return Usage(int(answers), int(sent or 0), int(written or 0), int(retries or 0), cost)
