"""A gallery as Streamlit's own widgets make it: ``st.image`` in rows that wrap; ``gallery.py`` runs it.

``width`` lets Streamlit scale on the server, so that small pictures are sent, as the gallery here does.
"""

import json
import os
from pathlib import Path

import streamlit as st

WIDTH = 256

st.set_page_config(page_title="st.image", layout="wide")
pages = json.loads(Path(os.environ["BENCH_PAGES"]).read_text(encoding="utf-8"))
st.title("Images")
number = st.pagination(len(pages))
with st.container(horizontal=True):
    for path in pages[number - 1]:
        st.image(path, caption=Path(path).name, alt=Path(path).name, width=WIDTH)
