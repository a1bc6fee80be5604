"""Audit: experts rate images, compare them, agree on labels, and see what the corrections change."""

import streamlit as st

from pages.audit.adjudicate import adjudicate_section
from pages.audit.agreement import agreement_section
from pages.audit.consequence import consequence_section
from pages.audit.context import Audit, reviewer, who
from pages.audit.exchange import exchange_section
from pages.audit.learning import learning_section
from pages.audit.pairs import pairs_section
from pages.audit.review import review_section
from pages.ui import engine, session
from pages.ui.header import header, without_dataset

SECTIONS = {
    "Review": review_section,
    "Learn": learning_section,
    "Pairs": pairs_section,
    "Agreement": agreement_section,
    "Adjudicate": adjudicate_section,
    "Consequence": consequence_section,
    "Export and import": exchange_section,
}


STEADY = "<style>.st-key-audit_review, .st-key-audit_decide, .st-key-audit_pairs { opacity: 1 !important; }</style>"
"""Pictures under judgement do not fade while what was done is being written."""


def page() -> None:
    info = header("Audit")
    if info is None:
        without_dataset()
        return
    rater = reviewer()
    if rater is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chosen = st.segmented_control(
            "Part of the audit",
            list(SECTIONS),
            label_visibility="collapsed",
            required=True,
            **session.bound("part", list(SECTIONS), "Review"),
        )
        st.space("stretch")
        who(rater)
    st.html(STEADY)
    SECTIONS[chosen or "Review"](Audit(info, engine.store().dataset(info.id), rater))


page()
