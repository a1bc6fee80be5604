"""Declared parameters as widgets."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mad_core.runs.comparing import distinct_names
from mad_core.runs.store import DatasetInfo, Run
from mad_core.scorers.contract import Parameter
from pages.ui.text import plain

LABELS = {
    "against": "Compare with",
    "anchors": "Show one image of each level",
    "choose": "Which references",
    "crop_run": "Crop at the peak of",
    "mllm": "Multimodal model",
    "price_in": "Price of a million tokens sent",
    "price_out": "Price of a million tokens written",
    "plain_http": "Allow http:// to another machine",
    "named": "Named references",
    "reasons": "Reasons",
    "worst": "How many of the worst",
    "tokens": "Most tokens of an answer",
    "view": "Difference view",
}
"""Labels of parameters whose name alone does not say what they are."""
LEFT_OPEN = {
    "references": "as the model recommends",
    "height": "as the model recommends",
    "price_in": "unknown",
    "price_out": "unknown",
}
"""What an empty number means; of others that it is chosen for this machine."""


def label_of(parameter: Parameter) -> str:
    return LABELS.get(parameter.name) or parameter.name.replace("_", " ").capitalize()


def key_of(scorer_id: str, name: str) -> str:
    """The widget's key of one parameter."""
    return f"parameter_{scorer_id}_{name}"


def fields(scorer_id: str, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Widgets for parameters in two columns; returns the values."""
    columns = st.columns(2)
    values: dict[str, Any] = {}
    for i, parameter in enumerate(parameters):
        with columns[i % 2]:
            values[parameter.name] = field(parameter, key_of(scorer_id, parameter.name))
    return values


def field(parameter: Parameter, key: str) -> Any:
    """One widget; returns its value."""
    facts: dict[str, Any] = {"help": plain(parameter.help), "key": key}
    label = label_of(parameter)
    if parameter.kind == "choice":
        index = None if parameter.default is None else parameter.choices.index(parameter.default)
        hint = "best on this machine" if index is None else None
        return st.selectbox(label, parameter.choices, index=index, placeholder=hint, **facts)
    if parameter.kind == "bool":
        return st.toggle(label, parameter.default, **facts)
    if parameter.kind == "text":
        return st.text_input(label, parameter.default or "", **facts).strip() or parameter.default
    number = int if parameter.kind == "int" else float
    return st.number_input(
        label,
        min_value=None if parameter.low is None else number(parameter.low),
        max_value=None if parameter.high is None else number(parameter.high),
        value=parameter.default,
        step=1 if number is int else None,
        format=None if number is int else "%g",
        placeholder=LEFT_OPEN.get(parameter.name, "chosen for this machine"),
        **facts,
    )


def run_field(parameter: Parameter, key: str, runs: Sequence[Run], none: str) -> str:
    """A choice of one run; ``none`` says what choosing none means. Returns the run's id, or nothing."""
    return _one_named(parameter, key, {"": none} | distinct_names(runs))


def dataset_field(parameter: Parameter, key: str, datasets: Sequence[DatasetInfo]) -> str:
    """A choice of another dataset; returns its id, or nothing."""
    return _one_named(parameter, key, {"": "no other dataset"} | {one.id: one.name for one in datasets})


def _one_named(parameter: Parameter, key: str, names: Mapping[str, str]) -> str:
    return st.selectbox(
        label_of(parameter),
        list(names),
        format_func=lambda one: names.get(one) or str(one),
        help=plain(parameter.help),
        key=key,
    )
