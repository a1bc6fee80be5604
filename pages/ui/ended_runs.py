"""What a run drew is sent, though the next run began before it was.

A run hands its messages to the server's event loop and ends. Where the loop is busy, the next run can begin before
they are sent: Streamlit takes them for those of a run that was stopped, and drops them. Where runs follow each other
without a pause, and each takes long, the person sees nothing of any of them. And where a fragment that renews itself
asks for a run meanwhile, what an ended run drew is not even taken in.
"""

from __future__ import annotations

from typing import Any

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import RerunData, ScriptRunnerEvent

_ENDED = "ended_by_itself"
"""A script runner that was not stopped; a session whose last run was drawn to its end."""
_WHOLE = (ScriptRunnerEvent.SCRIPT_STOPPED_WITH_SUCCESS, ScriptRunnerEvent.FRAGMENT_STOPPED_WITH_SUCCESS)


def install() -> None:
    """Send such messages from now on, in this process; once is enough."""
    create, handle = AppSession._create_scriptrunner, AppSession._handle_scriptrunner_event_on_event_loop
    clear = AppSession._clear_queue
    if getattr(handle, "sends_ended_runs", False):
        return

    def creating(self: Any, initial_rerun_data: RerunData) -> None:
        if self._scriptrunner is not None:  # one that was stopped is not there any more
            setattr(self._scriptrunner, _ENDED, True)
        create(self, initial_rerun_data)

    def handling(self: Any, sender: Any, event: ScriptRunnerEvent, *rest: Any, **named: Any) -> None:
        current = self._scriptrunner
        late = sender is not current and event != ScriptRunnerEvent.SHUTDOWN and getattr(sender, _ENDED, False)
        self._scriptrunner = sender if late else current
        try:
            handle(self, sender, event, *rest, **named)
        finally:
            if late:
                self._scriptrunner = current
        if (late or sender is current) and event != ScriptRunnerEvent.ENQUEUE_FORWARD_MSG:
            setattr(self, _ENDED, event in _WHOLE)

    def clearing(self: Any, fragment_ids_this_run: Any = None) -> None:
        if getattr(self, _ENDED, False):
            self._browser_queue._delta_index_map = {}  # what the new run draws comes after, not in place of it
        else:
            clear(self, fragment_ids_this_run)

    handling.sends_ended_runs = True  # pyright: ignore[reportFunctionMemberAccess]
    AppSession._create_scriptrunner = creating
    AppSession._handle_scriptrunner_event_on_event_loop = handling
    AppSession._clear_queue = clearing
