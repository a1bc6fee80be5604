"""The Review section of the Audit page: a queue of images, one at a time, blind until the reviewer commits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.events import RATINGS, Event
from mad_core.audit.lookalikes import read_hashes
from mad_core.audit.queue import ORDERS, Order, error_rate, ordered, reviews_needed
from mad_core.audit.suspicion import PARTS, suspicions
from mad_core.datasets.dataset import Dataset, LevelMeaning, SubsetCard, level_key
from mad_core.errors import MadError, WorkError
from mad_core.palette import level_colour, outline, text_on
from mad_core.runs.comparing import distinct_names, ranks_within_subsets
from mad_core.scorers.multimodal.rubrics import find_rubric
from pages.audit.context import Audit, records, subset_choice
from pages.audit.review_component import Act, Item, Ladder, Mine, Note, Place, Queue, Reference, Reveal, Rung, review
from pages.ui import charts, engine, session, urls
from pages.ui.reading import how_to_read
from pages.ui.text import level_text

QUEUE = "audit_queue"
NOTE = "audit_note"
UNSAVED = "audit_unsaved"
AFTER = {"show": "show what was hidden", "on": "go straight on"}
BEHIND, AHEAD = 4, 24
"""Images of the queue that the browser holds before and after the one in view."""
REFERENCES = 2
"""References shown of each level."""
HASHED = 5_000
"""Images of a dataset up to which near-duplicates are looked for; copies of a file are always found."""
PART_WORDS = {
    "prediction": "Another level, by the scores",
    "agreement": "Scorers agree on it",
    "distance": "Distance in levels",
    "lookalikes": "Look-alikes labelled otherwise",
    "raters": "Reviewers say otherwise",
}
ORDER_WORDS = {
    "suspicion": "Most suspicious first",
    "random": "Random",
    "level": "By level",
    "disagreement": "Scorers disagree most",
    "unreviewed": "Unreviewed first",
}
ORDER_HELP = (
    "Most suspicious first finds wrong labels fastest. A random order gives an unbiased rate of wrong labels. By level "
    "gives the label away, so ratings in it are recorded as made with labels in view."
)


@dataclass(frozen=True)
class Why:
    """Why an image is in question: in a sentence, and as the parts of its suspicion."""

    reason: str = ""
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Line:
    """A queue as it stood when it was drawn up; it does not change under the reviewer's hands."""

    key: str
    order: str
    ids: tuple[str, ...]
    found: pd.DataFrame | None = None
    """Suspicions by image id, as they were then; shared by all sessions that drew up a queue of them."""

    @cached_property
    def places(self) -> Mapping[str, int]:
        return {image_id: place for place, image_id in enumerate(self.ids)}

    def place_of(self, image_id: str) -> int | None:
        return self.places.get(image_id)

    def why(self, image_id: str) -> Why:
        """Why an image is in question; nothing where that is not known."""
        if self.found is None or image_id not in self.found.index:
            return Why()
        return _why(self.found.loc[image_id].to_dict())


def review_section(audit: Audit) -> None:
    """Choose a queue, then review it."""
    tests: Any = audit.dataset.select(split="test")
    if tests.empty:
        st.info("This dataset has no test images whose labels could be audited.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subset = subset_choice(audit, sorted(tests["subset"].unique().tolist()), width=200)
        order = st.selectbox(
            "Order",
            ORDERS,
            format_func=ORDER_WORDS.__getitem__,
            help=ORDER_HELP,
            width=240,
            **session.bound("queue", ORDERS, ORDERS[0]),
        )
        after = st.selectbox(
            "After a commit",
            list(AFTER),
            format_func=AFTER.__getitem__,
            help="Seeing the label after each image teaches you its habits; for ratings that owe nothing to it, go on.",
            width=240,
            **session.bound("after", list(AFTER), "show"),
        )
        with st.popover("Sample size", icon=":material/calculate:"):
            _sample_size(audit, tests if subset is None else tests[tests["subset"] == subset])
        with st.popover("Settings", icon=":material/tune:"):
            _settings(audit)
        how_to_read("suspicion", "suspicion")
    if order == "level" and audit.blind:
        st.caption("This order gives labels away, so ratings are recorded as made with labels in view.")
    line = _line(audit, order, subset)
    if not line.ids:
        st.info("Nothing is waiting in this queue.", icon=":material/check:")
        return
    st.fragment(_review)(audit, line, after)


def _sample_size(audit: Audit, rows: pd.DataFrame) -> None:
    """How many random reviews tell the rate of wrong labels, and what those that are done tell."""
    st.markdown("How many images in random order tell the rate of wrong labels?")
    rate = st.slider("Expected rate of wrong labels, %", 1, 50, 5, key="audit_rate")
    width = st.slider("Wanted to within ±, %", 1, 15, 3, key="audit_width")
    needed = reviews_needed(rate / 100, width / 100, len(rows))
    st.markdown(f"**{needed:,} of {len(rows):,} images**, with 95 % confidence.")
    st.caption("Only the queue in random order counts, as far as no image of it was passed over.")
    found = _rate_so_far(audit, rows)
    if found:
        st.markdown(found)


def _rate_so_far(audit: Audit, rows: pd.DataFrame) -> str:
    """The rate among the first images of the random order that the reviewer has rated; empty where there are none."""
    mine, wrong, reviews = _mine(audit), 0, 0
    if not mine:
        return ""
    labels = dict(zip(rows["image_id"].tolist(), rows["level"].tolist(), strict=True))
    for image_id in _at_random(rows, audit.info.id, audit.info.version, *rows["subset"].unique()):
        if image_id not in mine:
            break
        given = mine[image_id].level
        if given is not None:
            reviews += 1
            wrong += given != labels[image_id]
    if not reviews:
        return ""
    found = error_rate(wrong, reviews, len(rows))
    return (
        f"Of the first {reviews:,} that you rated in random order, {wrong:,} labels differ from your level: "
        f"**{100 * found.rate:.1f} %** [{100 * found.low:.1f}, {100 * found.high:.1f}]."
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _at_random(_rows: pd.DataFrame, *key: Any) -> list[str]:
    return ordered(_rows, "random")


def _settings(audit: Audit) -> None:
    opened = st.toggle(
        "Show label, scores and file name before a rating",
        audit.info.card.audit_open,
        key=f"audit_open_{audit.info.id}",
        disabled=audit.reviewer.role != "adjudicator",
        help="For everybody who audits this dataset; an adjudicator decides. Each rating records what was in view.",
    )
    if opened != audit.info.card.audit_open and session.attempt(
        lambda: records().open_labels(audit.info.id, opened, audit.reviewer.name)
    ):
        st.rerun()
    st.button("Draw up the queue again", on_click=_forget, help="With the scores and ratings there are by now.")


def _forget() -> None:
    st.session_state.pop(QUEUE, None)


# -- the queue ------------------------------------------------------------------------------------


def _line(audit: Audit, order: Order, subset: str | None) -> Line:
    """The queue in view; drawn up once per choice, so that it stays while it is worked through."""
    wanted = hashlib.blake2b(
        "\0".join((audit.info.id, audit.reviewer.name, order, subset or "")).encode(), digest_size=6
    ).hexdigest()
    kept = st.session_state.get(QUEUE)
    if kept and kept["wanted"] == wanted:
        return kept["line"]
    with st.spinner("Drawing up the queue"):
        ids, found = _draw_up(audit, order, subset)
    serial = st.session_state.get("audit_serial", 0) + 1
    st.session_state["audit_serial"] = serial
    drawn = hashlib.blake2b("\0".join(ids).encode(), digest_size=6).hexdigest()  # a new session counts anew
    line = Line(f"{wanted}-{serial}-{drawn}", order, tuple(ids), found)
    mine = _mine(audit)
    first = next((i for i, image_id in enumerate(ids) if image_id not in mine), max(len(ids) - 1, 0))
    st.session_state[QUEUE] = {"wanted": wanted, "line": line, "at": Place(serial, first)}
    return line


def _draw_up(audit: Audit, order: Order, subset: str | None) -> tuple[list[str], pd.DataFrame]:
    """The images of a queue in order, and the suspicions by which they are in question, by image id."""
    found = suspicions_of(audit)
    ids = ordered(found, order, reviewed=records().ratings(audit.info.id)["image_id"].tolist())
    tests = audit.dataset.select(split="test", subset=subset)
    wanted = set(tests["image_id"])
    return [i for i in ids if i in wanted], found


def suspicions_of(audit: Audit) -> pd.DataFrame:
    """Suspicion of every label, from the scores and ratings there are by now; its index holds the images' ids."""
    runs = tuple((run.id, *engine.state(run)) for run in scored_runs(audit))
    return _suspicions(audit, audit.info.id, runs, len(records().events(audit.info.id)))


@st.cache_resource(max_entries=4, show_spinner=False)
def _suspicions(_audit: Audit, dataset_id: str, runs: tuple[Any, ...], events: int) -> pd.DataFrame:
    audit = _audit
    few = len(audit.dataset.table) <= HASHED
    folder = engine.store().settings.thumbnails / audit.info.id
    hashes = read_hashes(audit.dataset.table, folder) if few else None
    found = suspicions(audit.dataset.table, _scores(audit), records().ratings(audit.info.id), hashes)
    return found.set_index(pd.Index(found["image_id"].tolist(), dtype=object))


def _scores(audit: Audit) -> dict[str, pd.Series]:
    tables: dict[str, Any] = {run.id: engine.table(run).set_index("image_id") for run in scored_runs(audit)}
    return {run_id: table["score"] for run_id, table in tables.items()}


def _why(row: Mapping[Any, Any]) -> Why:
    parts = [(PART_WORDS[name], f"{row[name]:.2f}") for name in PARTS if pd.notna(row[name])]
    return Why(str(row["reason"]), (("Suspicion", f"{row['suspicion']:.2f}"), *parts))


def _mine(audit: Audit) -> dict[str, Mine]:
    """The reviewer's own standing ratings by image."""
    rows: Any = records().ratings(audit.info.id)
    rows = rows[rows["reviewer"] == audit.reviewer.name]
    return {
        row.image_id: Mine(
            row.state, None if pd.isna(row.level) else float(row.level), row.reason or "", row.region or None
        )
        for row in rows.itertuples()
        if row.state in RATINGS
    }


def committed_images(audit: Audit) -> set[str]:
    """Images that the reviewer has rated at some time, taken back or not: what was hidden has been seen."""
    events = records().events(audit.info.id)
    return {e.image_id for e in events if e.reviewer == audit.reviewer.name and e.kind in RATINGS}


# -- one image after the other --------------------------------------------------------------------


def _review(audit: Audit, line: Line, after: str) -> None:
    kept = st.session_state[QUEUE]
    at: Place = kept["at"]
    start = max(at.place - BEHIND, 0)
    window = line.ids[start : at.place + AHEAD + 1]
    mine, committed = _mine(audit), committed_images(audit)
    items = tuple(_item(audit, line, image_id, mine, committed) for image_id in window)
    progress = records().progress(audit.info.id, audit.reviewer.name)
    done = sum(line.place_of(image_id) is not None for image_id in mine)
    review(
        Queue(line.key, len(line.ids), start, items, at, ladders(audit, {item.subset for item in items})),
        done=done,
        total=len(line.ids),
        pace=f"{progress.per_minute:.0f} a minute" if progress.per_minute else "",
        show_after=after == "show",
        note=st.session_state.get(NOTE),
        whose=audit.whose,
        key="audit_review",
        on_act=taking(lambda act: _do(audit, line, act)),
    )


def item_of(audit: Audit, image_id: str) -> Item:
    """An image as the browser gets it before a commit: addresses of ids, and its size."""
    row = audit.image(image_id) or {}
    original, small = (
        urls.picture(audit.info.id, image_id, kind, row["content_hash"]) for kind in ("original", "preview")
    )
    return Item(image_id, original, small, int(row["width"]), int(row["height"]), row["subset"])


def _item(audit: Audit, line: Line, image_id: str, mine: Mapping[str, Mine], committed: set[str]) -> Item:
    shown = not audit.blind or image_id in committed
    return replace(
        item_of(audit, image_id),
        mine=mine.get(image_id),
        reveal=_reveal(audit, line, image_id) if shown else None,
    )


def _reveal(audit: Audit, line: Line, image_id: str) -> Reveal:
    row = audit.image(image_id) or {}
    why = line.why(image_id)
    colour = level_colour(row["level"], _levels(audit, row["subset"]), charts.theme())
    return Reveal(
        level_text(row["level"], audit.info.card.subset(row["subset"])),
        colour,
        text_on(colour),
        outline(colour, charts.theme()),
        why.reason,
        (*ranks(audit, image_id), *why.parts),
        f"{row['subset']}/{row['template_path']}",
        urls.image_page(audit.info.id, row["subset"], image_id),
    )


def ranks(audit: Audit, image_id: str) -> tuple[tuple[str, str], ...]:
    """Where each scorer places the image among those of its subset."""
    runs = scored_runs(audit)
    names = distinct_names(runs)
    found = []
    for run in runs:
        rank = _rank_of(run.id, (run.done, run.status, run.finished)).get(image_id)
        if rank is not None:
            found.append((names[run.id], f"percentile {rank:.0f}"))
    return tuple(found)


@st.cache_resource(max_entries=8, show_spinner=False)
def _rank_of(run_id: str, state: tuple[Any, ...]) -> dict[str, float]:
    """Percentile rank of each scored image within its subset."""
    rows = engine.table(engine.store().run(run_id))
    ranks = ranks_within_subsets(rows, "score")
    return {i: float(r) for i, r in zip(rows["image_id"], ranks, strict=True) if pd.notna(r)}


def scored_runs(audit: Audit) -> list[Any]:
    """Runs on the dataset that have scores."""
    return [run for run in session.runs_in_view(audit.info) if run.done]


# -- the ladder of levels ---------------------------------------------------------------------------


def _levels(audit: Audit, subset: str) -> list[float]:
    return records().levels(audit.info.id, subset)


def ladders(audit: Audit, subsets: set[str]) -> dict[str, Ladder]:
    anchors = records().anchors(audit.info.id)
    return {subset: _ladder(audit, subset, anchors) for subset in sorted(subsets)}


def _ladder(audit: Audit, subset: str, anchors: pd.DataFrame) -> Ladder:
    card, levels = audit.info.card.subset(subset), _levels(audit, subset)
    rungs = []
    for level in levels:
        colour = level_colour(level, levels, charts.theme())
        meaning = card.levels.get(level_key(level), LevelMeaning()).meaning
        rungs.append(
            Rung(
                level,
                level_key(level),
                level_text(level, card),
                meaning,
                colour,
                text_on(colour),
                outline(colour, charts.theme()),
                _references(audit, subset, level, anchors),
            )
        )
    return Ladder(subset, _rubric(card, subset), tuple(rungs))


def _references(audit: Audit, subset: str, level: float, anchors: pd.DataFrame) -> tuple[Reference, ...]:
    """The anchors that experts chose; of the normal level training normals where they chose none."""
    chosen = [i for i in anchors.loc[anchors["level"] == level, "image_id"] if _in_subset(audit, i, subset)]
    name = level_text(level, audit.info.card.subset(subset))
    if not chosen and level == 0:
        chosen = _normals(audit.dataset, audit.info.id, audit.info.version, subset)
        name = f"{name}, from the training normals"
    return tuple(_reference(audit, image_id, name) for image_id in chosen[-REFERENCES:])


@st.cache_resource(max_entries=64, show_spinner=False)
def _normals(_dataset: Dataset, dataset_id: str, version: str, subset: str) -> list[str]:
    """The training normals that stand for the normal level."""
    return _dataset.select(split="train", subset=subset)["image_id"].tolist()[-REFERENCES:]


def _in_subset(audit: Audit, image_id: str, subset: str) -> bool:
    row = audit.image(image_id)
    return row is not None and row["subset"] == subset


def _reference(audit: Audit, image_id: str, name: str) -> Reference:
    digest = (audit.image(image_id) or {})["content_hash"]
    original, small = (urls.picture(audit.info.id, image_id, kind, digest) for kind in ("original", "thumbnail"))
    return Reference(image_id, original, small, f"Reference of {name}")


def _rubric(card: SubsetCard, subset: str) -> str:
    """What the rubric says to a person: its criterion, the product, and its bands by name."""
    try:
        rubric = find_rubric("auto", card)
    except MadError as error:
        return str(error)
    bands = [f"{band.name}: {band.meaning}" if band.meaning else band.name for band in rubric.bands]
    parts = [rubric.criterion, card.product, rubric.context_of(subset), rubric.text, *bands]
    return "\n".join(part.strip() for part in parts if part.strip())


# -- what the reviewer did --------------------------------------------------------------------------


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


def _do(audit: Audit, line: Line, act: Act) -> None:
    if act.act == "at":
        look(line, act.image)
    elif act.act in ("undo", "redo"):
        _back(audit, line, act)
    elif act.act == "anchor":
        _anchor(audit, act)
    elif act.act in ("level", "unsure", "ungradable", "comment", "region"):
        write(audit, act, scores_visible=_in_view(audit, line, act.image))
        look(line, act.image)


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


def _in_view(audit: Audit, line: Line, image_id: str) -> bool:
    """Whether the reviewer could know the label when rating."""
    return not audit.blind or line.order == "level" or image_id in committed_images(audit)


def look(line: Line, image_id: str, key: str = QUEUE) -> None:
    """Remember which image is in view; the browser is there already."""
    place, kept = line.place_of(image_id), st.session_state.get(key)
    if place is not None and kept and kept["line"].key == line.key:
        kept["at"] = replace(kept["at"], place=place)


def _back(audit: Audit, line: Line, act: Act) -> None:
    """Undo or redo, and show the image that it was about."""
    about = take_back(audit, act, line)
    place, kept = line.place_of(about.image_id) if about else None, st.session_state.get(QUEUE)
    if place is not None and kept:
        serial = st.session_state["audit_serial"] + 1
        st.session_state["audit_serial"] = serial
        kept["at"] = Place(serial, place)


def take_back(audit: Audit, act: Act, line: Line | None = None) -> Event | None:
    """Undo or redo, say so, and return the event that this was about; None where there is none.

    With a queue it is said where the image is in none of its places.
    """
    move = records().undo if act.act == "undo" else records().redo
    event = move(audit.info.id, audit.reviewer.name, act.event)
    known = {e.id: e for e in records().events(audit.info.id)}
    while event is not None and event.kind == "undo" and event.undoes in known:
        event = known[event.undoes]
    if event is None:
        say(f"There is nothing to {act.act}.")
        return None
    elsewhere = " on an image outside this queue" if line and line.place_of(event.image_id) is None else ""
    say(f"{'Taken back' if act.act == 'undo' else 'Done again'}: {in_words(audit, event)}{elsewhere}.")
    return event


def in_words(audit: Audit, event: Event) -> str:
    """An event in a few words."""
    if event.kind == "level" and event.after is not None:
        return audit.level(event.image_id, event.after)
    if event.kind == "anchor":
        return "a reference"
    words = {"unsure": "unsure", "ungradable": "not gradable", "compare": "a comparison", "adjudicate": "a decision"}
    return words.get(event.kind, f"a {event.kind}")


def _anchor(audit: Audit, act: Act) -> None:
    """Make an image a reference of a level, or take that back."""
    anchors = records().anchors(audit.info.id)
    held = anchors.loc[anchors["image_id"] == act.image, "level"].tolist()
    again = act.after in held
    write(audit, replace(act, after=None) if again else act, scores_visible=not audit.blind)
    words = audit.level(act.image, act.after or 0.0)
    say(f"No longer a reference of {words}." if again else f"Now a reference of {words}.")
