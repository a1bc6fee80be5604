"""The Learn section of the Audit page: severity learned from the ratings, how far it got, what to grade next."""

from collections import Counter
from collections.abc import Mapping

import streamlit as st

from mad_core.audit.grades import FEWEST, FEWEST_LEVELS, learn_from_ratings, learnable_subsets, learned_runs
from mad_core.audit.grades import rated_levels as rated
from mad_core.runs.comparing import distinct_names
from mad_core.runs.parts import kind_of
from mad_core.runs.store import Run
from pages.audit.context import Audit
from pages.audit.review_queue import forget_queue
from pages.ui import engine, session
from pages.ui.learning import is_learned, learning_curve
from pages.ui.text import plain
from pages.ui.widgets import pick, pick_subset

LIVE_SECONDS = 2.0
NEXT = 5


def learning_section(audit: Audit) -> None:
    """Grades there are, a button to learn from them, and what the newest learner reached."""
    levels = rated(engine.store(), audit.info.id)
    st.markdown(plain(_grades_in_words(audit, levels)))
    runs = [run for run in session.runs_in_view(audit.info) if kind_of(run.scorer) == "detector"]
    detectors = {run.id: run for run in runs if run.status == "done"}
    if not detectors:
        at_work = any(run.active for run in runs)
        words = "The detector is still at work" if at_work else "No detector has scored these images yet"
        st.info(f"{words}; learning starts from its scores.", icon=":material/info:")
        st.page_link("pages/score/page.py", label="Choose scorers", icon=":material/play_arrow:")
        return
    _ask(audit, levels, detectors)
    learned = learned_runs(engine.store(), audit.info.id)
    if learned and learned[0].active:
        st.fragment(_at_work, run_every=LIVE_SECONDS)(learned[0].id)
    elif learned:
        _newest(audit, learned[0], len(levels))


def _grades_in_words(audit: Audit, levels: Mapping[str, float]) -> str:
    """``25 of 400 images are graded: 10 L0, 9 L1, 6 L2.``"""
    tests, aside = audit.dataset.count("test"), _aside(audit)
    counts = Counter(levels.values())
    each = ", ".join(f"{counts[level]} L{level:g}" for level in sorted(counts))
    before = f" {aside:,} more are set aside with their levels." if aside else ""
    return f"{len(levels):,} of {tests:,} images are graded{f': {each}' if each else ''}.{before}"


def _aside(audit: Audit) -> int:
    """Images that are set aside with their levels, so that they are learned from and not tested."""
    return audit.dataset.count("calibration")


def _ask(audit: Audit, levels: dict[str, float], detectors: Mapping[str, Run]) -> None:
    """The button that learns, beside the detector that it starts from."""
    enough = bool(learnable_subsets(engine.store(), audit.info.id, levels))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = distinct_names(list(detectors.values()))
        newest = max(detectors, key=lambda name: detectors[name].finished or 0.0)
        base = newest
        if len(detectors) > 1:
            base = pick("Starting from the detector", "from", list(detectors), names, newest, width=320)
        aside = _aside(audit)
        pressed = st.button(
            f"Learn from {len(levels) + aside} grades", type="primary", icon=":material/school:", disabled=not enough
        )
        if st.button(f"Grade the next {NEXT}", icon=":material/grading:", key="grade_next"):
            forget_queue()
            session.put(part=None, queue="learning")
            st.rerun()
    if not enough and not aside:
        st.caption(f"Severity can be learned from {FEWEST} grades of {FEWEST_LEVELS} levels; five a level serve well.")
    if pressed and session.attempt(lambda: learn_from_ratings(engine.store(), audit.info.id, base)):
        st.rerun()


def _at_work(run_id: str) -> None:
    run = engine.store().run(run_id)
    if not run.active:
        st.rerun()
    st.markdown(plain(f"Learning: {run.done:,} of {run.total:,} images have a place in the new order."))


def _newest(audit: Audit, run: Run, graded: int) -> None:
    """The newest learner: what it failed at, or its curve and where its order can be seen."""
    if not is_learned(run):
        st.error(plain(f"Learning is {run.status}. {run.error or ''}"), icon=":material/error:")
        return
    used = sum(sum(entry.facts.get("grades", {}).values()) for entry in engine.store().run_subsets(run.id))
    graded += 0 if run.dataset_id != audit.info.id else used
    new = f"; {graded - used} came since" if graded > used else ""
    st.markdown(f"**{plain(run.title)}** has learned from {used} grades{new}.")
    with st.container(horizontal=True):
        if st.button("Images in the learned order", icon=":material/sort:"):
            session.replace(dataset=run.dataset_id, subset=run.subsets[0], run=run.id, sort="worst first")
            st.switch_page("pages/images/page.py")
        if st.button("Beside the detector on Compare", icon=":material/compare_arrows:"):
            session.replace(dataset=run.dataset_id)
            st.switch_page("pages/compare/page.py")
    learning_curve(run, pick_subset("learned", run.subsets, width=240))
