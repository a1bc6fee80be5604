"""Names for parts of Streamlit that have none for a screen reader: messages that go by themselves, upload fields."""

from pathlib import Path

from pages.ui.component import load

_COMPONENT = load("mad_names", Path(__file__).with_name("js") / "names.js")


def name_parts() -> None:
    """Have the browser name what Streamlit shows, now and later; draws nothing."""
    _COMPONENT(key="names", data={})
