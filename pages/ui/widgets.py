"""Choices bound to the view, and files to take away: the widgets that several pages draw alike."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import session

MIME = {
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "png": "image/png",
    "tex": "text/x-tex",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}


def pick(
    label: str,
    name: str,
    options: Sequence[Any],
    words: Mapping[Any, str] | None = None,
    default: Any = None,
    **facts: Any,
) -> Any:
    """One of several, by default the first, bound to ``name`` in the view.

    Parameters
    ----------
    words : mapping of option to str or None
        What is written for an option; the option itself where it has no words.
    """
    first = options[0] if options and default is None else default
    return st.selectbox(label, options, format_func=_in(words), **facts, **session.bound(name, options, first))


def pick_several(
    label: str, name: str, options: Sequence[Any], words: Mapping[Any, str], default: Sequence[Any], **facts: Any
) -> list[Any]:
    """Any of several, bound to ``name`` in the view."""
    binding = session.bound_list(name, options, default)
    return st.multiselect(label, options, format_func=_in(words), **facts, **binding)


def pick_subset(name: str, subsets: Sequence[str], **facts: Any) -> str:
    """One subset; nothing is drawn where there is only one."""
    return pick("Subset", name, subsets, **facts) if len(subsets) > 1 else subsets[0]


def pick_subset_or_all(subsets: Sequence[str], **facts: Any) -> str | None:
    """One subset, or None for all; as the other pages show it. Nothing is drawn where there is only one."""
    if len(subsets) < 2:
        return subsets[0] if subsets else None
    options = [session.ALL_SUBSETS, *subsets]
    chosen = st.selectbox("Subset", options, **facts, **session.bound_within(subsets))
    return None if chosen == session.ALL_SUBSETS else chosen


def _in(words: Mapping[Any, str] | None) -> Callable[[Any], str]:
    return lambda option: (words or {}).get(option, str(option))


def download(label: str, name: str, write: Any, *, icon: str | None = ":material/download:", **facts: Any) -> None:
    """A button that hands the browser a file of this name, which ``write`` makes when it is pressed."""
    mime = MIME[name.rpartition(".")[2]]
    st.download_button(label, data=write, file_name=name, mime=mime, icon=icon, on_click="ignore", **facts)
