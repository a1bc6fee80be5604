"""Review components: one image of a queue beside the ladder of levels, two images of a pair, a remembered name.

The components take addresses and texts and draw in the browser. The next images of the queue are loaded there
before they are asked for, so that going on does not wait for this process. What a reviewer does comes back as
acts; the browser keeps and repeats each until the page has answered that it was taken (``taken``), and an act
carries the id of its event, so that a repeated one is written once.

Nothing that is hidden may be in what is sent: an :class:`ReviewImage` holds addresses made of ids, and its ``reveal``
only once the reviewer has committed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from mad_core.errors import WorkError
from pages.ui.component import load

_HERE = Path(__file__).parent
MOST_ACTS = 500
MOST_TEXT = 10_000
_STYLES = (_HERE / "review.css", _HERE.with_name("ui") / "js" / "help.css")
_REVIEW = load("mad_review", _HERE / "review.js", *_STYLES)
_PAIRS = load("mad_pairs", _HERE / "pairs.js", *_STYLES)
_NAME = load("mad_reviewer_name", _HERE / "review_name.js")


@dataclass(frozen=True)
class Reference:
    """An image that stands for a level: addresses of the file and of its thumbnail, and its text alternative."""

    id: str
    url: str
    small: str
    alt: str


@dataclass(frozen=True)
class Rung:
    """One level of the ladder: its key, words and colours (``#rrggbb``), and its references."""

    level: float
    key: str
    label: str
    meaning: str
    colour: str
    text: str
    edge: str
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class Ladder:
    """What the images of one subset are rated by."""

    product: str
    rubric: str
    levels: tuple[Rung, ...]


@dataclass(frozen=True)
class Mine:
    """The reviewer's own standing rating of an image; ``kind`` is level, unsure or ungradable."""

    kind: str
    level: float | None
    reason: str = ""
    region: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reveal:
    """What was hidden: the label with its colours (empty: not shown), why it is in question, scores, the file."""

    label: str = ""
    colour: str = ""
    text: str = ""
    edge: str = ""
    why: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    path: str = ""
    href: str = ""


@dataclass(frozen=True)
class ReviewImage:
    """One image of the queue; ``width`` and ``height`` in pixels, 0 where they are not known."""

    id: str
    url: str
    fallback: str
    width: int = 0
    height: int = 0
    subset: str = ""
    mine: Mine | None = None
    reveal: Reveal | None = None


@dataclass(frozen=True)
class Act:
    """What a reviewer did, as the browser tells it; every field is checked for its type only.

    ``act`` is one of ``at`` (looks at this image now), ``level``, ``unsure``, ``ungradable``, ``comment``,
    ``region``, ``anchor``, ``compare``, ``skip``, ``undo``, ``redo``; ``event`` is the id of its event.
    """

    act: str
    event: str = ""
    image: str = ""
    other: str = ""
    after: float | None = None
    reason: str = ""
    region: Mapping[str, Any] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Note:
    """A sentence for the reviewer; a new ``number`` shows it again."""

    number: int
    text: str
    wrong: bool = False


@dataclass(frozen=True)
class ReviewPosition:
    """Where the reviewer is to look; a new ``number`` moves the view there, else the browser's own place stands."""

    number: int
    place: int


@dataclass(frozen=True)
class ReviewWindow:
    """The part of a queue that the browser holds.

    Parameters
    ----------
    key : str
        Another key is another queue: the browser forgets the items it has.
    start : int
        Place of the first item in the queue of ``total`` images.
    """

    key: str
    total: int
    start: int
    items: tuple[ReviewImage, ...]
    at: ReviewPosition
    ladders: Mapping[str, Ladder] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two images to compare; ``key`` names the pair."""

    key: str
    images: tuple[ReviewImage, ReviewImage]


def review(
    queue: ReviewWindow,
    *,
    done: int,
    total: int,
    pace: str,
    show_after: bool,
    decides: bool = False,
    note: Note | None,
    whose: str,
    key: str,
    on_act: Callable[[Act], None],
) -> None:
    """Draw the review of one queue.

    Parameters
    ----------
    done, total : int
        Images rated so far, and images there are.
    pace : str
        In words; empty if nothing is known yet.
    show_after : bool
        Whether a commit stays at the image and shows what was hidden; else it goes on at once.
    decides : bool
        Whether levels are decided on, not rated: then there is no doubt to choose.
    note : Note or None
        Said above the picture.
    whose : str
        What is reviewed and by whom. Place, drafts and acts that were not taken yet are kept for each in the browser,
        also while the component is off the page.
    on_act : callable
        Called with each act that was not given before, oldest first, before the fragment runs again. Where it raises
        WorkError the browser keeps this act and those after it, and sends them again.
    """
    data = {
        "whose": f"{key} {whose}",
        "queue": queue.key,
        "total": queue.total,
        "start": queue.start,
        "items": [asdict(item) for item in queue.items],
        "at": asdict(queue.at),
        "subsets": {name: asdict(ladder) for name, ladder in queue.ladders.items()},
        "progress": {"done": done, "total": total, "pace": pace},
        "show_after": show_after,
        "decides": decides,
        "note": asdict(note) if note else None,
        "taken": st.session_state.get(f"{key}_taken"),
    }
    _REVIEW(key=key, data=data, on_acts_change=lambda: _take(key, on_act))


def pairs(
    offered: Sequence[Pair],
    *,
    at: int,
    count: str,
    note: Note | None,
    whose: str,
    key: str,
    on_act: Callable[[Act], None],
) -> None:
    """Draw the first pair that was not answered yet; the others are loaded meanwhile.

    Parameters
    ----------
    at : int
        Another number offers pairs again that were answered before (after an undo).
    count : str
        How many comparisons there are, in words.
    whose, on_act
        As in :func:`review`.
    """
    data = {
        "whose": f"{key} {whose}",
        "pairs": [asdict(pair) for pair in offered],
        "at": at,
        "count": count,
        "note": asdict(note) if note else None,
        "taken": st.session_state.get(f"{key}_taken"),
    }
    _PAIRS(key=key, data=data, on_acts_change=lambda: _take(key, on_act))


def remembered_name(name: str | None, *, key: str, on_name: Callable[[str], None]) -> None:
    """Keep a reviewer's name in this browser; for None ``on_name`` gets the kept one, an empty name forgets it."""

    def told() -> None:
        name = st.session_state[key].get("name")
        if isinstance(name, str) and name.strip():
            on_name(name.strip())

    _NAME(key=key, data={"name": name}, on_name_change=told)


def _take(key: str, on_act: Callable[[Act], None]) -> None:
    """Pass on the acts that were not passed on before, and remember how far that went."""
    sent = st.session_state[key].get("acts")
    if not isinstance(sent, Mapping) or not isinstance(sent.get("client"), str):
        return
    before = st.session_state.get(f"{key}_taken") or {}
    last = before["number"] if before.get("client") == sent["client"] else 0
    acts = sent.get("acts")
    told = [a for a in acts if isinstance(a, Mapping)] if isinstance(acts, list) else []
    for fresh in [a for a in told if isinstance(a.get("number"), int) and a["number"] > last][:MOST_ACTS]:
        try:
            on_act(_act(fresh))
        except WorkError:
            return
        st.session_state[f"{key}_taken"] = {"client": sent["client"], "number": fresh["number"]}


def _act(told: Mapping[str, Any]) -> Act:
    texts = {name: _text(told.get(name)) for name in ("act", "event", "image", "other", "reason")}
    region = told.get("region")
    return Act(
        **texts,
        after=_number(told.get("after")),
        region=region if isinstance(region, Mapping) else None,
        seconds=max(_number(told.get("seconds")) or 0.0, 0.0),
    )


def _text(value: Any) -> str:
    return value[:MOST_TEXT] if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None
