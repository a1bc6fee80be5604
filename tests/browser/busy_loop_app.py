"""Presses whose runs have ended before a busy event loop has sent what they drew.

``Press`` is beside a clock that renews itself; ``Press slowly`` takes one and a half seconds, and when it is pressed
again while it runs, five. With ``STREAMLIT_PATCHED=1`` messages of ended runs are sent, as in the app.
"""

import os
import time
from typing import Any

import streamlit as st
from streamlit import runtime


@st.fragment(run_every=0.2)
def clock() -> None:
    st.caption(f"{time.time():.1f}")


@st.fragment
def slow() -> None:
    st.button("Press slowly", on_click=count_slowly)
    st.markdown(f"Slowly pressed {st.session_state.get('slow', 0)} times")


def count_slowly() -> None:
    st.session_state["slow"] = st.session_state.get("slow", 0) + 1
    time.sleep(1.5 if st.session_state["slow"] == 1 else 5)


if runtime.exists():
    if st.query_params.get("slow"):
        slow()
        st.stop()
    clock()
    pressed = st.button("Press")
    time.sleep(0.5)
    st.session_state["presses"] = st.session_state.get("presses", 0) + pressed
    st.markdown(f"Pressed {st.session_state['presses']} times")
else:
    from streamlit.runtime.app_session import AppSession

    from pages.ui import streamlit_patched

    if os.environ.get("STREAMLIT_PATCHED"):
        streamlit_patched.install()
    request_rerun, enqueue = AppSession.request_rerun, AppSession._enqueue_forward_msg

    def busy(self: Any, request: Any) -> None:
        runner = self._scriptrunner
        of_the_clock = request is not None and request.fragment_id and "slow" not in request.query_string
        if of_the_clock and runner is not None and runner._script_thread is not None:
            runner._script_thread.join(5)
        request_rerun(self, request)

    def held(self: Any, message: Any) -> None:
        if "Slowly pressed 1" in str(message):
            time.sleep(0.5)  # the next run begins meanwhile
        enqueue(self, message)

    AppSession.request_rerun = busy
    AppSession._enqueue_forward_msg = held
    app = st.App(__file__)
