"""The bar of a guided tour on top of each page: it says what to look at, and leads on.

The step in view is ``guide`` in the URL: its number, and before it the tour's id where it is not the demo's. A link
that names a step alone opens it as it is meant; one that names a view besides is shown as it is.
"""

import streamlit as st

from mad_core.datasets import solar_cells
from mad_core.palette import chrome
from mad_core.runs.first_start import queue_first, queue_import, ready
from mad_core.runs.parts import kind_of
from mad_core.scorers import catalog
from pages.ui import charts, engine, session
from pages.ui.guide_cells import CELLS
from pages.ui.guide_steps import DEMO
from pages.ui.guide_tour import Route, Step, Tour
from pages.ui.stage import Words, leave, stage, stage_button
from pages.ui.text import plain, unmarked

ROUTES = {route.id: route for route in (DEMO, CELLS)}
LOOK_SECONDS = 2.0
PICTURES = "Images"
"""The page that brings its picture to the stage; of others the stage shows what the step says."""
_SHOWN = "guide_shown"
_FORGOTTEN = ("audit_queue", "last_inspected")
"""What a page remembers besides the view; starting again forgets it."""
_STYLE = """
[data-testid='stLayoutWrapper']:has(> .st-key-guide) {{ position: sticky; top: 3.75rem; z-index: 20; }}
.st-key-guide {{ background: {panel}; border: 1px solid {line}; border-left: 5px solid {accent}; border-radius: 0.5rem;
  padding: 0.6rem 1rem; gap: 0.4rem; }}
.st-key-guide :is(p, a p, button p) {{ font-size: 19px; line-height: 1.4; }}
.st-key-guide a p {{ font-weight: 500; }}
.st-key-guide [data-testid='stMarkdownContainer'] {{ max-width: 72rem; }}
.st-key-guide [data-testid='stPageLink'] a {{ padding: 0.15rem 0.8rem; border-radius: 0.375rem; }}
:is(.st-key-guide_back, .st-key-guide_next, .st-key-guide_show) a {{ border: 1px solid {line}; background: {page}; }}
.st-key-guide_next a:not([disabled]) {{ border-color: {accent}; box-shadow: inset 0 0 0 1px {accent}; }}
"""


def in_view() -> tuple[Route, int] | None:
    """The tour and the step that the URL names, from 1; None without a tour."""
    name, dash, given = session.get("guide").rpartition("-")
    if name not in ROUTES or bool(name) != bool(dash) or not given.isdecimal() or len(given) > 3:
        return None
    return ROUTES[name], max(1, min(int(given), len(ROUTES[name].steps)))


def draw(page: str) -> bool:
    """Draw the step in view on the page of this title, and go to the step's own page where that was asked for.

    Gives whether the step stands on the stage in place of the page.
    """
    place = in_view()
    if place is None:
        return False
    route, number = place
    step, current, address = route.steps[number - 1], route.tour(), route.address(number)
    if not session.get("dataset") and (current is not None or st.session_state.get(_SHOWN) != address):
        go(route, number)
        if step.page != page:
            st.switch_page(_file(step))
    if st.session_state.get(_SHOWN) != address:
        st.session_state[_SHOWN] = address
        session.write()
    if number == 1:
        for name in _FORGOTTEN:
            st.session_state.pop(name, None)
    tones = chrome(charts.theme())
    st.html(f"<style>{_STYLE.format(**vars(tones))}</style>")
    with st.container(key="guide"):
        _head(route, number, current, away=step.page != page)
        if step.page != page:
            st.markdown(f"This step is on the page {step.page}.")
        else:
            st.markdown(_words(step, current))
        _state(route, number, current)
    if not session.get("stage") or page == PICTURES or step.page != page:
        return False
    stage(None, words=words(), on_leave=leave)
    return True


def words() -> Words | None:
    """What the step in view says on the stage; None without a tour."""
    place = in_view()
    if place is None:
        return None
    route, number = place
    step, count = route.steps[number - 1], len(route.steps)
    title = f"{number} of {count} · {step.title}"
    return Words(title, unmarked(_words(step, route.tour())), before=number > 1, after=number < count)


def _words(step: Step, current: Tour | None) -> str:
    return " ".join(filter(None, (step.words, step.result(current) if current else "")))


def _head(route: Route, number: int, current: Tour | None, *, away: bool) -> None:
    """The title, and the links that lead through the tour.

    They are links, since a page that is left in the midst of its run can break the one that is gone to.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{number} of {len(route.steps)} · {route.steps[number - 1].title}**", width="content")
        st.space("stretch")
        _link("Back", route, number - 1, current)
        if away:
            _link("Show this step", route, number, current)
        _link("Next", route, number + 1, current)
        _link("Start again", route, 1, current)
        stage_button("stage_guide")
        st.button("End", type="tertiary", on_click=session.put, kwargs={"guide": None}, key="guide_end")


def _link(label: str, route: Route, number: int, current: Tour | None) -> None:
    if not 1 <= number <= len(route.steps):
        return
    page, view = _file(route.steps[number - 1]), _view(route, number, current)
    with st.container(key=f"guide_{label.split()[0].lower()}", width="content"):
        st.page_link(page, label=label, query_params=view, width="content")


def _file(step: Step) -> str:
    return f"pages/{step.page.lower()}/page.py"


def _view(route: Route, number: int, current: Tour | None) -> dict[str, str | list[str]]:
    """What is in view at a step as it is meant, the step included."""
    view = {} if current is None else {"dataset": current.info.id, **route.steps[number - 1].view(current)}
    return {"guide": route.address(number), **({"stage": "yes"} if session.get("stage") else {}), **view}


def go(route: Route, number: int) -> None:
    """Put a step in view as it is meant."""
    session.replace(**_view(route, number, route.tour()))
    st.session_state[_SHOWN] = route.address(number)


# -- while the dataset or its runs are not there yet -------------------------------------------------


def _state(route: Route, number: int, current: Tour | None) -> None:
    """What the step still waits for, and the way to start what is missing."""
    if current is None:
        _no_dataset(route)
        return
    talked_of = [(kind, run) for kind, run in zip(("detector", "mllm"), (current.detector, current.model), strict=True)]
    talked_of = talked_of[: route.steps[number - 1].runs]
    lacking = [kind for kind, run in talked_of if run is None]
    missing = [one for one in ready(route.scorers) if kind_of(one) in lacking]
    if missing:
        _offer(route, number, current, missing)
    if any(run is not None and run.active for _, run in talked_of):
        st.fragment(_at_work, run_every=LOOK_SECONDS)([run.id for _, run in talked_of if run is not None])


def _no_dataset(route: Route) -> None:
    if any(job.payload.get("source") == route.source for job in engine.store().queue.active()):
        st.markdown("Its dataset is being made; it appears in a moment.")
    elif route is CELLS and solar_cells.installed() is None:
        st.info(plain(solar_cells.NEEDS), icon=":material/download:")
    elif st.button(route.make, key="guide_make") and session.attempt(lambda: _make(route)):
        st.rerun()


def _make(route: Route) -> int:
    return queue_import(engine.store(), route.source, route.scorers)


def _offer(route: Route, number: int, current: Tour, missing: list[str]) -> None:
    names = " and ".join(catalog.scorer(one).title for one in missing)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("What this step talks of has not been scored yet.", width="content")
        if st.button(f"Start {names}", key="guide_scorers") and session.attempt(lambda: _start(current, missing)):
            go(route, number)
            st.rerun()


def _start(current: Tour, missing: list[str]) -> list[str]:
    return [queue_first(engine.store(), current.info.id, scorer) for scorer in missing]


def _at_work(run_ids: list[str]) -> None:
    """How far the scorers are; the page is drawn again when all of them are done."""
    active = [run for run in map(engine.store().run, run_ids) if run.active]
    if not active:
        st.rerun()
    progress = ", ".join(f"{plain(run.title)} {run.done:,} of {run.total:,} images" for run in active)
    st.markdown(f"Still at work: {progress}. Wait, or go on; pages fill as scores come.")
