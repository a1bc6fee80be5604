"""The Adjudicate section of the Audit page: images on which reviewers disagree, decided by adjudicators."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.consensus import disagreements
from pages.audit.acts import NOTE, take_back, taking, write
from pages.audit.context import ROLES, Audit, records
from pages.audit.ladder import ladders
from pages.audit.review import item_of
from pages.audit.review_component import Act, Mine, Reveal, ReviewImage, ReviewPosition, ReviewWindow, review
from pages.audit.review_queue import ReviewQueue, look
from pages.ui import session, urls
from pages.ui.text import level_text, plain

DECISIONS = "audit_decisions"
BEHIND, AHEAD = 4, 10


def adjudicate_section(audit: Audit) -> None:
    """The queue of disagreements, and who has which role."""
    contested = disagreements(records().ratings(audit.info.id))
    if audit.reviewer.role != "adjudicator":
        st.info(
            f"{len(contested):,} images are rated differently by different reviewers. An adjudicator decides on them; "
            f"your role is {audit.reviewer.role}.",
            icon=":material/info:",
        )
    elif contested.empty:
        st.info(
            "No image is rated differently by two reviewers, so there is nothing to decide.", icon=":material/info:"
        )
    else:
        st.caption("Images on which reviewers disagree, the widest disagreement first. What you decide stands.")
        queue = _queue(audit, contested["image_id"].tolist())
        st.fragment(_decide)(audit, queue)
    _reviewers(audit)


def _queue(audit: Audit, contested: Sequence[str]) -> ReviewQueue:
    """The queue; images that come to be contested later join at its end, so that nothing moves meanwhile."""
    kept = st.session_state.get(DECISIONS)
    if kept and kept["dataset"] == audit.info.id:
        ids = (*kept["queue"].ids, *(i for i in contested if i not in set(kept["queue"].ids)))
    else:
        ids, kept = tuple(contested), None
    key = hashlib.blake2b("\0".join((audit.info.id, *ids)).encode(), digest_size=6).hexdigest()
    if kept is None or kept["queue"].ids != ids:
        decided = _decided(audit)
        first = next((i for i, image_id in enumerate(ids) if image_id not in decided), 0)
        st.session_state[DECISIONS] = {
            "dataset": audit.info.id,
            "queue": ReviewQueue(key, "", ids),
            "at": ReviewPosition(0, first),
        }
    return st.session_state[DECISIONS]["queue"]


def _decided(audit: Audit) -> dict[str, Mine]:
    rows: Any = records().adjudications(audit.info.id)
    return {row.image_id: Mine("level", float(row.level), row.reason) for row in rows.itertuples()}


def _decide(audit: Audit, queue: ReviewQueue) -> None:
    at: ReviewPosition = st.session_state[DECISIONS]["at"]
    start = max(at.place - BEHIND, 0)
    decided, ratings = _decided(audit), records().ratings(audit.info.id)
    items = tuple(_item(audit, i, decided, ratings) for i in queue.ids[start : at.place + AHEAD + 1])
    review(
        ReviewWindow(queue.key, len(queue.ids), start, items, at, ladders(audit, {item.subset for item in items})),
        done=sum(image_id in decided for image_id in queue.ids),
        total=len(queue.ids),
        pace="",
        show_after=False,
        decides=True,
        note=st.session_state.get(NOTE),
        whose=audit.whose,
        key="audit_decide",
        on_act=taking(lambda act: _do(audit, queue, act)),
    )


def _item(audit: Audit, image_id: str, decided: Mapping[str, Mine], ratings: pd.DataFrame) -> ReviewImage:
    item, row = item_of(audit, image_id), audit.image(image_id) or {}
    given: Any = ratings[ratings["image_id"] == image_id]
    lines = tuple((rating.reviewer, _said(audit, rating)) for rating in given.itertuples())
    label = level_text(row["level"], audit.info.card.subset(row["subset"]))
    revealed = image_id in decided or not audit.blind
    shown = Reveal(
        why=f"Label before the audit: {label}."
        if revealed
        else "The label before the audit is shown once you decided.",
        lines=lines,
        path=f"{row['subset']}/{row['template_path']}" if revealed else "",
        href=urls.image_page(audit.info.id, row["subset"], image_id) if revealed else "",
    )
    return replace(item, mine=decided.get(image_id), reveal=shown)


def _said(audit: Audit, rating: Any) -> str:
    """One reviewer's rating and comment."""
    if pd.notna(rating.level):
        words = audit.level(rating.image_id, rating.level)
    elif pd.notna(rating.probably):
        words = f"probably {audit.level(rating.image_id, rating.probably)}, but unsure"
    else:
        words = "unsure" if rating.state == "unsure" else "not gradable"
    return f"{words}: {rating.reason}" if rating.reason else words


def _do(audit: Audit, queue: ReviewQueue, act: Act) -> None:
    if act.act == "level":
        write(audit, replace(act, act="adjudicate"), scores_visible=True)
    elif act.act in ("comment", "region"):
        write(audit, act, scores_visible=True)
    elif act.act in ("undo", "redo"):
        about = take_back(audit, act)
        place, kept = queue.place_of(about.image_id) if about else None, st.session_state[DECISIONS]
        if place is not None:
            kept["at"] = ReviewPosition(kept["at"].number + 1, place)
    elif act.act == "at":
        look(queue, act.image, DECISIONS)


# -- roles ----------------------------------------------------------------------------------------


def _reviewers(audit: Audit) -> None:
    everybody = records().reviewers()
    rows = [(one.name, one.role, "login" if one.login else "name only") for one in everybody]
    st.header("Reviewers", anchor=False)
    st.dataframe(
        pd.DataFrame(rows, columns=["Reviewer", "Role", "Known by"]),
        hide_index=True,
        width=560,
        alt="Reviewers with their roles",
    )
    if audit.reviewer.role != "adjudicator":
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Give", [one.name for one in everybody], width=220, key="audit_give")
        role = st.selectbox(
            "the role", list(ROLES), width=180, key="audit_role", format_func=str, help=_roles_in_words()
        )
        if st.button("Give role") and session.attempt(lambda: records().set_role(name, role, audit.reviewer.name)):
            st.rerun()


def _roles_in_words() -> str:
    return "\n".join(f"- {role}: {plain(words)}" for role, words in ROLES.items())
