"""Entry of the app: navigation, theme, image routes and the HTTP interface.

``streamlit run app.py`` finds ``app`` below and serves it with these routes; for every browser
session it then executes this file again as a script, which draws the page that was asked for.
"""

import streamlit as st
from streamlit import runtime

from mad_core.assets import asset

STYLE = """<style>
button[data-variant='segmented_control'][data-selected='true'] { color: inherit !important; }
button[kind='tertiary']:is(:hover, :focus, :active):enabled { color: inherit !important; }
button[kind='tertiary']:is(:hover, :focus, :active):enabled p { text-decoration: underline; }
</style>"""
"""In the accent, the words of what is chosen or pointed at are too faint on their ground in the dark theme."""


def draw() -> None:
    """Draw the page in view."""
    from pages.ui import access, engine, frame, glossary, guide, session

    st.set_page_config(page_icon=str(asset("icon.svg")), layout="wide")
    st.logo(asset("logo.svg"), size="medium", icon_image=asset("icon.svg"))
    st.html(STYLE)
    admitted = access.admitted()
    page = st.navigation(
        [
            st.Page("pages/data/page.py", title="Data", url_path="data", default=True),
            st.Page("pages/score/page.py", title="Score", url_path="score"),
            st.Page("pages/images/page.py", title="Images", url_path="images"),
            st.Page("pages/compare/page.py", title="Compare", url_path="compare"),
            st.Page("pages/audit/page.py", title="Audit", url_path="audit"),
            st.Page("pages/studies/page.py", title="Studies", url_path="studies"),
        ],
        position="top" if admitted else "hidden",
    )
    if not admitted:
        access.ask_login()
        return
    if session.attempt(engine.store) is None:
        return
    with session.drawing():
        if not guide.bar(page.title):
            page.run()
        glossary.words_button(page.title)
        frame.frame()


if runtime.exists():
    draw()
else:
    from starlette.middleware import Middleware

    from pages.http.routes import api_routes
    from pages.ui import origin, streamlit_patched
    from pages.ui.routes import lifespan, routes

    streamlit_patched.install()
    served = [*routes(), *api_routes()]
    app = st.App(__file__, routes=served, middleware=[Middleware(origin.OwnPagesOnly)], lifespan=lifespan)
