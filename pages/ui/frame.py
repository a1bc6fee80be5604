"""The frame around the pages: parts of Streamlit get the names that they lack, and a page follows the theme.

Figures, tables and chips have colours of the server's choice: where the theme changes while a page is open, by the menu
or because the evening comes, it is drawn again.
"""

from pathlib import Path

from pages.ui.component import load

_COMPONENT = load("mad_frame", Path(__file__).with_name("js") / "frame.js")


def frame() -> None:
    """Have the browser look after what is shown now and later; draws nothing."""
    _COMPONENT(key="frame", data={}, on_theme_change=lambda: None)
