"""Streamlit rewritten from within, in one place: what is changed, why, and where it is known upstream.

All of it reaches into parts that Streamlit keeps to itself, so a version counts only once it was tried:
``tests/browser/test_streamlit_patched.py`` shows each fault in Streamlit alone, and that it is gone here.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamlit import config, net_util
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import RerunData, ScriptRunner, ScriptRunnerEvent
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

TRIED = ("1.67.0",)
"""Versions of Streamlit with which each fault was seen, and seen mended."""

_INSTALLED = "mad_inspector_patches"
_ENDED = "ended_by_itself"
"""A script runner that was not stopped; a session whose last run was drawn to its end."""
_WHOLE = (ScriptRunnerEvent.SCRIPT_STOPPED_WITH_SUCCESS, ScriptRunnerEvent.FRAGMENT_STOPPED_WITH_SUCCESS)
_thread = threading.local()
"""``runner``: the script runner of this thread."""


@dataclass(frozen=True)
class Patch:
    """One fault of Streamlit and its cure.

    Parameters
    ----------
    reason : str
        What goes wrong without it, and what happens instead.
    upstream : str
        Where Streamlit's authors know of it.
    methods : tuple of str
        What is replaced.
    apply : callable
        Replaces them.
    """

    reason: str
    upstream: str
    methods: tuple[str, ...]
    apply: Callable[[], None]


def install() -> None:
    """Apply every patch in this process; a second call changes nothing."""
    if getattr(AppSession, _INSTALLED, False):
        return
    for patch in PATCHES:
        patch.apply()
    setattr(AppSession, _INSTALLED, True)


def _look_up_nothing() -> None:
    def unknown() -> None:
        return None

    net_util.get_external_ip = unknown


# -- pages ----------------------------------------------------------------------------------------


def _keep_navigation() -> None:
    PagesManager.uses_pages_directory = False


def _drop_left_pages() -> None:
    _guard(AppSession, "request_rerun", lambda request: bool(request and request.fragment_id))
    _guard(ScriptRunner, "_run_script", lambda request: bool(request.fragment_id_queue))


def _guard(owner: type[Any], name: str, of_a_fragment: Callable[[Any], bool]) -> None:
    run = getattr(owner, name)

    def guarded(self: Any, request: Any) -> None:
        page = request.page_script_hash if of_a_fragment(request) else ""
        if not page or page == self._pages_manager.current_page_script_hash:
            run(self, request)

    setattr(owner, name, guarded)


# -- messages -------------------------------------------------------------------------------------


def _send_ended_runs() -> None:
    create, handle = AppSession._create_scriptrunner, AppSession._handle_scriptrunner_event_on_event_loop
    clear = AppSession._clear_queue

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

    AppSession._create_scriptrunner = creating
    AppSession._handle_scriptrunner_event_on_event_loop = handling
    AppSession._clear_queue = clearing


# -- callbacks ------------------------------------------------------------------------------------


def _finish_callbacks() -> None:
    request, run = AppSession.request_rerun, ScriptRunner._run_script
    look, begin = ScriptRunner._maybe_handle_execution_control_request, ScriptRunContext.on_script_start
    config.set_option("runner.fastReruns", False)  # it stops callbacks too; `requesting` stops the rest

    def requesting(self: Any, client_state: Any) -> None:
        runner = self._scriptrunner
        of_a_fragment = client_state is not None and client_state.fragment_id
        if runner is not None and not of_a_fragment and _draws(runner):
            runner.request_stop()
            self._scriptrunner = None
        request(self, client_state)

    def running(self: Any, rerun_data: Any) -> None:
        _thread.runner, self.draws = self, False
        try:
            run(self, rerun_data)
        finally:
            self.draws = False

    def beginning(self: Any) -> None:
        begin(self)
        _thread.runner.draws = True

    def looking(self: Any) -> None:
        runner = getattr(_thread, "runner", None)
        if runner is None:
            look(self)
        elif runner.draws:
            runner.draws = False  # if another request is taken here, its callbacks are next, in this very run
            look(self)
            runner.draws = True

    AppSession.request_rerun = requesting
    ScriptRunner._run_script = running
    ScriptRunner._maybe_handle_execution_control_request = looking
    ScriptRunContext.on_script_start = beginning


def _draws(runner: Any) -> bool:
    """Whether nothing waits for a run, and it is past its callbacks: asked in this order, as it takes what waits."""
    return runner._requests._state == ScriptRequestType.CONTINUE and getattr(runner, "draws", False)


PATCHES = (
    Patch(
        "Before a page of another origin is refused, and when the server starts, another host is asked in the event "
        "loop for this machine's external address. Here nobody is asked: it is not known.",
        "https://github.com/streamlit/streamlit/issues/7721 (closed as none of Streamlit's)",
        ("net_util.get_external_ip",),
        _look_up_nothing,
    ),
    Patch(
        "A fresh server that is first asked for /score takes pages/ for old-style pages until st.navigation has run "
        "once. Here it never does.",
        "https://github.com/streamlit/streamlit/pull/10276 (seen in its review; no issue filed)",
        ("PagesManager.uses_pages_directory",),
        _keep_navigation,
    ),
    Patch(
        "Fragments that renew themselves ask with the page they are on. One that was asked for just before "
        "st.switch_page took effect in the browser is run after the new page, as a run of the old one; the browser "
        "then throws away what is on the screen and fails on the next change to it. The slower the link, the more "
        "often. Here a request of a page that the person has left is dropped.",
        "https://github.com/streamlit/streamlit/pull/9617 (mends the browser's part; what is under way still comes)",
        ("AppSession.request_rerun", "ScriptRunner._run_script"),
        _drop_left_pages,
    ),
    Patch(
        "A run hands its messages to the server's event loop and ends. Where the loop is busy, the next run can begin "
        "before they are sent: Streamlit takes them for those of a run that was stopped, and drops them. Where runs "
        "follow each other without a pause, and each takes long, the person sees nothing of any of them; and where a "
        "fragment that renews itself asks for a run meanwhile, what an ended run drew is not even taken in. Here it is "
        "sent.",
        "https://github.com/streamlit/streamlit/issues/9921 (mended for fragments that are gone alone)",
        (
            "AppSession._create_scriptrunner",
            "AppSession._handle_scriptrunner_event_on_event_loop",
            "AppSession._clear_queue",
        ),
        _send_ended_runs,
    ),
    Patch(
        "The run of a press is stopped when the next press comes. If the callback of the first has not begun it is "
        "forgotten; if it has, it is left wherever it next uses the session's state, so what it was to write is half "
        "written. Here a request waits until the callbacks before it are done; what a page draws after them is still "
        "stopped at once.",
        "https://github.com/streamlit/streamlit/issues/10578",
        (
            "AppSession.request_rerun",
            "ScriptRunner._run_script",
            "ScriptRunner._maybe_handle_execution_control_request",
            "ScriptRunContext.on_script_start",
        ),
        _finish_callbacks,
    ),
)
"""In the order in which they are applied: where two replace the same method, the later one is asked first."""
