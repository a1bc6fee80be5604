"""What is in view: kept per browser session, written to the URL, so that a link shows the same thing.

The view is a small dictionary of texts (or lists of texts). It is filled from the URL when a link is
opened or the browser goes back, survives navigation between pages, and is written back to the URL
after every run. Widgets are bound to it by :func:`bound`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from mad_core.errors import MadError
from mad_core.runs.store import DatasetInfo, Run
from pages.ui import engine
from pages.ui.text import plain

_VIEW = "view"
_WRITTEN = "view_written"


def begin() -> None:
    """Take over what the URL says, where it was changed from outside (a link, back, forward)."""
    view = st.session_state.setdefault(_VIEW, {})
    given = _url()
    if given and given != st.session_state.get(_WRITTEN):
        view.clear()
        view.update(given)
        st.session_state[_WRITTEN] = given


def finish() -> None:
    """Write the view to the URL."""
    view = {k: v for k, v in st.session_state[_VIEW].items() if v not in (None, "", [])}
    if view != _url():
        st.query_params.from_dict(view)
    st.session_state[_WRITTEN] = view


def write() -> None:
    """Write the view to the URL even if it seems to stand there: a link to the page in view leaves the browser's."""
    st.query_params.from_dict(st.session_state[_VIEW])


def _url() -> dict[str, Any]:
    query = {}
    for name in st.query_params:
        values = st.query_params.get_all(name)
        query[name] = values if len(values) > 1 else values[0]
    return query


def get(name: str, default: str = "") -> str:
    """One text of the view."""
    value = st.session_state.get(_VIEW, {}).get(name, default)
    if isinstance(value, list):
        return str(value[0]) if value else default
    return value or default


def get_list(name: str) -> list[str]:
    """A list of the view; a single text is a list of one."""
    value = st.session_state.get(_VIEW, {}).get(name) or []
    return list(value) if isinstance(value, list) else [value]


def put(**values: str | list[str] | None) -> None:
    """Change the view; ``None`` removes a name."""
    view = st.session_state.setdefault(_VIEW, {})
    for name, value in values.items():
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        view[name] = value
        if not value:
            view.pop(name)


def replace(**values: str | list[str] | None) -> None:
    """Put these in view and nothing else."""
    st.session_state.setdefault(_VIEW, {}).clear()
    put(**values)


def bound(name: str, options: Sequence[Any], default: Any, text: Callable[[Any], str] = str) -> dict[str, Any]:
    """Keyword arguments that bind a one-choice widget to a name of the view.

    What the view says is shown if it is among the options, else ``default``, which is not written
    to the URL.
    """
    key = f"view_{name}"
    by_text = {text(option): option for option in options}
    st.session_state[key] = by_text.get(get(name), default)
    return {"key": key, "on_change": _remember, "args": (name, text, default)}


def bound_list(name: str, options: Sequence[Any], default: Sequence[Any] = ()) -> dict[str, Any]:
    """The same for a widget of several choices."""
    key = f"view_{name}"
    chosen = [o for o in options if o in get_list(name)]
    st.session_state[key] = chosen or [o for o in options if o in default]
    return {"key": key, "on_change": _remember_list, "args": (name,)}


def _remember(name: str, text: Callable[[Any], str], default: Any) -> None:
    value = st.session_state[f"view_{name}"]
    put(**{name: None if value is None or value == default else text(value)})


def _remember_list(name: str) -> None:
    put(**{name: [str(v) for v in st.session_state[f"view_{name}"]]})


# -- the dataset and the runs in view -----------------------------------------------------------


def dataset() -> DatasetInfo | None:
    """The dataset in view: the one the URL names, else the newest; None where there is none."""
    datasets = engine.store().datasets()
    chosen = next((d for d in datasets if d.id == get("dataset")), None)
    return chosen or (datasets[-1] if datasets else None)


def runs_in_view(info: DatasetInfo) -> list[Run]:
    """Runs on the dataset in view, oldest first."""
    return engine.store().runs(info.id)


def attempt(action: Callable[[], Any]) -> Any:
    """Do something that may fail with a sentence; the sentence is shown, nothing else is lost.

    Returns
    -------
    What the action gave, or True where it gave None; None if it failed.
    """
    try:
        result = action()
    except MadError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    except OSError as error:  # a disk that is full, a folder of somebody else
        st.error(
            plain(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."), icon=":material/error:"
        )
        return None
    return True if result is None else result
