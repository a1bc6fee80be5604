"""The switch between original and audited labels, and metrics on either."""

from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.consensus import RULE_IN_WORDS, RULES, consensus_of, corrections
from mad_core.audit.consequence import with_audited
from mad_core.audit.labels import AuditStore
from mad_core.metrics.comparing import summarize_rows
from mad_core.runs.store import DatasetInfo, Run
from pages.ui import engine, session
from pages.ui.text import plain
from pages.ui.widgets import pick

ORIGINAL, AUDITED = "original", "audited"


def labels_in_view(info: DatasetInfo) -> pd.DataFrame | None:
    """Draw the switch; gives the audited labels where they are chosen, else None. Nothing without an audit."""
    if not AuditStore(engine.store()).standing(info.id):
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Labels",
            [ORIGINAL, AUDITED],
            required=True,
            **session.bound("labels", [ORIGINAL, AUDITED], ORIGINAL),
        )
        if chosen != AUDITED:
            return None
        audited = consensus_of(AuditStore(engine.store()), info.id, rule_choice())
    kept = "Severity from maps and the benchmark table keep the original labels."
    st.caption(plain(f"{corrections_in_words(audited)} {kept}"))
    return audited


def rule_choice() -> str:
    """The rule that makes one label out of several ratings, bound to the view."""
    words = {name: name.capitalize() for name in RULES}
    meaning = "\n".join(f"- {name}: {plain(RULE_IN_WORDS[name])}" for name in RULES)
    return pick("Rule", "rule", RULES, words, width=180, help=meaning)


def corrections_in_words(audited: pd.DataFrame) -> str:
    """How many labels the audit moves, and how many are contested."""
    moved, contested = len(corrections(audited)), sum(audited["contested"].tolist())
    sentence = f"The audit moves {moved:,} of {len(audited):,} labels" if moved else "The audit moves no label"
    return f"{sentence}; {contested:,} are contested and not decided." if contested else f"{sentence}."


def digest_of(audited: pd.DataFrame) -> int:
    """Changes whenever an audited label does; lets what was computed on the labels be kept."""
    return hash(tuple(zip(audited["image_id"], audited["audited"].fillna(-1.0), strict=True)))  # NaN is not itself


def rows(run: Run, audited: pd.DataFrame | None) -> pd.DataFrame:
    """The images of a run with their scores, on original or audited labels."""
    table = engine.table(run)
    return table if audited is None else with_audited(table, audited)


def metrics(run: Run, subset: str | None, draws: int, audited: pd.DataFrame | None) -> dict[str, Any]:
    """The metrics of a run, of one subset or of all its subsets, on original or audited labels."""
    if audited is None:
        return engine.metrics(run, subset, draws)
    digest = digest_of(audited)
    subsets = (subset,) if subset else run.subsets
    return _metrics(rows(run, audited), subsets, draws, (run.id, run.done, run.status, run.finished, digest))


@st.cache_data(max_entries=128, show_spinner=False)
def _metrics(_rows: pd.DataFrame, subsets: tuple[str, ...], draws: int, state: tuple[Any, ...]) -> dict[str, Any]:
    rows_of: Any = _rows[_rows["subset"].isin(subsets)]
    return summarize_rows(rows_of, draws=draws)
