"""What the sections of the Audit page share: who reviews, the dataset in view, and its images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from mad_core.audit.labels import AuditStore, Reviewer
from mad_core.datasets.dataset import Dataset
from mad_core.runs.store import DatasetInfo
from pages.audit.review_component import remembered_name
from pages.ui import access, engine, session, urls
from pages.ui.text import level_text, plain

NAME = "audit_reviewer"
FORGET = "audit_forget"
NO_PROTECTION = "It is no protection: without a login anybody who can open this page can write under any name."
ROLES = {
    "viewer": "looks, writes nothing",
    "reviewer": "rates and compares images",
    "adjudicator": "also decides where reviewers disagree, and gives roles",
}


@dataclass(frozen=True)
class Audit:
    """One dataset under audit, and who is at it."""

    info: DatasetInfo
    dataset: Dataset
    reviewer: Reviewer

    @property
    def blind(self) -> bool:
        """Whether label, scores, maps and file name are hidden until the reviewer commits."""
        return not self.info.card.audit_open

    @property
    def whose(self) -> str:
        """Dataset and reviewer: what one of them does is not mixed with another's in the browser."""
        return f"{self.info.id} {self.reviewer.name}"

    def image(self, image_id: str) -> Mapping[str, Any] | None:
        """The row of an image, None where the dataset has none of that id."""
        place = _places(self.dataset, f"{self.dataset.source}\0{self.dataset.version}").get(image_id)
        return None if place is None else self.dataset.table.iloc[place].to_dict()

    def picture(self, image_id: str, kind: str) -> str:
        """Address of an image of the dataset as ``original``, ``preview`` or ``thumbnail``."""
        return urls.picture(self.info.id, image_id, kind, (self.image(image_id) or {})["content_hash"])

    def level(self, image_id: str, level: float) -> str:
        """A level in the words of the image's subset."""
        row = self.image(image_id)
        return level_text(level, self.info.card.subset(row["subset"] if row else ""))


def records() -> AuditStore:
    """The record of audits, over the store of this process."""
    return AuditStore(engine.store())


@st.cache_resource(max_entries=8, show_spinner=False)
def _places(_dataset: Dataset, version: str) -> dict[str, int]:
    """Where each image stands in the dataset's table."""
    return {image_id: place for place, image_id in enumerate(_dataset.table["image_id"].tolist())}


# -- who reviews --------------------------------------------------------------------------------


def reviewer() -> Reviewer | None:
    """Who reviews in this browser session; None while nobody does, then it asks."""
    if access.login_configured():
        return _by_login()
    name = st.session_state.get(NAME)
    forget = st.session_state.pop(FORGET, False)
    remembered_name(name or ("" if forget else None), key="audit_name", on_name=_begin)
    rater = session.attempt(lambda: records().reviewer(name)) if name else None
    if rater is None:
        _ask()
    return rater


def _by_login() -> Reviewer | None:
    if not st.user.get("is_logged_in", False):
        st.info("Labels are audited under a login on this server.", icon=":material/lock:")
        st.button("Log in", type="primary", on_click=st.login)
        return None
    person = access.person()
    if person is None:
        st.error("The login's provider does not say who this is, so nothing can be rated.", icon=":material/block:")
        rater = None
    else:
        name = person.name or "Somebody without a name"
        rater = session.attempt(
            lambda: records().reviewer(name, person.login, address=person.address, former=person.former)
        )
    if rater is None:
        st.button("Log out", on_click=st.logout)
    return rater


def who(rater: Reviewer) -> None:
    """Say who reviews, and let somebody else take over."""
    words = f"**{plain(rater.name)}** :gray[{rater.role}]"
    st.markdown(words, width="content", help=plain(ROLES.get(rater.role, "")) or None)
    if access.login_configured():
        st.button("Log out", type="tertiary", on_click=st.logout)
    else:
        st.button("Somebody else", type="tertiary", on_click=_end, help=NO_PROTECTION)


def _ask() -> None:
    with st.form("audit_begin", border=True, width=560):
        name = st.text_input("Your name", max_chars=120, placeholder="as it is to stand beside your ratings")
        begun = st.form_submit_button("Begin", type="primary")
        st.caption(f"The name says who rated what; it is kept in this browser. {NO_PROTECTION}")
    if begun:
        if not name.strip():
            st.error("Write a name first.", icon=":material/error:")
            return
        _begin(name.strip())
        st.rerun()


def _begin(name: str) -> None:
    st.session_state[NAME] = name


def _end() -> None:
    st.session_state.pop(NAME, None)
    st.session_state[FORGET] = True


# -- what is in view ----------------------------------------------------------------------------
