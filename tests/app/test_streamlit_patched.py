"""Streamlit is rewritten from within only in versions that were tried, and only where the table says so."""

from __future__ import annotations

import subprocess
import sys

import streamlit

from pages.ui.streamlit_patched import PATCHES, TRIED
from tests.browser.conftest import ROOT

CHANGES = """
from streamlit import net_util
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

def members():
    owners = (net_util, AppSession, PagesManager, ScriptRunner, ScriptRunContext)
    return {f"{owner.__name__.split('.')[-1]}.{name}": value for owner in owners for name, value in vars(owner).items()}

before = members()
from pages.ui.streamlit_patched import _INSTALLED, install
install()
once = members()
install()
assert members() == once, "a second call changed something"
print(*sorted(name for name in once if once[name] is not before.get(name) and _INSTALLED not in name))
"""


def test_this_version_of_streamlit_was_tried() -> None:
    assert streamlit.__version__ in TRIED, (
        "Run tests/browser/test_streamlit_patched.py with this version of Streamlit. Where a test of Streamlit alone "
        "fails, that row of PATCHES can go; where another fails, mend it. Then add the version to TRIED."
    )


def test_the_table_names_what_is_changed_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", CHANGES], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == sorted({method for patch in PATCHES for method in patch.methods})


def test_every_patch_says_why_and_where_it_is_known() -> None:
    for patch in PATCHES:
        assert patch.reason.endswith(".")
        assert patch.upstream.startswith("https://github.com/streamlit/streamlit/")
