"""The ways into the guided tour of the demo; the tour itself is loaded when somebody takes it."""

import streamlit as st

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


def start_button() -> None:
    """A button that begins the tour; nothing while it is on."""
    if not session.get("guide"):
        st.button("Guided tour of the demo", icon=":material/slideshow:", on_click=_start, key="guide_start")


def _start() -> None:
    from pages.ui import guide_bar

    guide_bar.go(1)
