"""Where the image of an event is in the datasets of this database: by content, then by path.

A database that grew apart may know the same image under another id, so an id alone is never believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from mad_core.audit.events import Event
from mad_core.runs.database.schema import audit_places
from mad_core.runs.store.datasets import chunks, images_where


@dataclass(frozen=True)
class Sought:
    """An image as an event knows it."""

    image_id: str
    content_hash: str
    subset: str
    path: str


def image_of(event: Event) -> Sought:
    """The image that an event is about."""
    return Sought(event.image_id, event.content_hash, event.subset, event.path)


def other_of(event: Event) -> Sought | None:
    """The second image of a comparison."""
    if event.other is None:
        return None
    return Sought(event.other, event.other_hash, event.subset, event.other_path)


def find(sought: Sought, candidates: Iterable[RowMapping]) -> RowMapping | None:
    """The one row of a dataset that shows this image, or None.

    The content must be the same, unless the event tells no content; then the path within the subset must be.
    Among images of the same content the id decides, then subset and path, then the path; where all of these
    fail only a single image is taken.
    """
    if sought.content_hash:
        same = [row for row in candidates if row["content_hash"] == sought.content_hash]
    else:
        same = [row for row in candidates if (row["subset"], row["template_path"]) == (sought.subset, sought.path)]
    narrower = (
        [row for row in same if row["image_id"] == sought.image_id],
        [row for row in same if (row["subset"], row["template_path"]) == (sought.subset, sought.path)],
        [row for row in same if row["template_path"] == sought.path],
        same,
    )
    return next((rows[0] for rows in narrower if len(rows) == 1), None)


def place(connection: Connection, events: Sequence[Event], dataset_id: str | None = None) -> set[str]:
    """Write where the images of events are, in one dataset or in all, and return the ids of events that are anywhere.

    Places that are known stay.
    """
    if not events:
        return set()
    candidates = _candidates(connection, events, dataset_id)
    matched = _known(connection, [event.id for event in events], dataset_id)
    rows = []
    for event in events:
        for dataset, image, other in _places(event, candidates):
            if (event.id, dataset) not in matched:
                rows.append({"event_id": event.id, "dataset_id": dataset, "image_id": image, "other": other})
    if rows:
        connection.execute(audit_places.insert(), rows)
    return {event_id for event_id, _ in matched} | {row["event_id"] for row in rows}


def _places(event: Event, candidates: _Candidates) -> Iterator[tuple[str, str, str | None]]:
    second = other_of(event)
    for dataset, rows in candidates.of(image_of(event)).items():
        image = find(image_of(event), rows)
        if image is None:
            continue
        if second is None:
            yield dataset, image["image_id"], None
            continue
        other = find(second, candidates.of(second).get(dataset, ()))
        if other is not None and other["image_id"] != image["image_id"]:
            yield dataset, image["image_id"], other["image_id"]


class _Candidates:
    """Rows of all datasets by content and by path, each by dataset."""

    def __init__(self) -> None:
        self.by_hash: dict[str, dict[str, list[RowMapping]]] = {}
        self.by_path: dict[str, dict[str, list[RowMapping]]] = {}

    def of(self, sought: Sought) -> dict[str, list[RowMapping]]:
        if sought.content_hash:
            return self.by_hash.get(sought.content_hash, {})
        return self.by_path.get(sought.path, {})


def _candidates(connection: Connection, events: Sequence[Event], dataset_id: str | None) -> _Candidates:
    wanted = [sought for event in events for sought in (image_of(event), other_of(event)) if sought is not None]
    candidates = _Candidates()
    hashes = {s.content_hash for s in wanted if s.content_hash}
    for row in images_where(connection, "content_hash", sorted(hashes), dataset_id):
        candidates.by_hash.setdefault(row["content_hash"], {}).setdefault(row["dataset_id"], []).append(row)
    paths = {s.path for s in wanted if not s.content_hash and s.path}
    for row in images_where(connection, "template_path", sorted(paths), dataset_id):
        candidates.by_path.setdefault(row["template_path"], {}).setdefault(row["dataset_id"], []).append(row)
    return candidates


def _known(connection: Connection, ids: Sequence[str], dataset_id: str | None) -> set[tuple[str, str]]:
    matched: set[tuple[str, str]] = set()
    for some in chunks(ids):
        query = sa.select(audit_places.c.event_id, audit_places.c.dataset_id).where(audit_places.c.event_id.in_(some))
        if dataset_id is not None:
            query = query.where(audit_places.c.dataset_id == dataset_id)
        matched |= {(row.event_id, row.dataset_id) for row in connection.execute(query)}
    return matched
