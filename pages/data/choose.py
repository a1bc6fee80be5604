"""Choose a folder of this machine by looking, below the folders that may be opened here."""

from pathlib import Path

import streamlit as st

from mad_core.datasets.folders import COUNTED, MOST, Listing, count_pictures, list_folder, roots
from mad_core.runs.browsing import page_count
from pages.ui import engine, session
from pages.ui.text import plain, shortened

ROWS = 10
COUNT_SECONDS = 30
LONGEST = 60
"""Characters of a name on its button."""
_AT, _FIND, _PAGE = "browsed", "browsed_find", "browsed_page"


def folder_chooser(target: str) -> None:
    """Folders to look into; what is taken stands in the text field of the key ``target``."""
    if not st.toggle("Browse the folders of this machine", key="browsing"):
        return
    with st.container(border=True):
        starts = roots(engine.store().settings)
        if not starts:
            st.caption("No folder may be opened here; see MAD_ALLOWED_ROOTS.")
            return
        at = st.session_state.get(_AT) or (str(starts[0]) if len(starts) == 1 else "")
        if not at:
            for place, root in enumerate(starts):
                _row(root, str(root), f"root_{place}")
            return
        listing = session.attempt(lambda: list_folder(Path(at), engine.store().settings))
        if listing is None:
            st.button("Begin again", on_click=_go, args=("",), key="browse_again")
            return
        _head(listing, target, several=len(starts) > 1)
        _entries(listing, target)


def _head(listing: Listing, target: str, *, several: bool) -> None:
    """Where one is, the way up, and the folder itself to take."""
    st.markdown(plain(str(listing.folder)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        above = str(listing.above) if listing.above else ""
        if above or several:
            st.button("Up", icon=":material/arrow_upward:", on_click=_go, args=(above,), key="browse_up")
        st.button("Take this folder", on_click=_take, args=(target, str(listing.folder)), key="browse_take")
        if len(listing.folders) + len(listing.files) > ROWS:
            st.text_input("Find a name", key=_FIND, width=220)


def _entries(listing: Listing, target: str) -> None:
    """A page of folders to open, with counts of pictures, and of tables and archives to take."""
    wanted = st.session_state.get(_FIND, "").casefold()
    folders = [name for name in listing.folders if wanted in name.casefold()]
    names = [*folders, *(name for name in listing.files if wanted in name.casefold())]
    pages = page_count(len(names), ROWS)
    number = 1
    if pages > 1:
        number = min(int(st.session_state.get(_PAGE) or 1), pages)
        st.session_state[_PAGE] = number
    for place, name in enumerate(names[(number - 1) * ROWS : number * ROWS]):
        path = listing.folder / name
        if (number - 1) * ROWS + place < len(folders):
            _row(path, name, f"folder_{place}")
        else:
            words = shortened(name, LONGEST)
            icon = ":material/table:"
            st.button(plain(words), icon=icon, on_click=_take, args=(target, str(path)), key=f"file_{place}")
    if not names:
        st.caption("No folder, table or archive here." if not wanted else "No name holds these letters.")
    if pages > 1:
        st.pagination(pages, key=_PAGE)
    if listing.cut:
        st.caption(f"Of more than {MOST:,} entries the first that were met; name the folder by its path instead.")


def _row(folder: Path, name: str, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            plain(shortened(name, LONGEST)),
            icon=":material/folder:",
            on_click=_go,
            args=(str(folder),),
            key=key,
        )
        pictures, whole = _count(str(folder))
        more = "" if whole else f" among the first {COUNTED:,} files"
        st.caption("no pictures" + more if not pictures else f"{pictures:,} pictures{more}", width="content")


@st.cache_data(ttl=COUNT_SECONDS, max_entries=512, show_spinner=False)
def _count(folder: str) -> tuple[int, bool]:
    return count_pictures(Path(folder))


def _go(folder: str) -> None:
    for name in (_FIND, _PAGE):
        st.session_state.pop(name, None)
    st.session_state[_AT] = folder


def _take(target: str, path: str) -> None:
    st.session_state[target] = path
