"""What an import would make of a source: shown before anything is stored, and corrected here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import SPLITS, Problem
from mad_core.datasets.plan import COLUMNS, FOLDER_ROLES, LABELS, ImportPlan, PlanRow, level_told, parse_plan
from mad_core.errors import InputError, NotFoundError
from mad_core.pixels import PixelRange, Window
from mad_core.runs.jobs import ImportJob, submit
from mad_core.runs.queue import Job
from pages.data.normals import normals_choice
from pages.data.problems import READ, in_short, listed_problems
from pages.data.window import BEFORE, told_window
from pages.ui import engine, session
from pages.ui.text import plain

EDITED = ("Role", "Split", "Subset", "Level")
_ROLES = [*FOLDER_ROLES, LABELS, *COLUMNS, "asked"]


def show_plan() -> None:
    """The plan of the source that was looked at last, until it is stored or put away."""
    job = _looked_at()
    if job is None or not job.result:
        return
    plan = plan_of(job.result)
    with st.container(border=True):
        st.header("What will be imported")
        st.caption(f"{plain(job.payload['name'] or job.payload['source'])}: nothing is stored yet.")
        if sentence := job.result.get("sentence"):
            _asked(job, plan, sentence)
        _counts(job.result)
        _windows(job.result.get("windows", {}))
        normals = normals_choice(job.result.get("without_normals", []), job.result["images"], f"normals_{job.id}")
        corrections = _table(plan, job.id)
        if job.result["more"]:
            st.caption(f"{job.result['more']:,} more rows are in the file of the plan.")
        usable = bool(job.result["images"] or job.result.get("sentence"))
        if not usable:
            st.error("As it is, no image can be used; the problems say why.", icon=":material/error:")
        _problems(job.result.get("problems", []), expanded=not usable)
        _buttons(job, plan, corrections, normals)


def _asked(job: Job, plan: ImportPlan, sentence: str) -> None:
    """What nothing says, and the ways to say it."""
    st.warning(plain(sentence), icon=":material/help:")
    if job.result and job.result.get("without_levels"):
        if st.button("Test them without levels", type=_kind(not _proposed(plan)), icon=":material/label_off:"):
            _queue(job, lambda: plan, look=True, unlabelled=True)
        st.caption("They are scored, browsed and sorted like others, and can be graded later, under Audit.")
    if plan.asked:
        st.caption("Or say it in the table: the level of each name, none to test without a level, or left out.")
    elif plan.rows:
        st.caption("Choose under Became which column is the path or the level, then look again.")


def _proposed(plan: ImportPlan) -> bool:
    """Whether the names of some levels are known."""
    return any(row.proposed is not None for row in plan.asked)


def _kind(first: bool) -> Literal["primary", "secondary"]:
    """How a button looks: the one thing to do next, or another way."""
    return "primary" if first else "secondary"


def _looked_at() -> Job | None:
    job_id = st.session_state.get("look")
    if job_id is None:
        return None
    try:
        return engine.store().queue.job(job_id)
    except NotFoundError:
        return None


def plan_of(result: Mapping[str, Any]) -> ImportPlan:
    """The plan that a look at a source found, with its rows."""
    return replace(parse_plan(result["plan"]), rows=tuple(PlanRow.from_json(row) for row in result["rows"]))


def _counts(result: Mapping[str, Any]) -> None:
    parts = []
    for entry in result.get("counts", []):
        for split in SPLITS:
            if entry.get(split):
                levels = ", ".join(f"L{level}: {n:,}" for level, n in entry[split].items())
                parts.append(f"{entry['subset']}, {split}: {levels}")
        if entry.get("unlabelled"):
            parts.append(f"{entry['subset']}, test: {entry['unlabelled']:,} without a level")
    for part in parts[:12]:
        st.markdown(plain(part))


def _windows(windows: Mapping[str, Any]) -> None:
    """Through what pictures deeper than 8 bits would be seen."""
    for subset, facts in list(windows.items())[:6]:
        window = Window.from_json(facts.get("window"))
        if window is not None:
            with st.expander(f"Window of {plain(subset)}: {window}", icon=":material/contrast:"):
                told_window(window, PixelRange.from_json(facts.get("pixels")), f"look_{subset}", BEFORE)


def _table(plan: ImportPlan, job_id: int) -> pd.DataFrame:
    """The rows of the plan, to be corrected; levels that are proposed stand in their place already."""
    return st.data_editor(
        table_of(plan),
        key=f"plan_{job_id}",
        hide_index=True,
        width="stretch",
        placeholder="",
        disabled=["What", "Name", "Files", "Example", "Why"],
        column_config={
            "What": st.column_config.TextColumn(width=80),
            "Name": st.column_config.TextColumn(width="medium"),
            "Why": st.column_config.TextColumn(width="large"),
            "Role": st.column_config.SelectboxColumn("Became", options=_ROLES, required=True),
            "Split": st.column_config.SelectboxColumn(options=["", *SPLITS]),
            "Level": st.column_config.TextColumn(
                help="0 is normal, higher is more severe; fractions are levels, too. none: test images without a level."
            ),
            "Files": st.column_config.NumberColumn(format="localized"),
        },
    )


def table_of(plan: ImportPlan) -> pd.DataFrame:
    """The rows of a plan as a table of texts and numbers of files."""
    rows = []
    for row in plan.rows:
        shown = row.to_json()
        proposed = "" if row.proposed is None else f"; level {shown['proposed']} is proposed"
        rows.append(
            {
                "What": row.kind,
                "Name": row.name,
                "Role": row.role,
                "Split": row.split,
                "Subset": row.subset,
                "Level": shown.get("level", shown.get("proposed", "")),
                "Files": row.images,
                "Example": row.example,
                "Why": f"{row.note}{proposed}",
            }
        )
    return pd.DataFrame(rows, columns=["What", "Name", "Role", "Split", "Subset", "Level", "Files", "Example", "Why"])


def corrected(plan: ImportPlan, table: pd.DataFrame) -> ImportPlan:
    """The plan with what a person changed in its table, and with the levels that are proposed there.

    Raises
    ------
    InputError
        If a level is no number.
    """
    for row, before, after in zip(plan.rows, table_of(plan).to_dict("records"), table.to_dict("records"), strict=True):
        now = {name: str(after[name] or "").strip() for name in EDITED}
        asked = row.role == "asked" and now["Level"]
        if not asked and now == {name: before[name] for name in EDITED}:
            continue
        level = level_told(now["Level"]) if now["Level"] else None
        if now["Level"] and level is None:
            raise InputError(
                f"The level '{now['Level'][:40]}' of '{row.name[:80]}' is not a number from 0 up, nor none."
            )
        plan = plan.corrected(row, role=now["Role"], split=now["Split"], subset=now["Subset"], level=level)
    return plan


def _problems(problems: list[dict[str, str]], expanded: bool) -> None:
    met = [Problem(**problem) for problem in problems]
    if met:
        with st.expander(in_short(met), expanded=expanded or len(met) <= READ, icon=":material/warning:"):
            listed_problems(met)


def _buttons(job: Job, plan: ImportPlan, table: pd.DataFrame, normals: str) -> None:
    with st.container(horizontal=True):
        first = _proposed(plan) or not (job.result or {}).get("without_levels")
        if st.button("Store these images", type=_kind(first), icon=":material/check:"):
            _queue(job, lambda: corrected(plan, table), look=False, normals_from=normals)
        if st.button("Look again with these corrections", icon=":material/refresh:"):
            _queue(job, lambda: corrected(plan, table), look=True, normals_from="")
        st.download_button("Plan as YAML", plan.to_yaml(), "plan.yaml", "text/yaml", icon=":material/download:")
        if st.button("Put away", icon=":material/close:"):
            st.session_state.pop("look", None)
            st.rerun()


def _queue(job: Job, told: Callable[[], ImportPlan], **asked: Any) -> None:
    def ask() -> int:
        payload = {**job.payload, "plan": told().to_yaml(), **asked}
        return submit(engine.store().queue, ImportJob.from_json(payload))

    if session.attempt(ask):
        st.session_state.pop("look", None)
        st.rerun()
