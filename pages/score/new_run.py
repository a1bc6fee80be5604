"""Choose a scorer from its card, set its parameters, queue a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mad_core.datasets.own_normals import way_chosen, without_normals
from mad_core.runs import consent
from mad_core.runs.commands import calibration_steps, score_command
from mad_core.runs.estimating import Pace, finished, from_probe, pace_of
from mad_core.runs.jobs import ProbeJob, submit
from mad_core.runs.parts import kind_of
from mad_core.runs.request import resolve_request
from mad_core.runs.store import DatasetInfo, Run, RunRequest
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.features import weights
from mad_core.scorers.named_paths import check_open, closed
from pages.score.multimodal import Asked, asking_form, asks_a_model
from pages.score.sending import needs_consent
from pages.ui import engine, session
from pages.ui.fields import fields, key_of, run_field
from pages.ui.header import describe
from pages.ui.text import duration, plain

COLUMNS = 3
LOOK_SECONDS = 1.0
MAPS = {"all": "Keep all", "on demand": "On demand", "none": "None"}


def cards(info: DatasetInfo) -> None:
    """Every scorer as a card, by family."""
    wanted = st.text_input("Search", placeholder="name, family or what it does", width=320, key="scorers_wanted")
    scorers = [scorer for scorer in catalog.scorers() if _fits(scorer, wanted)]
    runs = finished(engine.store())
    if not scorers:
        st.caption("No scorer fits these words.")
    for plugin in catalog.plugins():
        if plugin.why_not:
            st.warning(plain(plugin.why_not), icon=":material/extension_off:")
    for start in range(0, len(scorers), COLUMNS):
        for column, scorer in zip(st.columns(COLUMNS), scorers[start : start + COLUMNS], strict=False):
            with column, st.container(border=True, height="stretch"):
                _card(info, scorer, runs.get(scorer.id, []))


def _fits(scorer: ScorerInfo, wanted: str) -> bool:
    """Whether what a card says, or the scorer's id, holds every one of these words."""
    said = " ".join((scorer.id, scorer.title, scorer.family, scorer.summary, scorer.paper, scorer.needs)).casefold()
    return all(word in said for word in wanted.casefold().split())


def _card(info: DatasetInfo, scorer: ScorerInfo, runs: Sequence[Run]) -> None:
    missing = scorer.why_not(scorer.defaults())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(scorer.family[0].upper() + scorer.family[1:], width="stretch")
        if missing:
            st.badge("needs weights" if scorer.needs_weights else "not ready", color="orange")
        else:
            st.badge("ready", color="green")
    st.markdown(f"**{plain(scorer.title)}**  \n{plain(scorer.summary)}")
    needs = scorer.needs if missing else weights.at_hand(scorer.id, scorer.defaults()) or scorer.needs
    st.caption(" ".join(plain(text) for text in (needs, scorer.cost, _time(info, scorer, runs)) if text))
    st.space("stretch")
    if st.button(
        f"Set up {plain(scorer.title)}", key=f"set_up_{scorer.id}", type="secondary" if missing else "primary"
    ):
        _set_up(info, scorer)


def _time(info: DatasetInfo, scorer: ScorerInfo, runs: Sequence[Run]) -> str:
    """How long the dataset in view will take, where the scorer has worked here before."""
    pace = pace_of(engine.store(), runs, scorer.defaults())
    return f"Your images: {_about(pace, info)}." if pace else ""


def _about(pace: Pace, info: DatasetInfo, subsets: Sequence[str] = (), limit: int | None = None) -> str:
    seconds = pace.seconds(engine.store().dataset(info.id), subsets, limit)
    return f"about {duration(seconds)}, as fast as {pace.run.title} was on {pace.run.done:,} images"


@st.dialog("New run", width="large")
def _set_up(info: DatasetInfo, scorer: ScorerInfo) -> None:
    set_up(info, scorer)


def set_up(info: DatasetInfo, scorer: ScorerInfo) -> None:
    """Parameters, images and device of one run, then queue it."""
    st.markdown(f"**{plain(scorer.title)}**  \n{plain(scorer.paper)}")
    asked = asking_form(info, scorer) if asks_a_model(scorer.id) else Asked(_parameters(info, scorer))
    missing = closed(asked.parameters, engine.store().settings) or scorer.why_not(asked.parameters)
    if missing:
        st.warning(plain(missing), icon=":material/cloud_download:")
    if scorer.needs_fit and without_normals(engine.store().dataset(info.id)):
        st.warning("No image is known to be normal: choose on Data what detectors learn from.", icon=":material/help:")
    st.divider()
    request = _request(info, scorer, asked.parameters)
    pace = pace_of(engine.store(), finished(engine.store()).get(scorer.id, []), asked.parameters, request.device)
    host = needs_consent(info, scorer, asked.parameters)
    ready = missing is None and asked.problem is None and host != ""
    if pace is None and ready and host is None:
        st.fragment(_probe, run_every=LOOK_SECONDS)(info, request)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Queue run", type="primary", disabled=not ready):
            run = session.attempt(lambda: _queue(info, request, host))
            if run is not None:
                session.put(view=None, watched=run.id)
                st.rerun()
        time = f"It takes {_about(pace, info, request.subsets, request.limit)}. " if pace else ""
        st.caption(
            plain(asked.problem)
            if asked.problem
            else f"{plain(time)}Asked for before? Then the stored scores are shown and nothing is computed twice."
        )
    with st.expander("The same on the command line"):
        st.code(_command(info, scorer, request), language="shell", wrap_lines=True)


def _probe(info: DatasetInfo, request: RunRequest) -> None:
    """Where nothing like this was done here: two images are tried when somebody asks for it."""
    store = engine.store()
    payload = ProbeJob(info.id, request.scorer, request.parameters, *request.subsets[:1], seed=request.seed)
    job = store.queue.latest_for(payload.key)
    if job is not None and job.active:
        st.caption(plain(describe(job)))
    elif job is not None and job.result:
        least, most = from_probe(job.result, store.dataset(info.id), request.subsets, request.limit)
        words = f"more than {duration(least)}" if most is None else f"about {duration(least)}"
        words += f" to {duration(most)}" if most and duration(most) != duration(least) else ""
        st.caption(plain(f"By two of your images it takes {words}."))
    else:
        if job is not None and job.error:
            st.caption(plain(str(job.error)))
        if st.button("Try two images", help="Says how long the run will take; nothing like it was done here before."):
            session.attempt(lambda: _try(payload, request))  # what becomes of it stands here in a second


def _try(payload: ProbeJob, request: RunRequest) -> int:
    store = engine.store()
    check_open(request.parameters, store.settings)
    return submit(store.queue, payload, device=request.device)


def _queue(info: DatasetInfo, request: RunRequest, host: str | None) -> Run:
    """Queue the run; that its images may be sent to ``host`` is kept first, where that was agreed to just now."""
    store = engine.store()
    check_open(request.parameters, store.settings)
    resolved = resolve_request(store, request)
    if host:
        consent.agree(store.settings, store.dataset(info.id), host)
    return store.request_run(resolved)


def _parameters(info: DatasetInfo, scorer: ScorerInfo) -> dict[str, Any]:
    """The declared parameters as a form; runs to build on are chosen, advanced ones folded away."""
    runs = [run for run in session.runs_in_view(info) if run.status == "done"]
    values: dict[str, Any] = {}
    kinds = {**scorer.parts, **scorer.may_have}
    for parameter, column in zip((p for p in scorer.parameters if p.name in kinds), st.columns(2), strict=False):
        fitting = [run for run in runs if kind_of(run.scorer) == kinds[parameter.name]]
        without = "none" if parameter.name in scorer.may_have else "the newest one"
        with column:
            values[parameter.name] = run_field(parameter, key_of(scorer.id, parameter.name), fitting, without)
    values |= fields(scorer.id, [p for p in scorer.parameters if not p.advanced and p.name not in values])
    advanced = [p for p in scorer.parameters if p.advanced]
    if advanced:
        with st.expander("Advanced"):
            values |= fields(scorer.id, advanced)
    return values


def _request(info: DatasetInfo, scorer: ScorerInfo, parameters: Mapping[str, Any]) -> RunRequest:
    """Which images, on which device, with which seed."""
    subsets = engine.store().dataset(info.id).subsets
    left, right = st.columns(2)
    chosen = left.multiselect("Subsets", subsets, placeholder="all", key=f"subsets_{info.id}")
    limit = right.number_input(
        "Test images a subset",
        min_value=1,
        value=None,
        placeholder="all",
        help="Drawn by the seed, levels in their shares.",
    )
    maps = left.segmented_control("Anomaly maps", list(MAPS), default="all", format_func=MAPS.__getitem__)
    device = right.selectbox("Device", _devices(), help="auto: the first GPU, else the CPU.")
    seed = left.number_input("Seed", min_value=0, max_value=2**32 - 1, value=0)
    title = right.text_input("Title", scorer.title, max_chars=190, key=f"title_{scorer.id}")
    return RunRequest(
        info.id,
        scorer.id,
        parameters,
        tuple(s for s in subsets if s in chosen) if len(chosen) < len(subsets) else (),
        limit,
        int(seed),
        str(device),
        maps or "all",
        title=title.strip() or scorer.title,
    )


def _devices() -> list[str]:
    """``auto``, and what the workers say is there."""
    devices = [d for worker in engine.store().queue.workers() for d in worker.facts.get("devices", ())]
    return list(dict.fromkeys(["auto", *(devices or ["cpu"])]))


def _command(info: DatasetInfo, scorer: ScorerInfo, request: RunRequest) -> str:
    steps = calibration_steps(engine.store(), info)
    dataset = engine.store().dataset(info.id)
    facts = {
        "policy": info.card.policy,
        "windows": dataset.windows,
        "normals_from": way_chosen(dataset),
        "calibrate": steps[0] if steps else None,
        "defaults": scorer.defaults(),
    }
    return score_command(info.source, request, **facts)
