"""How to read a plot or table, folded away beside it."""

from __future__ import annotations

import streamlit as st

from mad_core.studies.saving import slug
from mad_core.teaching import READ, of_figure
from pages.ui.text import plain


def how_to_read(name: str, of: str = "", key: str = "") -> None:
    """The text of a plot or table; ``of`` says which one, ``key`` tells apart those that a page has several of."""
    _folded(READ[name], f"{name}_{key}" if key else name, of)


def how_to_read_figure(study: str, title: str) -> None:
    """The text of a figure of a study; nothing where it has none."""
    text = of_figure(study, title)
    if text:
        _folded(text, f"{study}-{slug(title)}", "")


def _folded(text: str, key: str, of: str) -> None:
    label = f"How to read this: {of}" if of else "How to read this"
    with st.popover(label, type="tertiary", icon=":material/menu_book:", key=f"read_{key}"):
        st.markdown(plain(text))
