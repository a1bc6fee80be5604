"""Two buttons: the callback of "Count" takes half a second between two uses of the session's state.

With ``STREAMLIT_PATCHED=1`` callbacks run to their end, as in the app.
"""

import os
import time

import streamlit as st
from streamlit import runtime


def count() -> None:
    done = st.session_state.get("counted", 0)
    time.sleep(0.5)
    st.session_state["counted"] = done + 1


def note() -> None:
    st.session_state["noted"] = st.session_state.get("noted", 0) + 1


if runtime.exists():
    st.button("Count", on_click=count)
    st.button("Note", on_click=note)
    st.button("Look")
    st.markdown(f"Counted {st.session_state.get('counted', 0)}, noted {st.session_state.get('noted', 0)}")
else:
    if os.environ.get("STREAMLIT_PATCHED"):
        from pages.ui import streamlit_patched

        streamlit_patched.install()
    app = st.App(__file__)
