"""What a run drew is sent, though a fragment asked for the next run before it was.

A run hands its messages to the server's event loop and ends. Where the loop is busy with other sessions, the request
of a fragment that renews itself can come before those messages are sent; Streamlit then begins a new run and takes
the messages of the ended one for those of a run that was stopped. The page keeps what stood there before a press.
"""

from __future__ import annotations

from typing import Any

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import RerunData, ScriptRunnerEvent

_ENDED = "ended_by_itself"


def install() -> None:
    """Send such messages from now on, in this process; once is enough."""
    create, handle = AppSession._create_scriptrunner, AppSession._handle_scriptrunner_event_on_event_loop
    if getattr(handle, "sends_ended_runs", False):
        return

    def creating(self: Any, initial_rerun_data: RerunData) -> None:
        if self._scriptrunner is not None:  # one that was stopped is not there any more
            setattr(self._scriptrunner, _ENDED, True)
        create(self, initial_rerun_data)

    def handling(self: Any, sender: Any, event: ScriptRunnerEvent, *rest: Any, **named: Any) -> None:
        current = self._scriptrunner
        late = sender is not current and event != ScriptRunnerEvent.SHUTDOWN and getattr(sender, _ENDED, False)
        if not late:
            handle(self, sender, event, *rest, **named)
            return
        self._scriptrunner = sender
        try:
            handle(self, sender, event, *rest, **named)
        finally:
            self._scriptrunner = current

    handling.sends_ended_runs = True  # pyright: ignore[reportFunctionMemberAccess]
    AppSession._create_scriptrunner = creating
    AppSession._handle_scriptrunner_event_on_event_loop = handling
