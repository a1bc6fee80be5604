"""A callback runs to its end, though the person presses on.

Streamlit stops the run of a press when the next one comes. If the callback of the first has not begun it is forgotten;
if it has, it is left wherever it next uses the session's state, so what it was to write is half written. Here a request
waits until the callbacks before it are done; what a page draws after them is still stopped at once.
"""

from __future__ import annotations

import threading
from typing import Any

from streamlit import config
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

_here = threading.local()
"""The runner of this thread."""


def install() -> None:
    """Let callbacks finish from now on, in this process; once is enough."""
    request, run = AppSession.request_rerun, ScriptRunner._run_script
    look, begin = ScriptRunner._maybe_handle_execution_control_request, ScriptRunContext.on_script_start
    if getattr(request, "lets_callbacks_finish", False):
        return
    config.set_option("runner.fastReruns", False)  # it stops callbacks too; `requesting` stops the rest

    def requesting(self: Any, client_state: Any) -> None:
        runner = self._scriptrunner
        of_a_fragment = client_state is not None and client_state.fragment_id
        if runner is not None and not of_a_fragment and _draws(runner):
            runner.request_stop()
            self._scriptrunner = None
        request(self, client_state)

    def running(self: Any, rerun_data: Any) -> None:
        _here.runner, self.draws = self, False
        try:
            run(self, rerun_data)
        finally:
            self.draws = False

    def beginning(self: Any) -> None:
        begin(self)
        _here.runner.draws = True

    def looking(self: Any) -> None:
        runner = getattr(_here, "runner", None)
        if runner is None or runner.draws:
            look(self)

    requesting.lets_callbacks_finish = True  # pyright: ignore[reportFunctionMemberAccess]
    AppSession.request_rerun = requesting
    ScriptRunner._run_script = running
    ScriptRunner._maybe_handle_execution_control_request = looking
    ScriptRunContext.on_script_start = beginning


def _draws(runner: Any) -> bool:
    """Whether a run is past its callbacks and nothing else waits for it."""
    return getattr(runner, "draws", False) and runner._requests._state == ScriptRequestType.CONTINUE
