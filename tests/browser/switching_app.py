"""Two pages, each with a clock that renews itself, and a press that leads from the first to the second.

With ``STREAMLIT_PATCHED=1`` what the first asked for is dropped once it was left, as in the app.
"""

import os
import time

import streamlit as st
from streamlit import runtime


@st.fragment(run_every=1.0)
def clock() -> None:
    st.caption(f"{time.time():.1f}")


def first() -> None:
    clock()
    if st.button("Go on"):
        st.switch_page(second_page)


def second() -> None:
    st.title("Second")
    with st.container():
        clock()
    time.sleep(0.2)
    st.caption("All of it")


second_page = st.Page(second, title="Second", url_path="second")

if runtime.exists():
    first_page = st.Page(first, title="First", url_path="first", default=True)
    st.navigation([first_page, second_page], position="top").run()
else:
    if os.environ.get("STREAMLIT_PATCHED"):
        from pages.ui import streamlit_patched

        streamlit_patched.install()
    app = st.App(__file__)
