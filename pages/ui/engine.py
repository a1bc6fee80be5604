"""The one store of the web process, and what pages read from it, cached.

Nothing here or below imports torch: pages read the store, workers fill it.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mad_core.metrics.comparing import summarize_rows
from mad_core.runs.results import display_range, run_table
from mad_core.runs.store import Run, Store
from mad_core.settings import Settings
from pages.ui import credentials

_asker: ContextVar[str | None] = ContextVar("asker", default=None)
"""The program that asks for jobs, where no browser session does."""
STEPS = 200
"""How often at most a run that is going is read anew: at 100,000 images each reading takes about a second."""


@lru_cache(maxsize=1)
def store() -> Store:
    """The store of this process (not of a session): pages and image routes share it."""
    credentials.hand_over()
    opened = Store(Settings.from_environment())
    opened.queue.asker = _session
    return opened


def _session() -> str | None:
    """The browser session that is being drawn, or the program that asks; None where neither does."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else _asker.get()


@contextlib.contextmanager
def asked_by(client: str) -> Iterator[None]:
    """Jobs that are queued meanwhile, by this thread, count as asked for by ``client``."""
    token = _asker.set(client)
    try:
        yield
    finally:
        _asker.reset(token)


@st.cache_resource(max_entries=12, show_spinner=False)
def _table(run_id: str, state: tuple[Any, ...]) -> pd.DataFrame:
    return run_table(store(), run_id)


def table(run: Run) -> pd.DataFrame:
    """A run's images with their scores so far, shared by all sessions and never changed; read again only when
    something came."""
    return _table(run.id, state(run))


@st.cache_resource(max_entries=16, show_spinner=False)
def _table_of(run_id: str, subset: str, state: tuple[Any, ...]) -> pd.DataFrame:
    rows: Any = _table(run_id, state)
    return rows[rows["subset"] == subset]


def table_of(run: Run, subset: str) -> pd.DataFrame:
    """Those of one subset."""
    return _table_of(run.id, subset, state(run))


@st.cache_data(max_entries=256, show_spinner=False)
def _metrics(run_id: str, subsets: tuple[str, ...], draws: int, state: tuple[Any, ...]) -> dict[str, Any]:
    table: Any = _table(run_id, state)
    rows = table[table["subset"].isin(subsets)]
    return summarize_rows(rows, draws=draws)


def metrics(run: Run, subset: str | None, draws: int = 1000) -> dict[str, Any]:
    """The metrics of a run, of one subset or of all its subsets."""
    return _metrics(run.id, (subset,) if subset else run.subsets, draws, state(run))


@st.cache_data(max_entries=256, show_spinner=False)
def _range(run_id: str, subset: str, state: tuple[Any, ...]) -> tuple[float, float, float] | None:
    return display_range(store(), run_id, subset)


def map_range(run: Run, subset: str) -> dict[str, Any]:
    """``low`` and ``high`` end of the display range of a run's maps on one subset, and a ``threshold``, if known."""
    rounded = run.done if not run.active else run.done // 50
    limits = _range(run.id, subset, (rounded, run.status))
    return dict(zip(("low", "high", "threshold"), limits, strict=True)) if limits else {}


def state(run: Run) -> tuple[Any, ...]:
    """Changes whenever the scores of a run may have changed, of one that is going with every half percent of it."""
    step = max(1, run.total // STEPS) if run.active else 1
    return run.done // step * step, run.status, run.finished, run.dataset_version


def worker_ready() -> bool:
    """Whether a worker lives."""
    return any(w.alive for w in store().queue.workers())
