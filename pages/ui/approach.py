"""Charts far below the window are not drawn before somebody comes near: a place of the same height stands for each.

A browser takes a tenth of a second and more for each chart; a page with many would keep people waiting for what they do
not see. What is still out of sight a few seconds later is drawn then, for those who print the page.
"""

from pathlib import Path

import streamlit as st

from pages.ui.component import load

_JS = Path(__file__).with_name("js")
_COMPONENT = load("mad_approach", _JS / "approach.js")
_SEEN, _PAGE = "approached", "approached_on"
WAITS = True
"""False where there is no browser that tells what is near."""


def entered(page: str) -> None:
    """A page is drawn; where it is another one than before, all its charts wait again."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE], st.session_state[_SEEN] = page, set()


def near(name: str, height: int, order: int = 0) -> bool:
    """Whether to draw now, in a fragment; else a place is kept, whose coming near runs the fragment again.

    Parameters
    ----------
    name : str
        Of the place; another one for other contents.
    height : int
        Of what will stand there, pixels.
    order : int
        How many such places stand above it.
    """
    seen = st.session_state.setdefault(_SEEN, set())
    if not WAITS or name in seen:
        return True
    _COMPONENT(key=f"approach_{name}", data={"height": height, "order": order}, on_near_change=lambda: seen.add(name))
    return False
