"""Set up a scorer that asks a multimodal model: the model, the rubric, the references, and the prompt they make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from mad_core.errors import MadError
from mad_core.runs.store import DatasetInfo
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.multimodal.parameters import asking, looks
from mad_core.scorers.named_paths import closed
from pages.score.model import chosen_model
from pages.score.prompt import prompt_preview
from pages.score.references import picked_references
from pages.score.rubric import OWN, chosen_rubric, own_wording, rubric_choice
from pages.ui import engine, session
from pages.ui.fields import field, fields, key_of, run_field
from pages.ui.text import plain

PROTOCOLS = {
    "inspector": "MAD Inspector",
    "madbench": "MAD-Bench, three references",
    "madbench-zero-shot": "MAD-Bench, zero-shot",
}
WAYS = {"first": "the first by name", "nearest": "nearest to each image", "named": "picked by hand"}
REASONS = {"all": "of all images", "worst": "of the worst images", "none": "none: only scores"}
VIEWS = {"auto": "as the model recommends", "yes": "shown", "no": "not shown"}


@dataclass(frozen=True)
class Asked:
    """What was set: the parameters, and a sentence where they cannot be used yet."""

    parameters: Mapping[str, Any]
    problem: str | None = None


def asks_a_model(scorer_id: str) -> bool:
    """Whether a scorer is asked with a rubric."""
    try:
        return any(p.name == "rubric" for p in catalog.scorer(scorer_id).parameters)
    except MadError:
        return False


def asking_form(info: DatasetInfo, scorer: ScorerInfo) -> Asked:
    """The parameters of a scorer that asks a model, as a form."""
    declared = {p.name: p for p in scorer.parameters}
    values = scorer.defaults()
    chosen_model(scorer, declared["model"], values)
    barred = closed(values, engine.store().settings)
    if barred:
        return Asked(values, barred)
    subset = _subset(info)
    left, right = st.columns(2)
    with left:
        values["protocol"] = _choice(scorer, declared["protocol"], PROTOCOLS)
    with right:
        source = rubric_choice(scorer)
    rubric, values["rubric"], problem = (
        own_wording(scorer) if source == OWN else chosen_rubric(info, scorer, source, subset)
    )
    if values["protocol"] == "inspector":
        problem = _references(info, scorer, subset, declared, values) or problem
        _advanced(info, scorer, declared, values)
    else:
        st.caption(
            "The benchmark's protocol fixes what is shown: height 512, greedy answers of 300 tokens, "
            + ("the first three normals by name." if values["protocol"] == "madbench" else "no normals.")
        )
        rest = _others(scorer, skip=_FIXED)
        if rest:
            with st.expander("Advanced"):
                values |= fields(scorer.id, rest)
    if rubric is not None:
        prompt_preview(info, scorer, subset, rubric, values)
    return Asked(values, problem)


def _subset(info: DatasetInfo) -> str:
    """The subset for which rubric, references and prompt are previewed."""
    subsets = engine.store().dataset(info.id).subsets
    if len(subsets) < 2:
        return subsets[0]
    return st.selectbox(
        "Preview on subset",
        subsets,
        help="Rubric, references and prompt are shown as they are for this subset. The run asks each subset its own.",
        key=f"preview_{info.id}",
    )


_SEPARATE = frozenset(
    {
        "model",
        "server",
        "consent",
        "rubric",
        "protocol",
        "references",
        "choose",
        "named",
        "anchors",
        "view",
        "crop_run",
        "reasons",
        "worst",
    }
)
"""Parameters that have a place of their own in the form."""
_FIXED = _SEPARATE | {parameter.name for parameter in (*asking(), *looks())}
"""Those, and what the benchmark's protocols leave no choice of."""


def _others(scorer: ScorerInfo, *, skip: frozenset[str]) -> list[Parameter]:
    return [p for p in scorer.parameters if p.name not in skip]


def _choice(scorer: ScorerInfo, parameter: Parameter, words: Mapping[str, str]) -> str:
    index = parameter.choices.index(parameter.default)
    labels = {"protocol": "Protocol", "choose": "Which references", "view": "Difference view", "reasons": "Reasons"}
    return st.selectbox(
        labels[parameter.name],
        parameter.choices,
        index=index,
        format_func=lambda choice: words.get(choice, choice),
        help=plain(parameter.help),
        key=key_of(scorer.id, parameter.name),
    )


def _references(
    info: DatasetInfo, scorer: ScorerInfo, subset: str, declared: Mapping[str, Parameter], values: dict[str, Any]
) -> str | None:
    """References, anchors, view and reasons; returns what is wrong with the choice."""
    left, right = st.columns(2)
    with left:
        values["choose"] = _choice(scorer, declared["choose"], WAYS)
        values["view"] = _choice(scorer, declared["view"], VIEWS)
    with right:
        if values["choose"] == "named":
            values["references"] = None
            st.caption("Each image comes after the references that are picked below, in the order of picking.")
        else:
            values["references"] = field(declared["references"], key_of(scorer.id, "references"))
        values["anchors"] = field(declared["anchors"], key_of(scorer.id, "anchors"))
        values["reasons"] = _choice(scorer, declared["reasons"], REASONS)
        if values["reasons"] == "worst":
            values["worst"] = field(declared["worst"], key_of(scorer.id, "worst"))
    if values["choose"] != "named":
        return None
    names = picked_references(info, scorer, subset)
    values["named"] = ", ".join(names)
    return None if names else "Pick at least one reference, or choose the first or nearest ones."


def _advanced(info: DatasetInfo, scorer: ScorerInfo, declared: Mapping[str, Parameter], values: dict[str, Any]) -> None:
    with st.expander("Advanced"):
        values["crop_run"] = _crop(info, scorer, declared["crop_run"])
        values |= fields(scorer.id, _others(scorer, skip=_SEPARATE))


def _crop(info: DatasetInfo, scorer: ScorerInfo, parameter: Parameter) -> str:
    """The run at whose map's peak each image is cropped, of those that keep maps."""
    runs = [run for run in session.runs_in_view(info) if run.map_policy == "all" and not asks_a_model(run.scorer)]
    return run_field(parameter, key_of(scorer.id, "crop_run"), runs, "no crop")
