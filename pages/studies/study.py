"""One study: its question, how to read it, its work live, and what it found."""

import importlib
import importlib.util
import json
from collections.abc import Collection, Sequence
from typing import Any

import streamlit as st

from mad_core.errors import MadError
from mad_core.figures.plot import Plot
from mad_core.runs.comparing import distinct_names
from mad_core.runs.store import DatasetInfo, Run
from mad_core.studies.export import opaque, slug, table_csv
from mad_core.studies.finding import Finding
from mad_core.studies.record import (
    StudyRecord,
    StudyRequest,
    cancel_study,
    find_study,
    list_studies,
    read_study,
    request_study,
)
from mad_core.studies.study import StudyInfo, figures, studies
from pages.ui import charts, engine, header, session, tiles
from pages.ui.fields import dataset_field, field, key_of
from pages.ui.gallery import gallery
from pages.ui.reading import how_to_read
from pages.ui.text import plain
from pages.ui.widgets import download, pick_several

LIVE_SECONDS = 1.0
STRIP = 8
MODES = {"quick": "Quick: a sample", "full": "Full: every image"}
_ASKED = "studies_asked"
WORDS = {"queued": "waiting", "running": "at work", "done": "found", "failed": "failed", "cancelled": "stopped"}


def studying(info: DatasetInfo, runs: Sequence[Run]) -> None:
    """The list of studies and the one in view.

    Parameters
    ----------
    runs : sequence of Run
        Those of the dataset that have scores; without one, only studies that need none can be asked.
    """
    by_id = {one.id: one for one in studies()}
    chosen = _runs(runs) if runs else []
    latest = {record.study: record for record in list_studies(engine.store(), info.id)}
    choice, panel = st.columns([1, 3], gap="large")
    with choice:
        first = next(one.id for one in by_id.values() if runs or not one.least_runs)
        name = st.radio(
            "Studies",
            list(by_id),
            format_func=lambda s: plain(by_id[s].title),
            captions=[_in_short(latest.get(s), tuple(chosen)) for s in by_id],
            label_visibility="collapsed",
            **session.bound("study", list(by_id), first),
        )
        _all_button(info, tuple(chosen))
    with panel:
        _panel(info, by_id[name or first], tuple(chosen), latest.get(name or first))


def _runs(runs: Sequence[Run]) -> list[str]:
    names, ids = distinct_names(runs), [run.id for run in runs]
    return pick_several("Runs", "studied", ids, names, ids)


def _in_short(latest: StudyRecord | None, runs: tuple[str, ...]) -> str:
    """How the newest study of this kind stands, and whether it was asked of something else than what is chosen."""
    if latest is None:
        return "not asked yet"
    same = StudyRequest(latest.dataset_id, latest.study, runs, latest.parameters, latest.quick, latest.seed)
    try:
        now = find_study(engine.store(), same)
    except MadError:  # a version before had other parameters
        now = None
    return WORDS[latest.status] if now and now.id == latest.id else f"{WORDS[latest.status]}, for other runs or scores"


def _panel(info: DatasetInfo, study: StudyInfo, runs: tuple[str, ...], latest: StudyRecord | None) -> None:
    st.header(plain(study.title), anchor=False)
    st.markdown(plain(study.question))
    with st.expander("How to read this", icon=":material/menu_book:"):
        st.markdown(plain(study.about))
        st.caption(plain(f"It needs: {study.needs}"))
    parameters: dict[str, Any] = {}
    if study.parameters:
        with st.expander("Parameters", icon=":material/tune:"):
            parameters = _parameters(info, study)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mode = st.segmented_control(
            "Mode", list(MODES), format_func=MODES.__getitem__, **session.bound("mode", list(MODES), "quick")
        )
        request = StudyRequest(info.id, study.id, runs, parameters, quick=mode != "full")
        stored = session.attempt(lambda: (find_study(engine.store(), request),))
        record = stored[0] if stored else None
        _button(study, request, record)
    missing = _missing(study, request)
    if missing:
        st.caption(missing)
    if record is None and latest is not None:
        st.info(plain(_earlier(info, latest)), icon=":material/history:")
        record = latest
    if record is None:
        if study.least_runs == 0:
            st.caption("This has not been asked of this dataset yet. It needs no run.")
        elif not missing:
            st.caption("This has not been asked of these runs yet. Scores that are there are not made again.")
        return
    if record.active:
        st.fragment(_live, run_every=LIVE_SECONDS)(record.id)
    elif record.status == "failed":
        st.error(plain(record.error or "The study failed."), icon=":material/error:")
    elif record.status == "cancelled":
        st.warning("Stopped; asking again goes on.", icon=":material/pause:")
    if record.finding is not None:
        _finding(info, record.finding)


def _earlier(info: DatasetInfo, latest: StudyRecord) -> str:
    """What the finding that is shown was asked of, where that is not what is chosen now."""
    runs = {run.id: run for run in engine.store().runs(info.id)}
    names = distinct_names(list(runs.values()))
    gone = len([run for run in latest.runs if run not in runs])
    titles = [names[run] for run in runs if run in latest.runs] + ([f"{gone} that were deleted"] if gone else [])
    of = f" of {', '.join(titles)}" if titles else ""
    how = "a sample" if latest.quick else "every image"
    return (
        f"This was asked earlier,{of or ' of this dataset'}, with {how}; that stands below. Runs, scores or parameters "
        "are others now: run the study to ask it of them."
    )


def _button(study: StudyInfo, request: StudyRequest, record: StudyRecord | None) -> None:
    done = record is not None and record.status == "done"
    active = record is not None and record.active
    why = _missing(study, request)
    label = "Ask again" if done else "Run the study"
    kind = "secondary" if done else "primary"
    if st.button(
        label, key=f"ask_{study.id}", type=kind, disabled=active or why is not None, help=why
    ) and session.attempt(lambda: request_study(engine.store(), request, force=done)):
        st.rerun()


def _missing(study: StudyInfo, request: StudyRequest) -> str | None:
    """What it needs that is not chosen; None if nothing is missing."""
    return study.missing([engine.store().run(run_id) for run_id in request.runs])


def _all_button(info: DatasetInfo, runs: tuple[str, ...]) -> None:
    """Queue every study that can be asked of these runs, quick and with its defaults; name the other ones."""
    hint = "Every study that these runs allow, quick and with its defaults; what the other ones need is said."
    st.button("Run all studies", help=hint, on_click=_ask_all, args=(info.id, runs))
    for sentence in st.session_state.pop(_ASKED, []):
        st.caption(plain(sentence))


def _ask_all(dataset_id: str, runs: tuple[str, ...]) -> None:
    asked, missing = 0, []
    for study in studies():
        request = StudyRequest(dataset_id, study.id, runs)
        why = _missing(study, request)
        if why:
            missing.append(why)
        elif session.attempt(lambda one=request: request_study(engine.store(), one)):
            asked += 1
    st.session_state[_ASKED] = [f"{asked} studies are asked, quick and with their defaults.", *missing]


def _parameters(info: DatasetInfo, study: StudyInfo) -> dict[str, Any]:
    """Its parameters as widgets; another dataset is chosen from those that are here."""
    columns, values, owner = st.columns(2), {}, f"study_{study.id}"
    for number, parameter in enumerate(study.parameters):
        with columns[number % 2]:
            if parameter.name == "against":
                others = [one for one in engine.store().datasets() if one.id != info.id]
                values["against"] = dataset_field(parameter, key_of(f"{owner}_{info.id}", "against"), others)
            else:
                values[parameter.name] = field(parameter, key_of(owner, parameter.name))
    return values


def _live(study_id: str) -> None:
    store = engine.store()
    record = read_study(store, study_id)
    job = store.queue.latest_for(record.job_key)
    if not record.active or job is None:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(header.share(job) or 0.0, text=plain(header.describe(job)))
        if st.button("Cancel", key=f"cancel_study_{study_id}"):
            cancel_study(store, study_id)


# -- what it found --------------------------------------------------------------------------------


def _finding(info: DatasetInfo, finding: Finding) -> None:
    st.markdown(f"**{plain(finding.sentence)}**")
    st.caption(plain(finding.caveat))
    live = _live_section(info, finding)
    plots = figures(finding, charts.theme())
    for plot in plots:
        if plot.title not in live:
            _plot(plot, f"{finding.study}-{slug(plot.title)}")
    for name, ids in finding.images.items():
        _strip(info, finding.study, name, ids)
    _take_away(finding, plots)


def _live_section(info: DatasetInfo, finding: Finding) -> Collection[str]:
    """Controls that move what was found, where ``pages/studies`` has a module of the study's name.

    Returns
    -------
    collection of str
        Titles of the figures that stand in it already.
    """
    module = f"{__package__}.{finding.study.replace('-', '_')}"
    if importlib.util.find_spec(module) is None:
        return ()
    return importlib.import_module(module).of_finding(info, finding) or ()


def _plot(plot: Plot, name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(plot.title)}**", width="content")
        how_to_read(plot.how_to_read, key=name)
    st.plotly_chart(
        plot.figure,
        theme=None,
        width="stretch",
        key=f"figure_{name}",
        alt=f"{plot.title}: {plot.alt}",
        config={
            "displaylogo": False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": {"format": "svg", "filename": name},
        },
    )


def _strip(info: DatasetInfo, study: str, name: str, ids: Sequence[str]) -> None:
    shown = tiles.tiles_of(info, ids)[:STRIP]
    if not shown:
        return
    st.markdown(f"**{plain(name)}**")
    opened = gallery(shown, columns=STRIP, key=f"strip_{study}_{slug(name)}")
    if opened:
        st.session_state["studies_open"] = True
        session.put(image=opened, subset=engine.store().image(info.id, opened)["subset"], split=None)
        st.rerun()


def _take_away(finding: Finding, plots: Sequence[Plot]) -> None:
    """The tables as CSV, the figures as HTML that needs no network, all of it as JSON."""
    with st.expander("Tables", icon=":material/table_chart:"):
        for name, table in finding.tables.items():
            charts.show_table(table, f"{finding.title}: {name}")
    with st.popover("Download", icon=":material/download:"):
        for name, table in finding.tables.items():
            _file(f"{name} (CSV)", f"{finding.study}-{slug(name)}.csv", lambda t=table: table_csv(t))
        for plot in plots:
            name = f"{finding.study}-{slug(plot.title)}.html"
            _file(f"{plot.title} (HTML)", name, lambda f=plot.figure: _html(f))
        _file("Everything (JSON)", f"{finding.study}.json", lambda: json.dumps(finding.to_json()))


def _html(figure: Any) -> str:
    return opaque(figure, charts.theme()).to_html(include_plotlyjs=True)


def _file(label: str, name: str, data: Any) -> None:
    download(plain(label), name, data, icon=None, key=f"take_{name}")
