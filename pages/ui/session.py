"""What is in view: kept per browser session, written to the URL, so that a link shows the same thing.

The view is a small dictionary of texts (or lists of texts). It is filled from the URL when a link is
opened or the browser goes back, survives navigation between pages, and is written back to the URL
after every run. Widgets are bound to it by :func:`bound`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st

from mad_core.errors import MadError
from mad_core.runs.store import DatasetInfo, Run
from pages.ui import engine, urls
from pages.ui.text import plain

ALL_SUBSETS = "All subsets"
"""What ``within`` says on pages that can show all subsets; else they show the one that the other pages show."""
_VIEW = "view"
_WRITTEN = "view_written"
_PRESSES = "view_presses"
"""How many presses changed the view, and of how many a page was drawn to its end."""
_drawing: ContextVar[bool] = ContextVar("drawing", default=False)


@contextmanager
def drawing() -> Iterator[None]:
    """While a page is drawn: the view is that of the URL before, and stands in the URL after."""
    token = _drawing.set(True)
    try:
        begin()
        pressed = _presses()["all"]
        yield
        finish()
        _presses()["drawn"] = pressed  # not where another press ended the page: the browser's URL is as old as before
    finally:
        _drawing.reset(token)


def begin() -> None:
    """Take over what the URL says, where it was changed from outside (a link, back, forward).

    Where somebody changed the view, it stands: with quick presses the browser still has the URL of a press before.
    """
    view = st.session_state.setdefault(_VIEW, {})
    given, presses = _url(), _presses()
    if given and given != st.session_state.get(_WRITTEN) and presses["all"] == presses["drawn"]:
        view.clear()
        view.update(given)
        st.session_state[_WRITTEN] = given
        if get("within") not in ("", ALL_SUBSETS):
            view.setdefault("subset", get("within"))


def finish() -> None:
    """Write the view to the URL."""
    view = _filled()
    if view != _url():
        st.query_params.from_dict(view)
    st.session_state[_WRITTEN] = view


def write() -> None:
    """Write the view to the URL even if it seems to stand there: a link to the page in view leaves the browser's."""
    st.query_params.from_dict(st.session_state[_VIEW])


def open_page(file: str) -> NoReturn:
    """Go to another page with the view in its address from the first, so that one press leads back."""
    st.session_state[_WRITTEN] = _filled()
    st.switch_page(file, query_params=_filled())


def address(page: str, **explicit: str | list[str] | None) -> str:
    """The address of a page with what is in view, and with what is written out besides; ``None`` leaves a name out."""
    view = {name: value for name, value in {**_filled(), **explicit}.items() if value}
    return f"{urls.base()}/{page}?{urlencode(view, doseq=True)}"


def _filled() -> dict[str, Any]:
    """The names of the view that say something."""
    return {k: v for k, v in st.session_state[_VIEW].items() if v not in (None, "", [])}


def _presses() -> dict[str, int]:
    return st.session_state.setdefault(_PRESSES, {"all": 0, "drawn": 0})


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
    """Change the view; ``None`` removes a name. Pages that can show all subsets follow to another one."""
    view = st.session_state.setdefault(_VIEW, {})
    if not _drawing.get():
        _presses()["all"] += 1
    if values.get("subset") and get("within") not in (ALL_SUBSETS, values["subset"]):
        view.pop("within", None)
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
    show(key, by_text.get(get(name), default))
    return {"key": key, "on_change": _remember, "args": (name, text, default)}


def bound_list(name: str, options: Sequence[Any], default: Sequence[Any] = ()) -> dict[str, Any]:
    """The same for a widget of several choices."""
    key = f"view_{name}"
    given = [o for o in options if o in get_list(name)]
    show(key, given or [o for o in options if o in default])
    return {"key": key, "on_change": _remember_list, "args": (name,)}


def show(key: str, value: Any) -> None:
    """What a widget of this key shows."""
    st.session_state[key] = st.session_state[f"shown {key}"] = value


def chosen(key: str) -> bool:
    """Whether somebody chose something else than what the widget of this key showed.

    A browser also sends what a widget showed that has just left the page; Streamlit takes that for a choice.
    """
    value, shown = st.session_state[key], st.session_state.get(f"shown {key}")
    st.session_state[f"shown {key}"] = value
    return value != shown


def _remember(name: str, text: Callable[[Any], str], default: Any) -> bool:
    """Put a choice in view; gives whether it is another one."""
    if not chosen(f"view_{name}"):
        return False
    value = st.session_state[f"view_{name}"]
    if name == "subset" and value is not None:  # the default is written, too: other pages take it over
        put(subset=text(value), within=None)
    else:
        put(**{name: None if value is None or value == default else text(value)})
    return True


def bound_within(subsets: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments that bind a choice among all subsets and each of them to the view."""
    given = [get("within"), get("subset")]
    show("view_within", next((s for s in given if s in (ALL_SUBSETS, *subsets)), ALL_SUBSETS))
    return {"key": "view_within", "on_change": _remember_within}


def _remember_within() -> None:
    if not chosen("view_within"):
        return
    within = st.session_state["view_within"]
    put(within=within, **({} if within == ALL_SUBSETS else {"subset": within}))


def _remember_list(name: str) -> bool:
    if not chosen(f"view_{name}"):
        return False
    put(**{name: [str(v) for v in st.session_state[f"view_{name}"]]})
    return True


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
