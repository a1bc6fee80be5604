"""What a reviewer did: written to the record, taken back, and said in a sentence."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from mad_core.audit.events import Event
from mad_core.errors import MadError, WorkError
from pages.audit.context import Audit, records
from pages.audit.review_component import Act, Note
from pages.audit.review_queue import ReviewQueue

NOTE = "audit_note"
UNSAVED = "audit_unsaved"


def taking(do: Callable[[Act], None]) -> Callable[[Act], None]:
    """``do`` that says what is wrong with an act; what the store cannot take now goes back to the browser."""

    def take(act: Act) -> None:
        try:
            do(act)
        except WorkError as error:
            st.session_state[UNSAVED] = True
            say(f"{error} Leave this tab open: it keeps what you did and sends it again.", wrong=True)
            raise
        except MadError as error:
            say(str(error), wrong=True)
        else:
            if st.session_state.pop(UNSAVED, False):
                say("The store is back. What you did is saved.")

    return take


def say(text: str, *, wrong: bool = False) -> None:
    """A sentence above the picture."""
    number = st.session_state.get("audit_said", 0) + 1
    st.session_state["audit_said"] = number
    st.session_state[NOTE] = Note(number, text, wrong)


def write(audit: Audit, act: Act, **facts: Any) -> None:
    """Write one act to the record."""
    given: dict[str, Any] = {"id": act.event} if act.event else {}
    kind: Any = act.act
    records().record(
        Event(
            audit.info.id,
            act.image,
            audit.reviewer.name,
            kind,
            after=act.after,
            reason=act.reason,
            region=act.region,
            seconds=act.seconds,
            **given,
            **facts,
        )
    )


def take_back(audit: Audit, act: Act, queue: ReviewQueue | None = None) -> Event | None:
    """Undo or redo, say so, and return the event that this was about; None where there is none.

    With a queue it is said where the image is in none of its places.
    """
    move = records().undo if act.act == "undo" else records().redo
    event = move(audit.info.id, audit.reviewer.name, act.event)
    events = {e.id: e for e in records().events(audit.info.id)}
    while event is not None and event.kind == "undo" and event.undoes in events:
        event = events[event.undoes]
    if event is None:
        say(f"There is nothing to {act.act}.")
        return None
    elsewhere = " on an image outside this queue" if queue and queue.place_of(event.image_id) is None else ""
    say(f"{'Taken back' if act.act == 'undo' else 'Done again'}: {in_words(audit, event)}{elsewhere}.")
    return event


def in_words(audit: Audit, event: Event) -> str:
    """An event in a few words."""
    if event.kind == "level" and event.after is not None:
        return audit.level(event.image_id, event.after)
    if event.kind == "unsure" and event.after is not None:
        return f"probably {audit.level(event.image_id, event.after)}, but unsure"
    if event.kind == "anchor":
        return "a reference"
    words = {"unsure": "unsure", "ungradable": "not gradable", "compare": "a comparison", "adjudicate": "a decision"}
    return words.get(event.kind, f"a {event.kind}")
