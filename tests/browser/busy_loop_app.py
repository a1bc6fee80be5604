"""A press, a clock that renews itself, and an event loop that is busy until the run of the press has ended.

With ``SEND_ENDED_RUNS=1`` messages of ended runs are sent, as in the app.
"""

import os
import time
from typing import Any

import streamlit as st
from streamlit import runtime


@st.fragment(run_every=0.2)
def clock() -> None:
    st.caption(f"{time.time():.1f}")


if runtime.exists():
    clock()
    pressed = st.button("Press")
    time.sleep(0.5)
    st.session_state["presses"] = st.session_state.get("presses", 0) + pressed
    st.markdown(f"Pressed {st.session_state['presses']} times")
else:
    from streamlit.runtime.app_session import AppSession

    from pages.ui import ended_runs

    if os.environ.get("SEND_ENDED_RUNS"):
        ended_runs.install()
    request_rerun = AppSession.request_rerun

    def busy(self: Any, request: Any) -> None:
        runner = self._scriptrunner
        if request is not None and request.fragment_id and runner is not None and runner._script_thread is not None:
            runner._script_thread.join(5)
        request_rerun(self, request)

    AppSession.request_rerun = busy
    app = st.App(__file__)
