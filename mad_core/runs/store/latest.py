"""The newest answers of a run, for watching it at work."""

from dataclasses import dataclass

import sqlalchemy as sa

from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import images, scores
from mad_core.runs.store.datasets import level_of
from mad_core.runs.store.records import Run


@dataclass(frozen=True)
class LatestAnswer:
    """An image with what a run said of it last; ``score`` is None where it failed."""

    image_id: str
    subset: str
    path: str
    content_hash: str
    level: float
    defect: str | None
    score: float | None
    status: str
    reason: str


def latest_answers(database: Database, run: Run, count: int) -> list[LatestAnswer]:
    """The last images of a run that came with a reason, newest first, failed ones among them.

    Parameters
    ----------
    count : int
        At most so many.

    Returns
    -------
    list of LatestAnswer
        Images of one batch are stored at the same time; among them the order is that of their ids.
    """
    newest = (  # found before they are joined: else every image of the dataset is looked at
        sa.select(*(scores.c[name] for name in ("image_id", "score", "status", "reason", "created")))
        .where(scores.c.run_id == run.id, scores.c.reason.is_not(None), scores.c.reason != "")
        .order_by(scores.c.created.desc(), scores.c.image_id)
        .limit(count)
        .subquery()
    )
    columns = [images.c[name] for name in ("image_id", "subset", "path", "content_hash", "level", "defect")]
    columns += [newest.c[name] for name in ("score", "status", "reason")]
    query = (
        sa.select(*columns)
        .join_from(newest, images, (images.c.image_id == newest.c.image_id) & (images.c.dataset_id == run.dataset_id))
        .order_by(newest.c.created.desc(), newest.c.image_id)
    )
    with database.read() as connection:
        return [
            LatestAnswer(**{**row, "level": level_of(row["level"])}) for row in connection.execute(query).mappings()
        ]
