"""Runs that have ended, told of on every page until they are seen, and by the browser where a person allows it."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from mad_core.runs.store import Run
from pages.ui import access, engine, session
from pages.ui.component import load
from pages.ui.text import duration, plain, shortened

LONGEST_LABEL = 44
_TOLD = "notices_told"
_JS = Path(__file__).with_name("js")
_COMPONENT = load("mad_notices", _JS / "notices.js")


def notices(title: str) -> None:
    """Draw what has ended and was not seen, on the page of this title; nothing while nothing has.

    It is looked for when a page is drawn, which pages do by themselves when a job ends.
    """
    unseen = _unseen(title)
    if not unseen and not st.session_state.get("active_jobs"):
        return
    names = {info.id: info.name for info in engine.store().datasets()}
    ends = [_end(run, names.get(run.dataset_id, "")) for run in unseen]
    ended = [{"key": _key(run), "text": end} for run, end in zip(unseen, ends, strict=True)]
    _COMPONENT(key="notices", data={"ended": ended})
    if not unseen:
        return
    _tell(unseen, ends)
    failed = any(run.status == "failed" for run in unseen)
    with st.popover(
        plain(_label(unseen)),
        icon=":material/error:" if failed else ":material/notifications:",
        type="primary",
        key="notices_list",
    ):
        for run, end in zip(unseen, ends, strict=True):
            words, leads = st.columns([5, 1], vertical_alignment="center")
            words.markdown(plain(end))
            if leads.button("Open", key=f"notice_{run.id}", help=plain(f"Open {run.title}")):
                _see([run])
                session.put(dataset=run.dataset_id, view=None, watched=run.id)
                session.open_page("pages/score/page.py")
        st.button("Seen", on_click=_see, args=(unseen,), key="notices_seen")


def _unseen(title: str) -> list[Run]:
    """The ends not seen; one that was told of and whose run stands in view on Score counts as seen."""
    unseen = engine.store().notices.of(_person())
    in_view = session.get("watched") if title == "Score" and session.get("view", "Runs") == "Runs" else ""
    looked_at = [run for run in unseen if run.id == in_view and _key(run) in st.session_state.get(_TOLD, ())]
    if looked_at:
        _see(looked_at)
    return [run for run in unseen if run not in looked_at]


def _see(runs: Sequence[Run]) -> None:
    engine.store().notices.see(_person(), [run.id for run in runs])


def _person() -> str:
    person = access.person()
    return person.login if person else ""


def _tell(unseen: Sequence[Run], ends: Sequence[str]) -> None:
    """Say once in a session what is new, several in one."""
    told = st.session_state.setdefault(_TOLD, set())
    new = [end for run, end in zip(unseen, ends, strict=True) if _key(run) not in told]
    told.update(map(_key, unseen))
    if new:
        st.toast(plain(new[0] if len(new) == 1 else _label(unseen)))


def _key(run: Run) -> str:
    """Of one end of a run; it may go on and end again."""
    return f"{run.id} {run.finished}"


def _label(unseen: Sequence[Run]) -> str:
    if len(unseen) == 1:
        (run,) = unseen
        return f"{shortened(run.title, LONGEST_LABEL)}: {run.status}"
    failed = sum(run.status == "failed" for run in unseen)
    return f"{len(unseen):,} runs have ended" + (f", {failed:,} failed" if failed else "")


def _end(run: Run, dataset: str) -> str:
    """Which run, on what, how it ended, as a sentence."""
    subject = f"{run.title} on {dataset}"
    if run.status == "failed":
        return f"{subject} failed: {run.error or 'its log says more.'}"
    took = f" in {duration(run.finished - run.started)}" if run.finished and run.started else ""
    return f"{subject} is done: {run.done:,} images{took}."
