"""Choose a scorer from its card, set its parameters, queue a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import streamlit as st

from mad_core.runs.store import DatasetInfo, RunRequest
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.scorer import Parameter
from pages.ui import engine, session
from pages.ui.text import plain

COLUMNS = 3
MAPS = {"all": "Keep all", "on demand": "On demand", "none": "None"}


def cards(info: DatasetInfo) -> None:
    """Every scorer as a card, by family."""
    scorers = catalog.scorers()
    for start in range(0, len(scorers), COLUMNS):
        for column, scorer in zip(st.columns(COLUMNS), scorers[start : start + COLUMNS], strict=False):
            with column, st.container(border=True, height="stretch"):
                _card(info, scorer)


def _card(info: DatasetInfo, scorer: ScorerInfo) -> None:
    missing = scorer.why_not(scorer.defaults())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(scorer.family[0].upper() + scorer.family[1:], width="stretch")
        if missing:
            st.badge("needs weights" if scorer.needs_weights else "not ready", color="orange")
        else:
            st.badge("ready", color="green")
    st.markdown(f"**{plain(scorer.title)}**  \n{plain(scorer.summary)}")
    st.caption(f"{plain(scorer.needs)} {plain(scorer.cost)}")
    st.space("stretch")
    if st.button("Set up", key=f"set_up_{scorer.id}", type="secondary" if missing else "primary"):
        _set_up(info, scorer)


@st.dialog("New run", width="large")
def _set_up(info: DatasetInfo, scorer: ScorerInfo) -> None:
    set_up(info, scorer)


def set_up(info: DatasetInfo, scorer: ScorerInfo) -> None:
    """Parameters, images and device of one run, then queue it."""
    st.markdown(f"**{plain(scorer.title)}**  \n{plain(scorer.paper)}")
    parameters = _parameters(scorer)
    missing = scorer.why_not(parameters)
    if missing:
        st.warning(plain(missing), icon=":material/cloud_download:")
    st.divider()
    request = _request(info, scorer, parameters)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Queue run", type="primary", disabled=missing is not None):
            run = session.attempt(lambda: engine.store().request_run(request))
            if run is not None:
                session.put(view=None, run=run.id)
                st.rerun()
        st.caption("Asked for before? Then the stored scores are shown and nothing is computed twice.")
    with st.expander("The same on the command line"):
        st.code(_command(info, scorer, request), language="shell", wrap_lines=True)


def _parameters(scorer: ScorerInfo) -> dict[str, Any]:
    """The declared parameters as a form; advanced ones folded away."""
    values: dict[str, Any] = {}
    plain_ones = [p for p in scorer.parameters if not p.advanced]
    advanced = [p for p in scorer.parameters if p.advanced]
    _fields(scorer.id, plain_ones, values)
    if advanced:
        with st.expander("Advanced"):
            _fields(scorer.id, advanced, values)
    return values


def _fields(scorer_id: str, parameters: list[Parameter], values: dict[str, Any]) -> None:
    columns = st.columns(2)
    for i, parameter in enumerate(parameters):
        with columns[i % 2]:
            values[parameter.name] = _field(parameter, f"parameter_{scorer_id}_{parameter.name}")


def _field(parameter: Parameter, key: str) -> Any:
    label = parameter.name.replace("_", " ").capitalize()
    if parameter.kind == "choice":
        index = parameter.choices.index(parameter.default)
        return st.selectbox(label, parameter.choices, index=index, help=plain(parameter.help), key=key)
    if parameter.kind == "bool":
        return st.toggle(label, parameter.default, help=plain(parameter.help), key=key)
    if parameter.kind == "text":
        given = st.text_input(label, parameter.default or "", help=plain(parameter.help), key=key).strip()
        return given or parameter.default
    number = int if parameter.kind == "int" else float
    return st.number_input(
        label,
        min_value=None if parameter.low is None else number(parameter.low),
        max_value=None if parameter.high is None else number(parameter.high),
        value=parameter.default,
        step=1 if number is int else None,
        format=None if number is int else "%g",
        placeholder="chosen for this machine",
        help=plain(parameter.help),
        key=key,
    )


def _request(info: DatasetInfo, scorer: ScorerInfo, parameters: Mapping[str, Any]) -> RunRequest:
    """Which images, on which device, with which seed."""
    subsets = engine.store().dataset(info.id).subsets
    left, right = st.columns(2)
    chosen = left.multiselect("Subsets", subsets, placeholder="all", key=f"subsets_{info.id}")
    limit = right.number_input(
        "Test images a subset", min_value=1, value=None, placeholder="all", help="Drawn by the seed, even over levels."
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
    found = [d for worker in engine.store().queue.workers() for d in worker.facts.get("devices", ())]
    return list(dict.fromkeys(["auto", *(found or ["cpu"])]))


def _command(info: DatasetInfo, scorer: ScorerInfo, request: RunRequest) -> str:
    parts = ["python", "-m", "mad_core", "score", info.source, "--scorer", scorer.id]
    for subset in request.subsets:
        parts += ["--subset", subset]
    defaults = scorer.defaults()
    for name, value in request.parameters.items():
        if value != defaults[name]:
            parts += ["--param", f"{name}={value}"]
    for option, value, default in (
        ("--limit", request.limit, None),
        ("--device", request.device, "auto"),
        ("--seed", request.seed, 0),
        ("--maps", request.map_policy, "all"),
    ):
        if value != default:
            parts += [option, str(value)]
    return shlex.join([*parts, "--out", "scores.csv"])
