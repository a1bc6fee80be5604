"""Watch runs: the list of a dataset's runs, and one of them live."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from mad_core.figures import READ_RAINCLOUD, describe_raincloud, raincloud
from mad_core.labelled import labelled
from mad_core.metrics.comparing import READ_METRICS
from mad_core.metrics.names import headline
from mad_core.metrics.summary import ordered
from mad_core.palette import Theme
from mad_core.runs.comparing import distinct_names
from mad_core.runs.imported_scores import provenance
from mad_core.runs.results import reading_notes, run_scores_csv
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.store.latest import LatestAnswer
from mad_core.runs.store.runs import LONGEST_NOTE
from mad_core.runs.store.usage import Usage
from mad_core.scorers.contract import OK
from pages.score.joined import joined_section
from pages.score.multimodal import asks_a_model
from pages.ui import charts, engine, header, session
from pages.ui.answers import latest
from pages.ui.labels_note import labels_note
from pages.ui.reading import how_to_read
from pages.ui.table import metric_table
from pages.ui.text import duration, level_names, plain, shortened, size
from pages.ui.widgets import download

LIVE_SECONDS = 1.0
ANSWERS, ANSWERS_HEIGHT = 8, 320
SHORT_NOTE = 60
"""Characters of a note in the list of runs."""
WORDS = {"queued": "waiting", "running": "at work", "done": "done", "failed": "failed", "cancelled": "stopped"}


def watch(info: DatasetInfo) -> None:
    """The runs of a dataset, newest first, and the one in view with its numbers as they come."""
    if st.session_state.pop("score_open", False):
        session.open_page("pages/images/page.py")
    runs = session.runs_in_view(info)[::-1]
    first = run_in_view(info)
    if first is None:
        st.info("No scorer has been run on this dataset yet.", icon=":material/info:")
        return
    by_id, names = {run.id: run for run in runs}, distinct_names(runs)
    choice, panel = st.columns([1, 3], gap="large")
    binding = session.bound("watched", list(by_id), first.id)

    def change(*given: Any) -> None:
        run = by_id[st.session_state["view_watched"]]
        if binding["on_change"](*given) and run.done:  # the other pages show it, too
            session.put(run=run.id)

    watched: dict[str, Any] = {**binding, "on_change": change}
    with choice:
        chosen = st.radio(
            "Runs",
            list(by_id),
            format_func=lambda r: plain(names[r]),
            label_visibility="collapsed",
            captions=[plain(_in_short(run)) for run in runs],
            **watched,
        )
    session.put(watched=chosen or first.id)  # stays in view when it ends and another one starts
    with panel:
        run = by_id[chosen or first.id]
        st.fragment(_panel, run_every=LIVE_SECONDS if run.active else None)(info, run.id)


def run_in_view(info: DatasetInfo) -> Run | None:
    """The run that is watched, else the other pages' one, the first at work, the newest; None where there is none."""
    runs = session.runs_in_view(info)
    by_id = {run.id: run for run in runs}
    asked = by_id.get(session.get("watched")) or by_id.get(session.get("run"))
    return asked or next((run for run in runs if run.active), runs[-1] if runs else None)


def _in_short(run: Run) -> str:
    when = datetime.fromtimestamp(run.created).strftime("%d %b, %H:%M")
    word = "imported" if run.imported else WORDS[run.status]
    note = [shortened(run.note, SHORT_NOTE)] if run.note else []
    if run.active:  # how far it is stands in the panel alone, where it is renewed
        return " · ".join([word, when, *note])
    images = f"{run.total:,} images" if run.status == "done" else f"{run.done:,} of {run.total:,} images"
    return " · ".join([word, images, when, *note])


def _panel(info: DatasetInfo, run_id: str) -> None:
    run = engine.store().run(run_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(plain(run.title), anchor=False, width="stretch")
        _actions(run)
    if run.note:
        st.markdown(plain(run.note))
    _state(run)
    if run.done:
        _numbers(run)
        joined_section(run)
        _answers(info, run)
        _cloud(info, run)
    _notes(run)
    _record(run)


# -- what the run is doing ------------------------------------------------------------------------


def _state(run: Run) -> None:
    job = engine.store().queue.latest_for(run.job_key)
    if run.active and job is not None:
        st.progress(header.share(job) or 0.0, text=plain(header.describe(job)))
    elif run.status == "failed":
        st.error(plain(run.error or "The run failed."), icon=":material/error:")
    elif run.status == "cancelled":
        st.warning(
            f"Stopped at {run.done:,} of {run.total:,} images; what was scored is kept.", icon=":material/pause:"
        )
    else:
        st.caption(plain(_finished(run)))


def _finished(run: Run) -> str:
    if run.imported:
        return f"{run.done:,} images · {provenance(run)}"
    entries = engine.store().run_subsets(run.id)
    scoring = sum(e.seconds_score for e in entries)
    facts = [f"{run.done:,} images"]
    if scoring > 0:
        facts.append(f"{run.done / scoring:.1f} images/s")
    facts.append(f"fitted in {duration(sum(e.seconds_fit for e in entries))}")
    facts.append(f"on {run.record.get('device', {}).get('id', run.device)}")
    used = _usage(run.id, engine.state(run))
    facts += [used.in_words()] if used else []
    maps = engine.store().maps.disk_use(run.id)
    return " · ".join([*facts, f"maps {size(maps)}"] if maps else facts)


def _actions(run: Run) -> None:
    store = engine.store()
    if run.active:
        if st.button("Cancel", help="After the current batch; what is scored is kept.", icon=":material/stop:"):
            _then_rerun(lambda: store.cancel_run(run.id))
    elif (
        run.done < run.total and not run.imported and st.button("Resume", icon=":material/play_arrow:", type="primary")
    ):
        _then_rerun(lambda: store.resume_run(run.id))
    failed = 0 if run.active or run.imported else _failed(run)
    if failed and st.button(f"Retry {failed} failed", icon=":material/refresh:"):
        _then_rerun(lambda: store.resume_run(run.id, retry_failed=True))
    with st.popover("More"):
        _more(run)


def _then_rerun(action: Callable[[], Any]) -> None:
    if session.attempt(action):
        st.rerun()


def _failed(run: Run) -> int:
    return int((~engine.table(run)["status"].isin((OK, "waiting"))).to_numpy().sum()) if run.done else 0


def _more(run: Run) -> None:
    if run.done:
        download(
            "Scores as CSV",
            f"{run.scorer}-{run.id}.csv",
            lambda: run_scores_csv(engine.store(), run.id),
            help="The benchmark's format: Path, Severity, Anomaly Score, then further columns.",
        )
    with st.form(f"rename_{run.id}", border=False):
        title = st.text_input("Title", run.title, max_chars=190)
        if st.form_submit_button("Rename"):
            _then_rerun(lambda: engine.store().rename_run(run.id, title))
    with st.form(f"note_{run.id}", border=False):
        help = "Stands in the list of runs, on Compare and in reports, too."
        note = st.text_area("Note", run.note or "", max_chars=LONGEST_NOTE, height=80, help=help)
        if st.form_submit_button("Keep note"):
            _then_rerun(lambda: engine.store().note_run(run.id, note))
    if run.active:
        st.caption("Cancel the run before deleting it.")
    elif st.button("Delete run", icon=":material/delete:"):
        _confirm_delete(run)


@st.dialog("Delete this run?")
def _confirm_delete(run: Run) -> None:
    st.markdown(f"**{plain(run.title)}**: its {run.done:,} scores and its maps will be deleted.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary"):
            _then_rerun(lambda: engine.store().delete_run(run.id))
        if st.button("Keep"):
            st.rerun()


# -- what it found --------------------------------------------------------------------------------


def _numbers(run: Run) -> None:
    rows = engine.table(run)
    if not labels_note(len(rows), len(labelled(rows)), "metrics"):
        return
    draws = 0 if run.active else 1000
    result = engine.metrics(run, None, draws)
    for column, metric in zip(st.columns(len(headline())), headline(), strict=True):
        value, interval = metric.value(result), metric.interval(result)
        below = "below chance" if metric.is_below_chance(value) else ""
        between = f"{metric.text(interval[0])} to {metric.text(interval[1])}" if interval else ""
        column.metric(
            metric.title,
            metric.text(value),
            delta=" · ".join(filter(None, (between, below))) or None,
            delta_color="off",
            delta_arrow="off",
            help=metric.read,
        )
    if len(run.subsets) > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Averages over the subsets. Scores of different subsets are never pooled.", width="content")
            how_to_read(READ_METRICS, "the table")
        rows = result["subsets"].items()  # with the same draws as alone
        metric_table([(name, subset) for name, subset in rows if subset["n_scored"]], first="Subset")


@st.cache_data(max_entries=256, show_spinner=False)
def _usage(run_id: str, state: tuple[Any, ...]) -> Usage | None:
    return engine.store().usage(run_id)


@st.cache_data(max_entries=64, show_spinner=False)
def _latest(run_id: str, done: int, state: tuple[Any, ...]) -> list[LatestAnswer]:
    return engine.store().latest_answers(run_id, ANSWERS)


def _answers(info: DatasetInfo, run: Run) -> None:
    """The last images with their reasons, for scorers that give reasons."""
    answers = _latest(run.id, run.done, engine.state(run))
    if not any(one.score is not None for one in answers) and not asks_a_model(run.scorer):
        return
    st.markdown("**Latest answers**")
    if not answers:
        st.caption("This run writes no reasons, or none has come yet.")
        return
    dataset = engine.store().dataset(info.id)
    levels = {name: dataset.levels(name, "test") for name in run.subsets}
    with st.container(height=ANSWERS_HEIGHT, border=False):
        latest(info, answers, levels)


def _cloud(info: DatasetInfo, run: Run) -> None:
    """Score against level on one subset; a click on a point opens its image."""
    names = list(run.subsets)
    subset = names[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(names) > 1:
            subset = st.segmented_control("Subset", names, **session.bound("subset", names, names[0])) or names[0]
        how_to_read(READ_RAINCLOUD, "the cloud")
    labels = dict(level_names(info.card.subset(subset)))
    figure, alt = _cloud_of(run, subset, labels, charts.theme(), run.id, engine.state(run))
    chosen = charts.show_clickable(figure, alt, f"cloud_{run.id}_{subset}")
    if chosen:  # a page is left in a full run only: leaving it in a fragment's can blank the browser
        st.session_state["score_open"] = True
        session.put(image=chosen, subset=subset, split=None, run=run.id)
        st.rerun()


@st.cache_resource(max_entries=32, show_spinner=False)
def _cloud_of(
    _run: Run, subset: str, labels: dict[float, str], theme: Theme, run_id: str, state: tuple[Any, ...]
) -> tuple[go.Figure, str]:
    rows = labelled(engine.table_of(_run, subset))
    arrays = ordered(rows)[0], rows["score"]
    figure = raincloud(
        *arrays,
        rows["image_id"].tolist(),
        level_names=labels,
        theme=theme,
        hover=rows["path"].tolist(),
        title=f"{subset}: score against severity level",
    )
    return figure, describe_raincloud(*arrays, level_names=labels)


def _notes(run: Run) -> None:
    """What a person should know of a run's scores and of how they were computed."""
    for note in reading_notes(engine.store(), run.id):
        st.caption(plain(note))
    for entry in engine.store().run_subsets(run.id):
        note, why = entry.facts.get("score_note"), entry.facts.get("computed_why")
        if note:
            st.warning(plain(f"{entry.subset}: {note}"), icon=":material/info:")
        if why and str(entry.facts.get("computed", "")).startswith("whole prompt"):
            st.caption(
                plain(f"{entry.subset}: the whole prompt was computed for every image, which is slower; {why[0]}.")
            )


def _record(run: Run) -> None:
    """What is needed to repeat the run."""
    with st.expander("Parameters and record"):
        facts = {
            "run": run.id,
            "scorer": run.scorer,
            "parameters": dict(run.parameters),
            "subsets": list(run.subsets),
            "limit": run.image_limit,
            "seed": run.seed,
            "maps": run.map_policy,
            "record": dict(run.record),
            "fits": [
                {"subset": e.subset, "fit": e.fit, "seconds": round(e.seconds_fit, 2)} | dict(e.facts)
                for e in engine.store().run_subsets(run.id)
            ],
        }
        st.json(facts, expanded=1)
