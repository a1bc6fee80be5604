"""The record of label audits in the store: who rated what, and what stands of it.

Roles are enforced here, whatever page or command asks. A viewer writes nothing; a reviewer rates, compares,
comments and chooses references; an adjudicator also decides where reviewers disagree, imports events that others
made, and gives roles. The first reviewer of a store becomes its adjudicator, and so does the first who comes with
a login; from then on adjudicators give roles, and one always remains. On the command line the owner of the store
gives them. A name without a login is no protection: whoever opens the page can write it.
"""

from __future__ import annotations

import math
import re
import threading
import time
import unicodedata
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from mad_core.audit.events import (
    FIELDS,
    MAX_NAME,
    RATINGS,
    Event,
    check_event,
    last_standing,
    new_id,
    standing,
    to_redo,
    undone,
)
from mad_core.audit.matching import place
from mad_core.datasets.dataset import Dataset, level_key
from mad_core.errors import AccessError, InputError, NotFoundError
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import audit_events, audit_places, reviewers
from mad_core.runs.store import Store
from mad_core.runs.store.datasets import chunks, image_row

Role = Literal["viewer", "reviewer", "adjudicator"]
ROLES: tuple[Role, ...] = ("viewer", "reviewer", "adjudicator")
BREAK_SECONDS = 300.0
"""A longer gap between two ratings is a break and does not enter the pace."""
PACE_RATINGS = 30
"""The pace is that of so many newest ratings."""
_TICK = 1e-6


@dataclass(frozen=True)
class Reviewer:
    """A person who audits labels.

    Parameters
    ----------
    name : str
    role : {"viewer", "reviewer", "adjudicator"}
    login : str or None
        Who the login says it is, by issuer and subject; None where the name is all that is known.
    address : str or None
        The e-mail address that the login vouches for, for display: it may come to belong to somebody else.
    created : float
        Seconds since the epoch, UTC.
    """

    name: str
    role: Role
    login: str | None = None
    created: float = 0.0
    address: str | None = None


@dataclass(frozen=True)
class ReviewProgress:
    """How far one reviewer is: test images rated, test images in all, and images a minute of late (None: unknown)."""

    done: int
    total: int
    per_minute: float | None


@dataclass(frozen=True)
class Merged:
    """What came of joining events with the record.

    Parameters
    ----------
    added, known : int
        Events that are new here, and events that were here before.
    unmatched : tuple of Event
        Those among all of them whose image is in no dataset here: kept, and placed once such a dataset is imported.
    problems : tuple of str
        A sentence for each event that could not be taken as it is.
    """

    added: int
    known: int
    unmatched: tuple[Event, ...] = ()
    problems: tuple[str, ...] = ()


FIRST_SCALE = (0.0, 1.0, 2.0, 3.0, 4.0)
"""Levels that images can be given where nobody has graded any and no card names some."""


def levels_of(dataset: Dataset, subset: str) -> list[float]:
    """The levels that an image of a subset can be given, ascending.

    Those of its images and of its card, the whole numbers between, and the halves between where it has any half.

    Raises
    ------
    NotFoundError
        If the subset is not in the dataset.
    """
    scale = set(dataset.levels(subset)) | {0.0}
    if dataset.unlabelled(subset) and max(scale) == 0 and not dataset.card.subset(subset).levels:
        return list(FIRST_SCALE)
    for key in dataset.card.subset(subset).levels:
        try:
            level = float(key)
        except ValueError:
            continue
        if math.isfinite(level) and level >= 0:
            scale.add(level)
    steps = 2 if any(level % 1 == 0.5 for level in scale) else 1
    between = {number / steps for number in range(int(max(scale)) * steps + 1)}
    return sorted(scale | between)


class AuditStore:
    """The record of audits over a store; cheap to make, safe in many threads and processes at once.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._database = store.database

    # -- reviewers ------------------------------------------------------------------------------

    def reviewer(self, name: str, login: str | None = None, *, address: str = "", former: str = "") -> Reviewer:
        """The reviewer of this name, or of this login; made if there is none, as the module says with which role.

        Upper and lower case and blanks make no other person of a name. With a login the name is only what is
        shown: where somebody else has it the address is added.

        Parameters
        ----------
        name : str
        login : str or None
            Issuer and subject of a login.
        address : str
            The e-mail address that the login vouches for.
        former : str
            What an earlier version took for the login: a reviewer of that is this person, and known by ``login`` from
            now on. Only what the provider vouches for may be given.

        Raises
        ------
        InputError
            If the name is empty or longer than 200 characters.
        AccessError
            If the name belongs to somebody with a login and none is given.
        """
        name, login = _checked_name(name), login or None
        existing = self._find(name, login)
        if existing is not None:
            return existing
        try:
            with self._database.write() as connection:
                return _add_reviewer(connection, name, login, address, former)
        except IntegrityError:  # another session made it just now
            existing = self._find(name, login)
            if existing is None:
                raise
            return existing

    def _find(self, name: str, login: str | None) -> Reviewer | None:
        with self._database.read() as connection:
            return _named(_reviewers(connection), name, login)

    def reviewers(self) -> list[Reviewer]:
        """Everybody who ever audited here, oldest first."""
        with self._database.read() as connection:
            return _reviewers(connection)

    def set_role(self, name: str, role: str, by: str | None) -> Reviewer:
        """Give a reviewer a role.

        Parameters
        ----------
        name : str
        role : {"viewer", "reviewer", "adjudicator"}
        by : str or None
            The adjudicator who does it; None is the owner of the store on the command line.

        Raises
        ------
        InputError
            If there is no such role, or no adjudicator would remain.
        NotFoundError
            If there is no such reviewer.
        AccessError
            If ``by`` is no adjudicator.
        """
        if role not in ROLES:
            raise InputError(f"'{role}' is no role; there are {', '.join(ROLES)}.")
        with self._database.write() as connection:
            if by is not None:
                _require(connection, by, ("adjudicator",), "give roles")
            everybody = _reviewers(connection)
            existing = next((one for one in everybody if _key(one.name) == _key(name)), None)
            if existing is None:
                raise NotFoundError(f"There is no reviewer '{name}'.")
            others = [one for one in everybody if one.role == "adjudicator" and one.name != existing.name]
            if existing.role == "adjudicator" and role != "adjudicator" and not others:
                raise InputError(f"'{existing.name}' is the only adjudicator; make somebody else one first.")
            connection.execute(reviewers.update().where(reviewers.c.name == existing.name).values(role=role))
        return replace(existing, role=role)

    def open_labels(self, dataset_id: str, opened: bool, by: str) -> None:
        """Show label, scores and maps of a dataset's images before they are rated, or hide them again.

        Raises
        ------
        NotFoundError
            If the dataset is not in the store.
        AccessError
            If ``by`` is no adjudicator.
        """
        with self._database.read() as connection:
            _require(connection, by, ("adjudicator",), "open labels to everybody")
        self.store.update_card(dataset_id, replace(self.store.dataset_info(dataset_id).card, audit_open=opened))

    # -- writing --------------------------------------------------------------------------------

    def record(self, event: Event) -> Event:
        """Add an event to the record and return it as written.

        Image, dataset version and ``before`` are filled in from the store. An event that is there already (the
        same id) is returned as it stands, so that a repeated request does no harm. Time is now at the latest, and
        after everything else that this reviewer did.

        Raises
        ------
        InputError
            If the event makes no sense, or names a level that the image's subset does not have.
        NotFoundError
            If the dataset or the image is not in the store, or the event to undo is not in the record.
        AccessError
            If the reviewer's role does not allow it.
        """
        check_event(event)
        dataset = self.store.dataset(event.dataset_id)
        with self._database.write() as connection:
            stored = _raw_events(connection, [event.id])
            if stored:
                return self._mine(stored[0], event.reviewer, event.kind)
            _require(connection, event.reviewer, *_needs(event.kind))
            filled = self._filled(connection, event, dataset)
            _insert(connection, [filled])
            place(connection, [filled])
        return filled

    def _mine(self, stored: Event, reviewer: str, kind: str) -> Event:
        if (stored.reviewer, stored.kind) != (reviewer, kind):
            raise InputError(f"Event {stored.id} is in the record already, as something else.")
        return stored

    def _filled(self, connection: Connection, event: Event, dataset: Dataset) -> Event:
        if event.kind == "undo":
            return self._filled_undo(connection, event, dataset.version)
        row = image_row(connection, event.dataset_id, event.image_id)
        if event.kind in ("level", "unsure", "anchor", "adjudicate") and event.after is not None:
            allowed = levels_of(dataset, row["subset"])
            if event.after not in allowed:
                raise InputError(
                    f"'{row['subset']}' has no level {level_key(event.after)}; it has "
                    f"{', '.join(map(level_key, allowed))}."
                )
        other = {"other": None, "other_hash": "", "other_path": ""}
        if event.kind == "compare":
            second = image_row(connection, event.dataset_id, event.other or "")
            if second["subset"] != row["subset"]:
                raise InputError("Two images of different subsets cannot be compared; their levels mean other things.")
            other = {
                "other": second["image_id"],
                "other_hash": second["content_hash"],
                "other_path": second["template_path"],
            }
        return replace(
            event,
            **other,
            before=self._before(connection, event, None if math.isnan(row["level"]) else row["level"]),
            content_hash=row["content_hash"],
            subset=row["subset"],
            path=row["template_path"],
            dataset_version=dataset.version,
            time=_next_time(connection, event),
        )

    def _before(self, connection: Connection, event: Event, label: float | None) -> float | None:
        if event.kind == "compare":
            return None
        earlier = standing(_placed_events(connection, event.dataset_id, event.image_id))
        if event.kind in ("anchor", "adjudicate"):
            same = [one.after for one in earlier if one.kind == event.kind]
            return same[-1] if same else (label if event.kind == "adjudicate" else None)
        own = [one.after for one in earlier if one.reviewer == event.reviewer and one.kind in RATINGS]
        return label if not own or own[-1] is None else own[-1]

    def _filled_undo(self, connection: Connection, event: Event, version: str) -> Event:
        stored = _raw_events(connection, [event.undoes or ""])
        if not stored:
            raise NotFoundError("The event to take back is not in the record.")
        target = stored[0]
        if target.reviewer != event.reviewer:
            raise AccessError(f"Only {target.reviewer} can take back what {target.reviewer} did.")
        about = ("dataset_id", "image_id", "content_hash", "subset", "path", "other", "other_hash", "other_path")
        facts = {name: getattr(target, name) for name in about}
        when = max(_next_time(connection, event), _after(target.time))
        return replace(event, **facts, before=target.after, after=target.before, dataset_version=version, time=when)

    def undo(self, dataset_id: str, reviewer: str, event_id: str = "") -> Event | None:
        """Take back the newest standing event of a reviewer; None where there is none.

        Parameters
        ----------
        dataset_id, reviewer : str
        event_id : str
            Id of the undo; a repeated request with it does nothing more. Empty draws one.

        Returns
        -------
        Event or None
            The ``undo`` as written; its ``undoes`` names what was taken back.

        Raises
        ------
        InputError
            If ``event_id`` is in the record as something else.
        NotFoundError
        AccessError
        """
        return self._move(dataset_id, reviewer, event_id, last_standing)

    def redo(self, dataset_id: str, reviewer: str, event_id: str = "") -> Event | None:
        """Take back the newest undo of a reviewer, unless something else was done since; None where there is none.

        Raises
        ------
        InputError
        NotFoundError
        AccessError
        """
        return self._move(dataset_id, reviewer, event_id, to_redo)

    def _move(self, dataset_id: str, reviewer: str, event_id: str, choose: Any) -> Event | None:
        info = self.store.dataset_info(dataset_id)
        self._catch_up(dataset_id)
        with self._database.write() as connection:
            _require(connection, reviewer, *_needs("undo"))
            stored = _raw_events(connection, [event_id])
            if stored:
                return self._mine(stored[0], reviewer, "undo")
            target = choose(_placed_events(connection, dataset_id, reviewer=reviewer))
            if target is None:
                return None
            event = Event(dataset_id, target.image_id, reviewer, "undo", undoes=target.id, id=event_id or new_id())
            check_event(event)
            filled = self._filled_undo(connection, event, info.version)
            _insert(connection, [filled])
            place(connection, [filled])
        return filled

    def merge(self, events: Iterable[Event], by: str | None = None) -> Merged:
        """Join events of another database with this record; what is there already is not doubled.

        Images are found by content and path, so ids may differ. Events about images that are in no dataset here
        are kept too, and come up once such a dataset is imported. All or nothing is written. The outcome does not
        depend on the order of merging.

        Parameters
        ----------
        events : iterable of Event
        by : str or None
            Who imports, an adjudicator, since events carry other people's names; None is the owner of the store
            on the command line.

        Raises
        ------
        InputError
            If an event makes no sense.
        AccessError
            If ``by`` is no adjudicator.
        """
        given: dict[str, Event] = {}
        problems: list[str] = []
        for event in events:
            check_event(event)
            if given.setdefault(event.id, event) != event:
                problems.append(f"Event {event.id} stands twice, with differing facts; the first is taken.")
        with self._database.write() as connection:
            if by is not None:
                _require(connection, by, ("adjudicator",), "import events")
            stored = {event.id: event for event in _raw_events(connection, list(given))}
            problems += [
                f"Event {event_id} is here with other facts; what is here stays."
                for event_id, event in stored.items()
                if event != given[event_id]
            ]
            fresh = [event for event_id, event in given.items() if event_id not in stored]
            _insert(connection, fresh)
            anywhere = place(connection, list(given.values()))
        unmatched = tuple(event for event in given.values() if event.id not in anywhere)
        return Merged(len(fresh), len(stored), unmatched, tuple(problems))

    # -- reading --------------------------------------------------------------------------------

    def events(self, dataset_id: str) -> list[Event]:
        """Every event on images of a dataset, undone ones and undos included, in order of time.

        Ids of dataset and images are those of this dataset, whatever they were where the event was made.

        Raises
        ------
        NotFoundError
        """
        return list(self._seen(dataset_id).ordered)

    def standing(self, dataset_id: str) -> list[Event]:
        """The events that have not been taken back, without the undos, in order of time."""
        seen = self._seen(dataset_id)
        return [event for event in seen.ordered if event.kind != "undo" and event.id not in seen.back]

    def originals(self, dataset_id: str) -> list[Event]:
        """As :meth:`events`, each as it was written where it was made: what an export carries."""
        ids = [event.id for event in self._seen(dataset_id).ordered]
        with self._database.read() as connection:
            stored = {event.id: event for event in _raw_events(connection, ids)}
        return [stored[event_id] for event_id in ids]

    def unmatched(self) -> list[Event]:
        """Events whose image is in no dataset here, as they were written."""
        anywhere = sa.select(audit_places.c.event_id)
        query = sa.select(audit_events).where(audit_events.c.id.not_in(anywhere))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(audit_events.c.time, audit_events.c.id)).mappings()
            return [_event(row) for row in rows]

    def ratings(self, dataset_id: str) -> pd.DataFrame:
        """What each reviewer makes of each image: the newest standing rating.

        Returns
        -------
        DataFrame
            One row per image and reviewer: ``image_id``, ``reviewer``, ``level`` (float64, NaN for unsure and not
            gradable), ``state`` (``"level"``, ``"unsure"`` or ``"ungradable"``), ``reason`` (the newest comment
            on the image, if any), ``region`` (the newest region, or None), ``time`` (seconds since the epoch),
            ``scores_visible`` and ``probably`` (the level that somebody unsure holds for probable, NaN where none),
            in order of time.
        """
        seen = self._seen(dataset_id)
        if seen.ratings is None:
            seen.ratings = _ratings(self.standing(dataset_id))
        return seen.ratings.copy()

    def adjudications(self, dataset_id: str) -> pd.DataFrame:
        """What adjudicators decided: the newest standing decision of each image.

        Returns
        -------
        DataFrame
            Columns ``image_id``, ``reviewer``, ``level``, ``reason``, ``time``.
        """
        newest = {event.image_id: event for event in self.standing(dataset_id) if event.kind == "adjudicate"}
        rows = [(e.image_id, e.reviewer, e.after, e.reason, e.time) for e in newest.values()]
        columns = ["image_id", "reviewer", "level", "reason", "time"]
        return pd.DataFrame(rows, columns=columns).astype({"level": "float64", "time": "float64"})

    def progress(self, dataset_id: str, reviewer: str) -> ReviewProgress:
        """How far a reviewer is with the test images of a dataset, and how fast of late."""
        table = self.store.dataset(dataset_id).table
        tests: Any = table.loc[table["split"] == "test", "image_id"]
        rows: Any = self.ratings(dataset_id)
        own = rows[rows["reviewer"] == reviewer]
        done = int(tests.isin(own["image_id"]).sum())
        gaps = np.diff(np.sort(own["time"].to_numpy(dtype=np.float64))[-PACE_RATINGS:])
        working = gaps[gaps <= BREAK_SECONDS]
        seconds = float(working.sum())
        return ReviewProgress(done, len(tests), 60 * len(working) / seconds if seconds > 0 else None)

    def anchors(self, dataset_id: str) -> pd.DataFrame:
        """The images that experts chose as references: columns ``level``, ``image_id``, by level, oldest first."""
        newest: dict[str, Event] = {}
        for event in self.standing(dataset_id):
            if event.kind == "anchor":
                newest.pop(event.image_id, None)
                newest[event.image_id] = event
        rows = [(event.after, image) for image, event in newest.items() if event.after is not None]
        table = pd.DataFrame(rows, columns=["level", "image_id"]).astype({"level": "float64"})
        return table.sort_values("level", kind="stable", ignore_index=True)

    def levels(self, dataset_id: str, subset: str) -> list[float]:
        """The levels that an image of a subset can be given (see :func:`levels_of`)."""
        return levels_of(self.store.dataset(dataset_id), subset)

    # -- what was read before -------------------------------------------------------------------

    def _seen(self, dataset_id: str) -> _Seen:
        """The events of a dataset; only what came since the last look is read from the database."""
        seen = self._catch_up(dataset_id)
        with self._database.read() as connection:
            count = sa.select(sa.func.count()).where(audit_places.c.dataset_id == dataset_id)
            if connection.execute(count).scalar_one() == len(seen.events):
                return seen
            ids = connection.execute(
                sa.select(audit_places.c.event_id).where(audit_places.c.dataset_id == dataset_id)
            ).scalars()
            lacking = [event_id for event_id in ids if event_id not in seen.events]
            fresh = _placed_events(connection, dataset_id, ids=lacking if seen.events else None)
        merged = {**seen.events, **{event.id: event for event in fresh}}
        return _remember(self._database, dataset_id, _Seen(seen.created, merged))

    def _catch_up(self, dataset_id: str) -> _Seen:
        """Place the events that were in the record before this dataset was imported; once a dataset and process."""
        info = self.store.dataset_info(dataset_id)
        seen = _remembered(self._database, dataset_id)
        if seen is not None and seen.created == info.created:
            return seen
        placed_here = sa.select(audit_places.c.event_id).where(audit_places.c.dataset_id == dataset_id)
        query = sa.select(audit_events).where(audit_events.c.id.not_in(placed_here))
        with self._database.read() as connection:
            waiting = [_event(row) for row in connection.execute(query).mappings()]
        if waiting:
            with self._database.write() as connection:
                place(connection, waiting, dataset_id)
        return _remember(self._database, dataset_id, _Seen(info.created))


@dataclass(eq=False)
class _Seen:
    """Events of one dataset as this process read them last; never changed but for its table of ratings."""

    created: float
    events: Mapping[str, Event] = field(default_factory=dict)
    ratings: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        self.ordered = sorted(self.events.values(), key=lambda event: event.order)
        targets = {event.undoes for event in self.ordered if event.kind == "undo"}
        self.back = undone(e for e in self.ordered if e.kind == "undo" or e.id in targets) if targets else frozenset()


_MEMORY: weakref.WeakKeyDictionary[Database, dict[str, _Seen]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def _remembered(database: Database, dataset_id: str) -> _Seen | None:
    with _LOCK:
        return _MEMORY.get(database, {}).get(dataset_id)


def _remember(database: Database, dataset_id: str, seen: _Seen) -> _Seen:
    with _LOCK:
        _MEMORY.setdefault(database, {})[dataset_id] = seen
    return seen


# -- reviewers ----------------------------------------------------------------------------------


def _checked_name(name: str) -> str:
    name = re.sub(r"\s+", " ", unicodedata.normalize("NFC", name)).strip()
    if not 0 < len(name) <= MAX_NAME:
        raise InputError(f"A reviewer's name has 1 to {MAX_NAME} characters.")
    return name


def _key(name: str) -> str:
    return name.casefold()


def _reviewers(connection: Connection) -> list[Reviewer]:
    rows = connection.execute(sa.select(reviewers).order_by(reviewers.c.created, reviewers.c.name)).mappings()
    return [Reviewer(**row) for row in rows]


def _named(everybody: Sequence[Reviewer], name: str, login: str | None) -> Reviewer | None:
    if login is not None:
        return next((one for one in everybody if one.login == login), None)
    existing = next((one for one in everybody if _key(one.name) == _key(name)), None)
    if existing is not None and existing.login is not None:
        raise AccessError(f"The name '{existing.name}' belongs to somebody who logs in; choose another.")
    return existing


def _add_reviewer(connection: Connection, name: str, login: str | None, address: str, former: str) -> Reviewer:
    everybody = _reviewers(connection)
    existing = _named(everybody, name, login) or _adopted(connection, everybody, login, address, former)
    if existing is not None:
        return existing
    taken = {_key(one.name) for one in everybody}
    if login is not None and _key(name) in taken:
        shown = (address or login)[:100]
        name = f"{name[: MAX_NAME - 3 - len(shown)]} ({shown})"
    if login is not None and _key(name) in taken:
        name = f"{name[: MAX_NAME - 9]} {new_id()[:8]}"
    first = not any(one.role == "adjudicator" and (login is None or one.login is not None) for one in everybody)
    made = Reviewer(name, "adjudicator" if first else "reviewer", login, time.time(), address or None)
    connection.execute(reviewers.insert().values(asdict(made)))
    return made


def _adopted(
    connection: Connection, everybody: Sequence[Reviewer], login: str | None, address: str, former: str
) -> Reviewer | None:
    """The reviewer whom an earlier version knew by another login, known by this one from now on."""
    if login is None or not former:
        return None
    reviewer = next((one for one in everybody if (one.login or "").casefold() == former.casefold()), None)
    if reviewer is None:
        return None
    now = replace(reviewer, login=login, address=address or reviewer.address)
    connection.execute(
        reviewers.update().where(reviewers.c.name == now.name).values(login=now.login, address=now.address)
    )
    return now


def _needs(kind: str) -> tuple[tuple[Role, ...], str]:
    """Roles that may do something, and what it is called."""
    if kind == "adjudicate":
        return ("adjudicator",), "decide on a label"
    return ("reviewer", "adjudicator"), "change the record"


def _require(connection: Connection, name: str, roles: tuple[Role, ...], what: str) -> None:
    role = connection.execute(sa.select(reviewers.c.role).where(reviewers.c.name == name)).scalar()
    if role is None:
        raise AccessError(f"'{name[:MAX_NAME]}' is no reviewer here; only reviewers can {what}.")
    if role not in roles:
        raise AccessError(f"'{name}' is a {role} and cannot {what}; an adjudicator can give the role.")


# -- rows of the record -------------------------------------------------------------------------


def _event(row: Mapping[Any, Any]) -> Event:
    return Event(**{name: row[name] for name in FIELDS})


def _insert(connection: Connection, events: Sequence[Event]) -> None:
    if events:
        connection.execute(audit_events.insert(), [event.to_json() for event in events])


def _raw_events(connection: Connection, ids: Sequence[str]) -> list[Event]:
    events: list[Event] = []
    for some in chunks(ids):
        rows = connection.execute(sa.select(audit_events).where(audit_events.c.id.in_(some))).mappings()
        events += [_event(row) for row in rows]
    return events


def _placed_events(
    connection: Connection,
    dataset_id: str,
    image_id: str | None = None,
    *,
    reviewer: str | None = None,
    ids: Sequence[str] | None = None,
) -> list[Event]:
    """Events of a dataset as it sees them: all, or those of an image, of a reviewer, or of some ids."""
    query = (
        sa.select(audit_events, audit_places.c.image_id.label("here"), audit_places.c.other.label("other_here"))
        .join(audit_places, audit_places.c.event_id == audit_events.c.id)
        .where(audit_places.c.dataset_id == dataset_id)
    )
    if image_id is not None:
        query = query.where(audit_places.c.image_id == image_id)
    if reviewer is not None:
        query = query.where(audit_events.c.reviewer == reviewer)
    names = [column.name for column in audit_events.c]
    queries = [query] if ids is None else [query.where(audit_events.c.id.in_(some)) for some in chunks(ids)]
    return [
        Event(**{**facts, "dataset_id": dataset_id, "image_id": placed, "other": other})
        for one in queries
        for *values, placed, other in connection.execute(one)
        if (facts := dict(zip(names, values, strict=True)))
    ]


def _next_time(connection: Connection, event: Event) -> float:
    """The event's time, now at the latest, and after everything that this reviewer did before."""
    newest = connection.execute(
        sa.select(sa.func.max(audit_events.c.time)).where(audit_events.c.reviewer == event.reviewer)
    ).scalar()
    when = min(event.time, time.time())
    return when if newest is None or when > newest else _after(newest)


def _after(moment: float) -> float:
    return max(moment + _TICK, math.nextafter(moment, math.inf))


def _ratings(events: Sequence[Event]) -> pd.DataFrame:
    newest: dict[tuple[str, str], Event] = {}
    comments: dict[tuple[str, str], str] = {}
    regions: dict[tuple[str, str], Mapping[str, Any] | None] = {}
    for event in events:
        key = (event.image_id, event.reviewer)
        if event.kind in RATINGS:
            newest.pop(key, None)
            newest[key] = event
        if event.kind in ("comment", *RATINGS) and event.reason.strip():
            comments[key] = event.reason
        if event.kind == "region" or (event.kind in RATINGS and event.region is not None):
            regions[key] = event.region
    rows = list(newest.items())
    columns: dict[str, Any] = {
        "image_id": pd.Series([image for (image, _), _ in rows], dtype="str"),
        "reviewer": pd.Series([name for (_, name), _ in rows], dtype="str"),
        "level": np.array([e.after if e.kind == "level" else None for _, e in rows], dtype=np.float64),
        "state": pd.Series([e.kind for _, e in rows], dtype="str"),
        "reason": pd.Series([comments.get(key, "") for key, _ in rows], dtype="str"),
        "region": pd.Series([regions.get(key) for key, _ in rows], dtype="object"),
        "time": np.array([e.time for _, e in rows], dtype=np.float64),
        "scores_visible": np.array([e.scores_visible for _, e in rows], dtype=bool),
        "probably": np.array([e.after if e.kind == "unsure" else None for _, e in rows], dtype=np.float64),
    }
    return pd.DataFrame(columns)
