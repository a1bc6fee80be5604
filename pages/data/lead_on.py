"""After an import: one button that leads on, to the first scores."""

import streamlit as st

from mad_core.runs.estimating import finished, pace_of
from mad_core.runs.first_start import queue_default
from mad_core.runs.store import DatasetInfo
from mad_core.scorers import catalog
from pages.ui import engine, session
from pages.ui.text import duration, plain


def lead_on(info: DatasetInfo) -> None:
    """A button that scores a dataset which nothing has scored yet, and goes to where that is seen."""
    store, scorer = engine.store(), catalog.scorer(catalog.DEFAULT)
    if session.runs_in_view(info) or scorer.why_not(scorer.defaults()):
        return
    pace = pace_of(store, finished(store).get(scorer.id, []), scorer.defaults())
    time = f" About {duration(pace.seconds(store.dataset(info.id)))}." if pace else ""
    words = f"{scorer.title} on all test images; it needs no settings. Others are on Score.{time}"
    if st.button("Score it now", type="primary", icon=":material/play_arrow:", help=plain(words)):
        run = session.attempt(lambda: queue_default(store, info.id, scorer.id))
        if run is not None:
            session.put(view=None, watched=run)
            session.open_page("pages/score/page.py")
