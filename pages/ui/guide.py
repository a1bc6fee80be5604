"""The ways into the guided tours; a tour itself is loaded when somebody takes it."""

import streamlit as st

from mad_core.datasets import solar_cells
from pages.ui import session
from pages.ui.stage import Words


def bar(page: str) -> bool:
    """Draw the step in view on top of the page of this title; nothing without a tour.

    Gives whether the step stands on the stage in place of the page.
    """
    if not session.get("guide"):
        return False
    from pages.ui import guide_bar

    return guide_bar.draw(page)


def words() -> Words | None:
    """What the step in view says on the stage; None without a tour."""
    if not session.get("guide"):
        return None
    from pages.ui import guide_bar

    return guide_bar.words()


def start_button(source: str = "demo") -> None:
    """A button that begins the tour of datasets from this source, else that of the demo; nothing while one is on."""
    if session.get("guide"):
        return
    cells = source == solar_cells.SOURCE
    title = "Guided tour of photographs" if cells else "Guided tour of the demo"
    st.button(title, icon=":material/slideshow:", on_click=_start, args=("cells" if cells else "",), key="guide_start")


def _start(route_id: str) -> None:
    from pages.ui import guide_bar

    guide_bar.go(guide_bar.ROUTES[route_id], 1)
