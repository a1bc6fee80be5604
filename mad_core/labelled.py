"""Which images of a table somebody has graded. A missing label is never a normal: what has none enters no metric."""

from typing import Any

import pandas as pd


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a ``level``: all that a metric, a study or a learner may look at."""
    chosen: Any = rows["level"].notna()
    return rows if chosen.all() else rows.loc[chosen]


def labelled_in_words(rows: pd.DataFrame) -> str:
    """``40 images, 28 labelled``; the number alone where all have a level."""
    return of_which_labelled(len(rows), len(labelled(rows)))


def of_which_labelled(images: int, with_level: int) -> str:
    """As :func:`labelled_in_words`, of counts."""
    words = f"{images:,} image{'s' if images != 1 else ''}"
    return words if with_level == images else f"{words}, {with_level:,} labelled"


def unlabelled_notes(rows: pd.DataFrame) -> list[str]:
    """A sentence on the images that have no level; none where all have one."""
    absent = len(rows) - len(labelled(rows))
    return [f"{absent:,} of {len(rows):,} images have no level and enter no metric."] if absent else []
