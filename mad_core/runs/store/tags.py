"""Tags that people give images of a dataset: the table ``tags``."""

import time
from collections.abc import Iterable

import sqlalchemy as sa

from mad_core.errors import InputError
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import tags

AUDIT, ASIDE = "audit", "set aside"
"""Tags with a meaning: grade these first; leave these out of lists."""
LONGEST = 80
_AT_ONCE = 400


class TagStore:
    """Tags in the database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, dataset_id: str) -> dict[str, tuple[str, ...]]:
        """The tags of each image that has any, in alphabetical order."""
        query = sa.select(tags.c.image_id, tags.c.tag).where(tags.c.dataset_id == dataset_id).order_by(tags.c.tag)
        by_image: dict[str, tuple[str, ...]] = {}
        with self._database.read() as connection:
            for image_id, tag in connection.execute(query):
                by_image[image_id] = (*by_image.get(image_id, ()), tag)
        return by_image

    def add(self, dataset_id: str, image_ids: Iterable[str], tag: str) -> int:
        """Tag images; returns how many did not have the tag.

        Raises
        ------
        InputError
            If the tag is empty or too long.
        """
        tag = _checked(tag)
        has = sa.select(tags.c.image_id).where(tags.c.dataset_id == dataset_id, tags.c.tag == tag)
        with self._database.write() as connection:
            there = set(connection.execute(has).scalars())
            fresh = [image_id for image_id in dict.fromkeys(image_ids) if image_id not in there]
            facts = {"dataset_id": dataset_id, "tag": tag, "created": time.time()}
            if fresh:
                connection.execute(tags.insert(), [{**facts, "image_id": image_id} for image_id in fresh])
        return len(fresh)

    def remove(self, dataset_id: str, image_ids: Iterable[str], tag: str) -> None:
        """Take a tag away; images without it stay as they are."""
        ids = list(image_ids)
        with self._database.write() as connection:
            for start in range(0, len(ids), _AT_ONCE):
                some = ids[start : start + _AT_ONCE]
                of = (tags.c.dataset_id == dataset_id, tags.c.tag == tag, tags.c.image_id.in_(some))
                connection.execute(tags.delete().where(*of))


def _checked(tag: str) -> str:
    words = " ".join(tag.split())
    if not 0 < len(words) <= LONGEST:
        raise InputError(f"A tag has 1 to {LONGEST} characters.")
    return words
