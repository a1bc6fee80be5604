"""Scores made elsewhere: upload result files, and see what of them did not fit."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.errors import InputError
from mad_core.runs.imported_scores import ImportedRun, import_results, mismatch_lines
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.uploads import safe_name
from pages.ui import engine, session
from pages.ui.text import plain


def add_results(info: DatasetInfo) -> None:
    """A fold in which result files are uploaded and become runs on the dataset in view."""
    with st.expander("Add scores made elsewhere", icon=":material/upload_file:"):
        st.caption(
            "Result files as the benchmark publishes them: Path, Severity, Anomaly Score, a file a subset, called "
            "model\\_dataset\\_subset.csv, or one file with a column Subset; without severities the dataset's count. "
            "Rows are matched by path; what does not fit is listed, never guessed."
        )
        with st.form("add_results", border=False, clear_on_submit=True):
            files = st.file_uploader("Result files", type=["csv", "tsv", "xlsx"], accept_multiple_files=True)
            with st.container(horizontal=True):
                title = st.text_input("Title (optional)", placeholder="as the model in the file names", max_chars=190)
                note = st.text_input("Where they come from (optional)", placeholder="GPT-4o, May, temperature 0")
            asked = st.form_submit_button("Add")
        if asked:
            added = session.attempt(lambda: _keep(info, files, title, note))
            if added:
                shown = session.get_list("runs")
                session.put(runs=[*shown, *(one.run.id for one in added)] if shown else None)
                st.rerun()


def what_did_not_fit(runs: Sequence[Run], names: Any) -> None:
    """Of every imported run: what readers should know of its scores, and a fold with what did not fit."""
    for run in runs:
        facts = run.record.get("imported")
        if not run.imported or not facts:
            continue
        for note in facts["notes"]:
            st.warning(plain(f"{names[run.id]}: {note}"), icon=":material/warning:")
        if facts["mismatches"]:
            counted = ", ".join(mismatch_lines(facts["counts"]))
            with st.expander(f"{plain(names[run.id])} does not fit everywhere: {counted}"):
                table = pd.DataFrame(facts["mismatches"])[["file", "path", "message"]]
                table.columns = ["File", "Path", "What does not fit"]
                st.dataframe(table, hide_index=True, width="stretch", height=min(320, 38 + 35 * len(table)))
                if len(table) < sum(facts["counts"].values()):
                    st.caption("The first of each kind; the command import-results lists all with --json.")


def _keep(info: DatasetInfo, files: Sequence[Any], title: str, note: str) -> list[ImportedRun]:
    if not files:
        raise InputError("Choose at least one result file.")
    with TemporaryDirectory() as folder:
        paths = []
        for number, file in enumerate(files):
            path = Path(folder) / str(number) / safe_name(file.name)
            path.parent.mkdir()
            path.write_bytes(file.getvalue())
            paths.append(path)
        try:
            return import_results(engine.store(), info.id, paths, title=title, note=note)
        except InputError as error:  # the folder is no business of the reader's
            raise InputError(_without_folders(str(error), paths)) from None


def _without_folders(sentence: str, paths: Sequence[Path]) -> str:
    for path in paths:
        sentence = sentence.replace(str(path), path.name)
    return sentence
