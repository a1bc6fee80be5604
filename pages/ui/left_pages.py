"""A request of a page that the person has left is dropped, where Streamlit would go back to that page.

Fragments that renew themselves ask with the page they are on. One that was asked for just before
``st.switch_page`` took effect in the browser is run after the new page, as a run of the old one; the browser
then throws away what is on the screen and fails on the next change to it. The slower the link, the more often.
"""

from __future__ import annotations

from typing import Any

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import ScriptRunner


def install() -> None:
    """Drop such requests from now on, in this process; once is enough."""
    _guard(AppSession, "request_rerun", lambda request: bool(request and request.fragment_id))
    _guard(ScriptRunner, "_run_script", lambda request: bool(request.fragment_id_queue))


def _guard(owner: type[Any], name: str, of_a_fragment: Any) -> None:
    run = getattr(owner, name)
    if getattr(run, "drops_left_pages", False):
        return

    def guarded(self: Any, request: Any) -> None:
        if not (of_a_fragment(request) and _left(self._pages_manager, request.page_script_hash)):
            run(self, request)

    guarded.drops_left_pages = True  # pyright: ignore[reportFunctionMemberAccess]
    setattr(owner, name, guarded)


def _left(pages: PagesManager, page: str) -> bool:
    """Whether a session is on another page than ``page`` by now."""
    return bool(page) and page != pages.current_page_script_hash
