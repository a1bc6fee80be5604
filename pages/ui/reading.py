"""How to read a plot or table, folded away beside it."""

import streamlit as st

from mad_core.studies.export import slug
from pages.ui.text import plain


def how_to_read(text: str, of: str = "", key: str = "") -> None:
    """The text of a plot or table; ``of`` says which one, ``key`` tells apart those that a page has several of."""
    label = f"How to read this: {of}" if of else "How to read this"
    with st.popover(label, type="tertiary", icon=":material/menu_book:", key=f"read_{key or slug(of)}"):
        st.markdown(plain(text))
