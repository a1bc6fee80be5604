"""The ways into the guided tour of the demo; the tour itself is loaded when somebody takes it."""

import streamlit as st

from pages.ui import session


def bar(page: str) -> None:
    """Draw the step in view on top of the page of this title; nothing without a tour."""
    if session.get("guide"):
        from pages.ui import guide_bar

        guide_bar.draw(page)


def start_button() -> None:
    """A button that begins the tour; nothing while it is on."""
    if not session.get("guide"):
        st.button("Guided tour of the demo", icon=":material/slideshow:", on_click=_start, key="guide_start")


def _start() -> None:
    from pages.ui import guide_bar

    guide_bar.go(1)
