"""The Review section of the Audit page: a queue of images, one at a time, blind until the reviewer commits."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from mad_core.audit.queue import ORDERS
from pages.audit.acts import NOTE, say, take_back, taking, write
from pages.audit.context import Audit, records
from pages.audit.ladder import ladders, levels_of
from pages.audit.review_component import Act, Mine, Reveal, ReviewImage, ReviewPosition, ReviewWindow, review
from pages.audit.review_queue import (
    QUEUE,
    ReviewQueue,
    committed_images,
    forget_queue,
    look,
    queue_in_view,
    ranks,
    standing_ratings,
)
from pages.audit.sample_size import sample_size
from pages.ui import charts, session, urls
from pages.ui.reading import how_to_read
from pages.ui.text import level_text
from pages.ui.widgets import pick, pick_subset_or_all

AFTER = {"show": "show what was hidden", "on": "go straight on"}
AFTER_HELP = "Seeing the label after each image teaches you its habits; for ratings that owe nothing to it, go on."
BEHIND, AHEAD = 4, 24
"""Images of the queue that the browser holds before and after the one in view."""
ORDER_WORDS = {
    "suspicion": "Most suspicious first",
    "random": "Random",
    "level": "By level",
    "disagreement": "Scorers disagree most",
    "unreviewed": "Unreviewed first",
    "learning": "Most useful to learn from",
    "worst": "Highest scores first",
    "sent": "Sent from Images first",
}
READ_SUSPICION = (
    "Suspicion runs from 0, nothing speaks against the label, to 1. It is the weighted mean of what is known: how "
    "likely the scores make another level, how far the scorers agree on that, how far off it is, copies and "
    "look-alikes with another label, and reviewers who gave another one. It says where to look first, not that a "
    "label is wrong."
)
ORDER_HELP = (
    "Most suspicious first finds wrong labels fastest. A random order gives an unbiased rate of wrong labels. By level "
    "gives the label away, so ratings in it are recorded as made with labels in view. Most useful to learn from begins "
    "with the images whose grades teach the learner of severity most; before any grades, with images spread over the "
    "scores."
)


def review_section(audit: Audit) -> None:
    """Choose a queue, then review it."""
    tests: Any = audit.dataset.select(split="test")
    if tests.empty:
        st.info("This dataset has no test images whose labels could be audited.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subset = pick_subset_or_all(sorted(tests["subset"].unique().tolist()), width=200)
        order = pick("Order", "queue", ORDERS, ORDER_WORDS, help=ORDER_HELP, width=240)
        after = pick("After a commit", "after", list(AFTER), AFTER, help=AFTER_HELP, width=240)
        with st.popover("Sample size", icon=":material/calculate:"):
            sample_size(audit, tests if subset is None else tests[tests["subset"] == subset])
        with st.popover("Settings", icon=":material/tune:"):
            _settings(audit)
        how_to_read(READ_SUSPICION, "suspicion")
    if order == "level" and audit.blind:
        st.caption("This order gives labels away, so ratings are recorded as made with labels in view.")
    queue = queue_in_view(audit, order, subset)
    if not queue.ids:
        st.info("Nothing is waiting in this queue.", icon=":material/check:")
        return
    st.fragment(_review)(audit, queue, after)


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
    st.button("Draw up the queue again", on_click=forget_queue, help="With the scores and ratings there are by now.")


def _review(audit: Audit, queue: ReviewQueue, after: str) -> None:
    kept = st.session_state[QUEUE]
    at: ReviewPosition = kept["at"]
    start = max(at.place - BEHIND, 0)
    window = queue.ids[start : at.place + AHEAD + 1]
    mine, committed = standing_ratings(audit), committed_images(audit)
    items = tuple(_item(audit, queue, image_id, mine, committed) for image_id in window)
    progress = records().progress(audit.info.id, audit.reviewer.name)
    done = sum(queue.place_of(image_id) is not None for image_id in mine)
    review(
        ReviewWindow(queue.key, len(queue.ids), start, items, at, ladders(audit, {item.subset for item in items})),
        done=done,
        total=len(queue.ids),
        pace=f"{progress.per_minute:.0f} a minute" if progress.per_minute else "",
        show_after=after == "show",
        note=st.session_state.get(NOTE),
        whose=audit.whose,
        key="audit_review",
        on_act=taking(lambda act: _do(audit, queue, act)),
    )


def item_of(audit: Audit, image_id: str) -> ReviewImage:
    """An image as the browser gets it before a commit: addresses of ids, and its size."""
    row = audit.image(image_id) or {}
    original, small = audit.picture(image_id, "original"), audit.picture(image_id, "preview")
    return ReviewImage(image_id, original, small, int(row["width"]), int(row["height"]), row["subset"])


def _item(
    audit: Audit, queue: ReviewQueue, image_id: str, mine: Mapping[str, Mine], committed: set[str]
) -> ReviewImage:
    shown = not audit.blind or image_id in committed
    return replace(
        item_of(audit, image_id),
        mine=mine.get(image_id),
        reveal=_reveal(audit, queue, image_id) if shown else None,
    )


def _reveal(audit: Audit, queue: ReviewQueue, image_id: str) -> Reveal:
    row = audit.image(image_id) or {}
    why = queue.why(image_id)
    return Reveal(
        level_text(row["level"], audit.info.card.subset(row["subset"])),
        *charts.level_tones(row["level"], levels_of(audit, row["subset"])),
        why.reason,
        (*ranks(audit, image_id), *why.parts),
        f"{row['subset']}/{row['template_path']}",
        urls.image_page(audit.info.id, row["subset"], image_id),
    )


def _do(audit: Audit, queue: ReviewQueue, act: Act) -> None:
    if act.act == "at":
        look(queue, act.image)
    elif act.act in ("undo", "redo"):
        _back(audit, queue, act)
    elif act.act == "anchor":
        _anchor(audit, act)
    elif act.act in ("level", "unsure", "ungradable", "comment", "region"):
        write(audit, act, scores_visible=_in_view(audit, queue, act.image))
        look(queue, act.image)


def _in_view(audit: Audit, queue: ReviewQueue, image_id: str) -> bool:
    """Whether the reviewer could know the label when rating."""
    return not audit.blind or queue.order == "level" or image_id in committed_images(audit)


def _back(audit: Audit, queue: ReviewQueue, act: Act) -> None:
    """Undo or redo, and show the image that it was about."""
    about = take_back(audit, act, queue)
    place, kept = queue.place_of(about.image_id) if about else None, st.session_state.get(QUEUE)
    if place is not None and kept:
        serial = st.session_state["audit_serial"] + 1
        st.session_state["audit_serial"] = serial
        kept["at"] = ReviewPosition(serial, place)


def _anchor(audit: Audit, act: Act) -> None:
    """Make an image a reference of a level, or take that back."""
    anchors = records().anchors(audit.info.id)
    held = anchors.loc[anchors["image_id"] == act.image, "level"].tolist()
    again = act.after in held
    write(audit, replace(act, after=None) if again else act, scores_visible=not audit.blind)
    words = audit.level(act.image, act.after or 0.0)
    say(f"No longer a reference of {words}." if again else f"Now a reference of {words}.")
