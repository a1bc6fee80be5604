"""The rubric of a run that asks a model: one that ships, edited or not, or one's own wording."""

import streamlit as st

from mad_core.errors import InputError
from mad_core.runs.store import DatasetInfo
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.multimodal.rubrics import Rubric, find_rubric, parse_rubric, shipped_rubrics
from pages.ui import engine
from pages.ui.fields import key_of
from pages.ui.text import plain

OWN = "own wording"
PREVIEW_HEIGHT = 260


def rubric_choice(scorer: ScorerInfo) -> str:
    """``auto``, the id of a rubric that ships, or one's own wording."""
    shipped = shipped_rubrics()
    names = {"auto": "As the dataset says", OWN: "Own wording"} | {k: r.title for k, r in shipped.items()}
    return st.selectbox(
        "Rubric",
        ["auto", *shipped, OWN],
        format_func=names.__getitem__,
        help="What the scores mean. The files that ship lie in assets/rubrics.",
        key=key_of(scorer.id, "rubric"),
    )


def chosen_rubric(
    info: DatasetInfo, scorer: ScorerInfo, source: str, subset: str
) -> tuple[Rubric | None, str, str | None]:
    """The chosen rubric as it will be sent, to be read or edited: itself, the parameter, and what is wrong with it."""
    card = info.card.subset(subset)
    try:
        rubric = find_rubric(source, card, engine.store().settings.may_open)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None, source, str(error)
    parameter: str = source
    problem: str | None = None
    edited: Rubric | None = rubric
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(rubric.title)}**", width="stretch")
            edit = st.toggle("Edit", key=f"edit_{scorer.id}_{source}")
        if edit:
            edited, parameter, problem = _edited(scorer, source, rubric)
            if parameter != source and len(engine.store().dataset(info.id).subsets) > 1:
                st.caption("Edited, it is used for every subset of the run; choose below which ones it is meant for.")
        if edited is not None:
            with st.container(height=PREVIEW_HEIGHT, border=False):
                st.text(edited.wording(subset, card.product))
        if rubric.source:
            st.caption(plain(rubric.source))
    return edited, parameter, problem


def _edited(scorer: ScorerInfo, source: str, rubric: Rubric) -> tuple[Rubric | None, str, str | None]:
    original = rubric.to_yaml()
    text = st.text_area(
        "Rubric as YAML",
        original,
        height=320,
        help="Bands go from 0 to 100 without gap. The file that ships stays as it is.",
        key=f"yaml_{scorer.id}_{source}_{rubric.title}",
    )
    if text.strip() == original.strip():
        return rubric, source, None
    return _parsed(text)


def own_wording(scorer: ScorerInfo) -> tuple[Rubric | None, str, str | None]:
    text = st.text_area(
        "Own wording",
        height=200,
        placeholder="0: no defect. 1-30: … Or a whole rubric as YAML, with bands and products.",
        help="Sent as it stands in the place of a rubric. A text that begins with 'title:' is read as YAML.",
        key=f"own_{scorer.id}",
    ).strip()
    if not text:
        sentence = "Write or paste the wording of the rubric first."
        st.caption(sentence)
        return None, OWN, sentence
    return _parsed(text if text.startswith("title:") else Rubric("Own wording", text=text).to_yaml())


def _parsed(text: str) -> tuple[Rubric | None, str, str | None]:
    try:
        rubric = parse_rubric(text)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None, text, str(error)
    return rubric, text.strip() + "\n", None
