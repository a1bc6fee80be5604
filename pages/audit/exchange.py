"""The Export and import section of the Audit page: corrected labels, the record of events, and the change report."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.change_report import change_report
from mad_core.audit.consensus import RULES, consensus_of
from mad_core.audit.exchange import (
    events_csv,
    events_from_text,
    events_json,
    template_csv,
    template_files,
    template_name,
    zipped,
)
from mad_core.audit.labels import Merged
from mad_core.errors import InputError
from mad_core.runs.comparing import distinct_names
from mad_core.runs.uploads import safe_name
from pages.audit.context import Audit, records
from pages.audit.review_queue import scored_runs
from pages.ui import engine, session
from pages.ui.audited_labels import corrections_in_words, rule_choice
from pages.ui.text import plain
from pages.ui.widgets import download, pick, pick_subset

REPORTED = 4
"""Runs whose metrics the change report shows, the newest ones."""
NO_RUN = "without scores"
MERGED = "audit_merged"


def exchange_section(audit: Audit) -> None:
    """Downloads on the left, import on the right."""
    left, right = st.columns(2, gap="large")
    with left:
        _labels(audit)
        _report(audit)
        _record(audit)
    with right:
        _import(audit)


def _labels(audit: Audit) -> None:
    st.header("Corrected labels", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = rule_choice()
        runs = {run.id: run for run in scored_runs(audit)}
        names = {NO_RUN: NO_RUN} | distinct_names(list(runs.values()))
        scored = "A run's scores in the same table, so that evaluate measures them on the audited labels."
        first = next(iter(runs), NO_RUN)
        run = pick("Scores", "exported", list(names), names, first, width=220, help=scored)
        subsets = audit.dataset.subsets
        subset = pick_subset("table", subsets, width=180)
    audited = consensus_of(records(), audit.info.id, rule)
    st.caption(plain(corrections_in_words(audited)))
    scores = _scores(runs.get(run))
    with st.container(horizontal=True):
        download(
            "Corrected labels",
            template_name(audit.dataset, subset),
            lambda: template_csv(audit.dataset, audited, subset, scores),
            help="This subset in the benchmark's format.",
        )
        if len(subsets) > 1:
            download(
                "All subsets",
                "corrected-labels.zip",
                lambda: zipped(template_files(audit.dataset, audited, scores)),
                icon=":material/folder_zip:",
                help="A table for each subset. In the dataset's folder they stand in place of its folders' levels.",
            )


def _scores(run: Any) -> Mapping[str, float] | None:
    if run is None:
        return None
    table = engine.table(run)
    return dict(zip(table["image_id"], table["score"], strict=True))


def _report(audit: Audit) -> None:
    """The change report for whoever owns the dataset."""
    st.header("Change report", anchor=False)
    st.caption("What the audit changes and why, for the dataset's owner: one HTML file that needs nothing else.")
    rule = session.get("rule", RULES[0])
    run_ids = [run.id for run in scored_runs(audit)][-REPORTED:]
    download(
        "Change report",
        f"{safe_name(audit.info.name).replace(' ', '-')}-label-audit.html",
        lambda: change_report(records(), audit.info.id, rule if rule in RULES else RULES[0], run_ids),
        icon=":material/description:",
    )


def _record(audit: Audit) -> None:
    st.header("Record", anchor=False)
    events = records().originals(audit.info.id)
    if not events:
        st.info("The record is empty: nobody has rated, compared or commented yet.", icon=":material/info:")
        return
    st.caption(f"{len(events):,} events, those that were taken back included.")
    with st.container(horizontal=True):
        download("Events as CSV", "audit-events.csv", lambda: events_csv(records().originals(audit.info.id)))
        download("Events as JSON", "audit-events.json", lambda: events_json(records().originals(audit.info.id)))


# -- import ---------------------------------------------------------------------------------------


def _import(audit: Audit) -> None:
    st.header("Import events", anchor=False)
    st.caption(
        "Events of another database, as CSV or JSON. They find their images by content; what is here already is not "
        "doubled, and nothing is lost."
    )
    if audit.reviewer.role != "adjudicator":
        st.info("An adjudicator can import events, since they carry other people's names.", icon=":material/info:")
        return
    file = st.file_uploader("File of events", type=["csv", "json"], key="audit_import")
    if file is None:
        return
    asked = (audit.info.id, file.file_id)
    if st.session_state.get(MERGED, (None, None))[0] != asked:
        merged = session.attempt(lambda: _merge(audit, file.getvalue(), file.name))
        if not isinstance(merged, Merged):
            return
        st.session_state[MERGED] = (asked, merged)
    _came(st.session_state[MERGED][1])


def _merge(audit: Audit, data: bytes, name: str) -> Merged:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not a text in UTF-8; export the events again.") from None
    return records().merge(events_from_text(text, name), by=audit.reviewer.name)


def _came(merged: Merged) -> None:
    """What came of an import, in words."""
    st.success(f"{merged.added:,} events are new here, {merged.known:,} were here before.", icon=":material/check:")
    if merged.unmatched:
        st.warning(
            f"{len(merged.unmatched):,} events are about images that are in no dataset here. They are kept, and come "
            "up once such a dataset is imported.",
            icon=":material/warning:",
        )
        rows = [(f"{e.subset}/{e.path}", e.reviewer, e.kind) for e in merged.unmatched[:200]]
        st.dataframe(
            pd.DataFrame(rows, columns=["Image", "Reviewer", "Event"]), hide_index=True, alt="Events without an image"
        )
    for problem in merged.problems[:20]:
        st.warning(plain(problem), icon=":material/warning:")
