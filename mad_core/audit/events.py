"""What reviewers do, as events that are only ever added: the record of a label audit.

Undo is an event, and undoing an undo redoes. Events know their image by content and path as well as by id,
so that the records of databases that grew apart can be joined.
"""

import math
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from mad_core.errors import InputError

Kind = Literal["level", "unsure", "ungradable", "comment", "region", "compare", "anchor", "adjudicate", "undo"]
KINDS: tuple[Kind, ...] = (
    "level",
    "unsure",
    "ungradable",
    "comment",
    "region",
    "compare",
    "anchor",
    "adjudicate",
    "undo",
)
RATINGS = ("level", "unsure", "ungradable")
"""Kinds that say what one reviewer makes of one image; the newest of them counts."""
OUTCOMES = (0.0, 0.5, 1.0)
"""What a comparison can say: the other image is the worse, both are equal, this one is."""
SHAPES: Mapping[str, int] = {"box": 2, "polygon": 3}
"""Shapes of a region and how many points each has at least; a box has exactly two corners."""
MAX_POINTS = 2_000
MAX_REASON = 10_000
MAX_NAME = 200
LATEST = 1e11
"""No event is later than this (seconds since the epoch): what is larger is no time."""


def new_id() -> str:
    """An id that no other database will give: 32 hexadecimal characters."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Event:
    """One act of one reviewer on one image.

    The writer gives ``dataset_id``, ``image_id``, ``reviewer``, ``kind`` and what the kind needs;
    :meth:`mad_core.audit.labels.AuditStore.record` fills in the rest.

    Parameters
    ----------
    dataset_id, image_id : str
        As in the database in which the event was made.
    reviewer : str
    kind : {"level", "unsure", "ungradable", "comment", "region", "compare", "anchor", "adjudicate", "undo"}
    after : float or None
        The new level of ``level`` and ``adjudicate``; the probable one of ``unsure``, if any; the level of which an
        ``anchor`` is a reference, None takes it back; 1 if this image of a ``compare`` is the worse, 0 if the other,
        0.5 if they are equal.
    reason : str
        A comment in free text.
    region : mapping or None
        ``{"shape": "box" | "polygon", "points": [[x, y], …]}`` in 0-1 of the image's width and height; None of
        kind ``region`` takes it back.
    other : str or None
        The second image of a ``compare``.
    scores_visible : bool
        Whether scores, maps or the present label were in view.
    seconds : float
        Time spent on the image before this.
    undoes : str or None
        The event that an ``undo`` takes back, another ``undo`` included.
    before : float or None
        The reviewer's own former level of this image, else its label; of an ``anchor`` and an ``adjudicate``
        what stood before.
    content_hash, subset, path, dataset_version : str
        Of the image, and of the dataset at the time; ``path`` as templates name it.
    other_hash, other_path : str
        Of the second image of a ``compare``.
    id : str
        32 hexadecimal characters, made by the writer.
    time : float
        Seconds since the epoch, UTC.
    """

    dataset_id: str
    image_id: str
    reviewer: str
    kind: Kind
    after: float | None = None
    reason: str = ""
    region: Mapping[str, Any] | None = None
    other: str | None = None
    scores_visible: bool = False
    seconds: float = 0.0
    undoes: str | None = None
    before: float | None = None
    content_hash: str = ""
    subset: str = ""
    path: str = ""
    dataset_version: str = ""
    other_hash: str = ""
    other_path: str = ""
    id: str = field(default_factory=new_id)
    time: float = field(default_factory=time.time)

    @property
    def order(self) -> tuple[float, str]:
        """Sorts events in the order in which they happened, the same way in every database."""
        return self.time, self.id

    def to_json(self) -> dict[str, Any]:
        """All fields by name, in plain values."""
        return asdict(self)


FIELDS = tuple(f.name for f in fields(Event))
_NUMBERS = ("after", "before", "seconds", "time")
_MAY_LACK = ("after", "before", "region", "other", "undoes")


def event_from_json(data: Mapping[str, Any]) -> Event:
    """The inverse of :meth:`Event.to_json`; unknown keys are ignored.

    Raises
    ------
    InputError
        If a field is missing or of the wrong kind, or the event makes no sense.
    """
    lacking = [name for name in ("id", "time", "dataset_id", "image_id", "reviewer", "kind") if data.get(name) is None]
    if lacking:
        raise InputError(f"An event lacks {', '.join(lacking)}.")
    values: dict[str, Any] = {name: data[name] for name in FIELDS if name in data}
    for name, value in values.items():
        if value is None and name in _MAY_LACK:
            continue
        if name in _NUMBERS:
            values[name] = _number(name, value)
        elif name == "scores_visible":
            if not isinstance(value, bool):
                raise InputError(f"scores_visible of event {_shown(data['id'])} is neither true nor false.")
        elif name != "region" and not isinstance(value, str):
            raise InputError(f"{name} of event {_shown(data['id'])} is not a text.")
        elif isinstance(value, str) and _shown(value, len(value)) != value:
            raise InputError(f"{name} of event {_shown(data['id'])} holds half a character, which no file can hold.")
    event = Event(**values)
    check_event(event)
    return event


def _shown(value: Any, letters: int = 40) -> str:
    """A value for a sentence, whatever it is."""
    return str(value)[:letters].encode(errors="replace").decode()


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} of an event is '{str(value)[:40]}', not a number.")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{name} of an event has too many digits.") from None


def check_event(event: Event) -> None:
    """Whether an event makes sense by itself, without its dataset.

    Raises
    ------
    InputError
    """
    if event.kind not in KINDS:
        raise InputError(f"'{event.kind[:40]}' is no kind of event; there are {', '.join(KINDS)}.")
    if len(event.id) != 32 or set(event.id) - set("0123456789abcdef"):
        raise InputError(f"'{event.id[:40]}' is no id of an event (32 hexadecimal characters).")
    if not event.reviewer.strip() or len(event.reviewer) > MAX_NAME:
        raise InputError(f"A reviewer's name has 1 to {MAX_NAME} characters.")
    if len(event.reason) > MAX_REASON:
        raise InputError(f"A comment has up to {MAX_REASON:,} characters; this one has {len(event.reason):,}.")
    numbers = [value for value in (event.after, event.before, event.seconds, event.time) if value is not None]
    if not all(math.isfinite(value) and value >= 0 for value in numbers):
        raise InputError(f"Event {event.id} has a number that is negative or not finite.")
    if event.time > LATEST:
        raise InputError(f"Event {event.id} has the time {event.time:g}, which is no time in seconds.")
    if event.region is not None:
        check_region(event.region)
    _check_kind(event)


def _check_kind(event: Event) -> None:
    kind = event.kind
    if kind in ("level", "adjudicate") and event.after is None:
        raise InputError(f"An event of kind '{kind}' needs a level.")
    if kind == "ungradable" and event.after is not None:
        raise InputError(f"An event of kind '{kind}' has no level.")
    if kind == "comment" and not event.reason.strip():
        raise InputError("A comment needs some text.")
    if kind == "compare" and (event.after not in OUTCOMES or not event.other or event.other == event.image_id):
        raise InputError("A comparison needs two different images and says 1 (this one is worse), 0 or 0.5 (equal).")
    if (kind == "undo") != (event.undoes is not None):
        raise InputError("An undo, and nothing else, names the event that it takes back.")


def check_region(region: Mapping[str, Any]) -> None:
    """Whether a region is a shape within the image.

    Raises
    ------
    InputError
    """
    shape, points = (region.get("shape"), region.get("points")) if isinstance(region, Mapping) else (None, None)
    least = SHAPES.get(str(shape))
    if least is None or not isinstance(points, Sequence) or not least <= len(points) <= MAX_POINTS:
        raise InputError(f"A region is a box of two corners or a polygon of 3 to {MAX_POINTS:,} points.")
    if shape == "box" and len(points) != 2:
        raise InputError("A box has two corners.")
    for point in points:
        if not isinstance(point, Sequence) or len(point) != 2 or not all(_within(value) for value in point):
            raise InputError("The points of a region are pairs of numbers from 0 to 1, in parts of the image.")


def _within(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def standing(events: Iterable[Event]) -> list[Event]:
    """The events that have not been taken back, without the undos themselves, in order of time.

    An event is taken back while some undo of it stands, so the answer depends on the set of events alone and
    not on the order in which databases were joined.
    """
    ordered = sorted(events, key=lambda event: event.order)
    back = undone(ordered)
    return [event for event in ordered if event.kind != "undo" and event.id not in back]


def undone(events: Iterable[Event]) -> frozenset[str]:
    """Ids of the events, undos included, that are taken back. An undo counts only for its own reviewer's events."""
    by_id = {event.id: event for event in events}
    undos: dict[str, list[str]] = {}
    for event in by_id.values():
        target = by_id.get(event.undoes or "")
        if target is not None and target.reviewer == event.reviewer and target.order < event.order:
            undos.setdefault(target.id, []).append(event.id)
    back: set[str] = set()
    # An undo is younger than what it takes back, so from the youngest on every undo of an event is settled first.
    for event in sorted(by_id.values(), key=lambda event: event.order, reverse=True):
        if any(undo not in back for undo in undos.get(event.id, ())):
            back.add(event.id)
    return frozenset(back)


def last_standing(events: Iterable[Event]) -> Event | None:
    """What undo would take back: the newest standing event of these."""
    left = standing(events)
    return left[-1] if left else None


def to_redo(events: Iterable[Event]) -> Event | None:
    """The undo that redo would take back: the newest standing one, unless something was done after it."""
    ordered = sorted(events, key=lambda event: event.order)
    back = undone(ordered)
    by_id = {event.id: event for event in ordered}
    stack: list[Event] = []
    for event in ordered:
        if event.kind != "undo":
            stack.clear()
        elif by_id.get(event.undoes or "") in stack:
            stack = [undo for undo in stack if undo.id != event.undoes]
        else:
            stack.append(event)
    left = [event for event in stack if event.id not in back]
    return left[-1] if left else None
