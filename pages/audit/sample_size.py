"""How many random reviews tell the rate of wrong labels, and what those that are done tell."""

from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.queue import error_rate, ordered, reviews_needed
from mad_core.labelled import labelled
from pages.audit.context import Audit
from pages.audit.review_queue import standing_ratings


def sample_size(audit: Audit, rows: pd.DataFrame) -> None:
    """How many random reviews tell the rate of wrong labels, and what those that are done tell."""
    rows = labelled(rows)
    if rows.empty:
        st.caption("No image has a label yet, so none can be wrong: once some are labelled, their rate is told here.")
        return
    st.markdown("How many images in random order tell the rate of wrong labels?")
    rate = st.slider("Expected rate of wrong labels, %", 1, 50, 5, key="audit_rate")
    width = st.slider("Wanted to within ±, %", 1, 15, 3, key="audit_width")
    needed = reviews_needed(rate / 100, width / 100, len(rows))
    st.markdown(f"**{needed:,} of {len(rows):,} images**, with 95 % confidence.")
    st.caption("Only the queue in random order counts, as far as no image of it was passed over.")
    sentence = _rate_so_far(audit, rows)
    if sentence:
        st.markdown(sentence)


def _rate_so_far(audit: Audit, rows: pd.DataFrame) -> str:
    """The rate among the first images of the random order that the reviewer has rated; empty where there are none."""
    mine, wrong, reviews = standing_ratings(audit), 0, 0
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
    estimate = error_rate(wrong, reviews, len(rows))
    return (
        f"Of the first {reviews:,} that you rated in random order, {wrong:,} labels differ from your level: "
        f"**{100 * estimate.rate:.1f} %** [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]."
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _at_random(_rows: pd.DataFrame, *key: Any) -> list[str]:
    return ordered(_rows, "random")
