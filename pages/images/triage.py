"""Triage on Images: a threshold on the scores, what it flags and misses, the list to take away, what to do with it."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from mad_core.datasets.dataset import Imported
from mad_core.figures import READ_SCORE_THRESHOLD, describe_score_threshold, score_threshold
from mad_core.palette import Theme
from mad_core.report.contact_sheet import MOST, contact_sheet
from mad_core.runs.browsing import Wanted
from mad_core.runs.results import reading_notes
from mad_core.runs.store import Run
from mad_core.runs.store.tags import ASIDE, AUDIT
from mad_core.runs.triage import flagged, guarantee_of, listed, usual_threshold, with_normals
from mad_core.scorefiles import csv_text, safe_texts
from pages.images.browsing import Browsing
from pages.ui import charts, engine, session
from pages.ui.reading import how_to_read
from pages.ui.text import level_names, plain
from pages.ui.widgets import download

STEPS = 400


def threshold_of(view: Browsing) -> float:
    """The threshold in view: the one the URL names, else the usual one."""
    scores = view.images["score"].to_numpy(dtype=np.float64)
    usual = usual_threshold(view.images["level"].to_numpy(dtype=np.float64), scores)
    return usual if view.threshold is None else view.threshold


def triage(view: Browsing) -> None:
    """Draw the panel, where a run has scores of these images."""
    run = view.run
    scores = view.images["score"].to_numpy(dtype=np.float64)
    if run is None or not np.isfinite(scores).any():
        return
    opened = bool(view.images["level"].isna().any()) and not view.with_map
    with st.expander("Triage", expanded=opened, icon=":material/rule:"):
        threshold = _slider(view, run, scores)
        figure, description, flags = _at(view, view.key, threshold, charts.theme())
        charts.show(figure, description, f"threshold_figure_{run.id}")
        st.markdown(plain(flags))
        _said(view, run)
        with st.container(horizontal=True):
            _take_away(view, run, threshold)
            _act(view)
        how_to_read(READ_SCORE_THRESHOLD, "the threshold")


@st.cache_resource(max_entries=32, show_spinner=False)
def _at(_view: Browsing, key: tuple[Any, ...], threshold: float, theme: Theme) -> tuple[go.Figure, str, str]:
    """The figure of a threshold, the figure in words, and what it flags and misses."""
    levels, scores = (_view.images[name].to_numpy(dtype=np.float64) for name in ("level", "score"))
    names = level_names(_view.card)
    figure = score_threshold(levels, scores, threshold, level_names=names, theme=theme, height=170)
    flags = flagged(levels, scores, threshold).in_words() + "."
    return figure, describe_score_threshold(levels, scores, threshold), flags


def _slider(view: Browsing, run: Run, scores: np.ndarray) -> float:
    finite = scores[np.isfinite(scores)]
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return threshold_of(view)
    key = f"threshold_{run.id}_{view.subset}"
    session.show(key, min(max(threshold_of(view), low), high))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        step = (high - low) / STEPS
        value = st.slider(
            "Threshold", low, high, step=step, format="%.4g", key=key, on_change=_moved, args=(key,), width="stretch"
        )
        st.toggle("Flagged only", **_flagged_only())
    return value


def _moved(key: str) -> None:
    if session.chosen(key):
        session.put(threshold=str(st.session_state[key]), page=None)


def _flagged_only() -> dict[str, Any]:
    session.show("view_flagged", session.get("flagged") == "yes")
    return {"key": "view_flagged", "on_change": _flag}


def _flag() -> None:
    if session.chosen("view_flagged"):
        session.put(flagged="yes" if st.session_state["view_flagged"] else None, page=None)


def _said(view: Browsing, run: Run) -> None:
    """What called levels and sets promise, and how many images lie outside."""
    for note in reading_notes(engine.store(), run.id):
        st.caption(plain(note))
    promise = guarantee_of(run, view.images)
    if promise:
        st.caption(plain(f"Called levels stand with the levels that cannot be ruled out. {promise}"))
    outside = int(np.count_nonzero(view.images["unlike"]))
    if outside:
        words = "image is" if outside == 1 else "images are"
        st.warning(f"{outside:,} {words} unlike anything fitted: no level is called there.", icon=":material/block:")


# -- to take away -------------------------------------------------------------------------------


def _take_away(view: Browsing, run: Run, threshold: float) -> None:
    """The images that pass the filters, in their order: as a list, and as a contact sheet."""
    shown, title = view.shown, f"{view.info.name}, {view.subset}: {view.names[run.id]}"
    tags, name = engine.store().tags.of(view.info.id), f"{view.subset}_triage"
    download("List as CSV", f"{name}.csv", lambda: _csv(listed(shown, threshold, tags)))
    download("List as Excel", f"{name}.xlsx", lambda: _xlsx(listed(shown, threshold, tags)))
    most = f" of {MOST}" if len(shown) > MOST else ""
    download(f"Contact sheet{most}", f"{name}.html", _sheet(view, run, title))


def _csv(table: pd.DataFrame) -> bytes:
    return csv_text(safe_texts(table)).encode()


def _xlsx(table: pd.DataFrame) -> bytes:
    kept = io.BytesIO()
    with pd.ExcelWriter(kept, engine="openpyxl") as writer:
        safe_texts(table).to_excel(writer, sheet_name="Triage", index=False, freeze_panes=(1, 1))
    return kept.getvalue()


def _sheet(view: Browsing, run: Run, title: str) -> Callable[[], str]:
    shown = view.shown

    def made() -> str:
        threshold = threshold_of(view)
        levels, scores = (view.images[name].to_numpy(dtype=np.float64) for name in ("level", "score"))
        notes = [flagged(levels, scores, threshold).in_words() + ".", f"The threshold is {threshold:.4g}."]
        notes += [promise] if (promise := guarantee_of(run, view.images)) else []
        return contact_sheet(engine.store(), run, shown, threshold, title, notes)

    return made


# -- what to do with them -----------------------------------------------------------------------


def _act(view: Browsing) -> None:
    """Do something with images: those chosen in the list, else all that pass the filters.

    The list is made and sent once somebody opens it: of 100,000 images it is megabytes.
    """
    shown = view.shown
    icon = ":material/checklist:"
    box = st.popover("Choose images and act", icon=icon, disabled=shown.empty, key="act", on_change="rerun")
    if not box.open:
        return
    with box:
        rows = _choice(view, shown)
        ids = shown["image_id"].iloc[rows].tolist() if rows else shown["image_id"].tolist()
        what = f"{len(ids):,} chosen" if rows else f"all {len(ids):,} shown"
        st.caption(f"For {what}:")
        acts(view, ids)


def acts(view: Browsing, ids: list[str], place: str = "") -> None:
    """What can be done with images; ``place`` tells these buttons from those of another place."""
    tag = st.text_input("Tag", key=f"triage_tag{place}", max_chars=80, placeholder="to rework", width=240)
    store, dataset = engine.store(), view.info.id
    with st.container(horizontal=True):
        if st.button("Send to audit", key=f"to_audit{place}", icon=":material/fact_check:"):
            _tagged(store.tags.add(dataset, ids, AUDIT), "sent to the audit's queue")
        if st.button("Tag", key=f"to_tag{place}", icon=":material/label:", disabled=not tag.strip()):
            _tagged(session.attempt(lambda: store.tags.add(dataset, ids, tag)), f"tagged {tag}")
        if st.button("Set aside", key=f"to_aside{place}", icon=":material/inventory_2:"):
            _tagged(store.tags.add(dataset, ids, ASIDE), "set aside; the filter Tag shows them")
        if view.wanted.tag and st.button(plain(f"No longer {view.wanted.tag}"), key=f"no_tag{place}"):
            store.tags.remove(dataset, ids, view.wanted.tag)
            st.rerun()
        if st.button("Mark as normal", key=f"to_normal{place}", icon=":material/school:", help=_NORMAL):
            _normal(view, ids)


_NORMAL = (
    "They become training normals of a version of their own, from which the next fit learns; this dataset and its runs "
    "stay as they are."
)


def _choice(view: Browsing, shown: pd.DataFrame) -> list[int]:
    """The rows that are chosen in a table of the images shown."""
    event: Any = st.dataframe(
        _choices(shown, view.key, view.wanted),
        hide_index=True,
        height=260,
        key=f"choose_{view.info.id}_{view.subset}",
        on_select="rerun",
        selection_mode="multi-row",
        alt="Images to choose from",
    )
    return [row for row in event["selection"]["rows"] if row < len(shown)] if event else []


@st.cache_resource(max_entries=16, show_spinner=False)
def _choices(_shown: pd.DataFrame, key: tuple[Any, ...], wanted: Wanted) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "File": _shown["template_path"].tolist(),
            "Score": _shown["score"].tolist(),
            "Called": _shown["set"].where(_shown["set"] != "", _shown["called"].map(_called)).tolist(),
        }
    )


def _called(level: float) -> str:
    return f"L{level:g}" if np.isfinite(level) else ""


def _tagged(count: int | bool | None, words: str) -> None:
    if count is not None:
        st.toast(plain(f"{int(count):,} images {words}."))
        st.rerun()


def _normal(view: Browsing, ids: list[str]) -> None:
    """Keep a version in which images are training normals, and put it in view."""

    def made() -> str:
        store = engine.store()
        return store.add_dataset(Imported(with_normals(store.dataset(view.info.id), ids), view.info.problems))

    if dataset_id := session.attempt(made):
        st.toast("Marked as normal; the new version is in view, and the next fit learns from them.")
        session.put(dataset=dataset_id, image=None, run=None, runs=None, page=None)
        st.rerun()
