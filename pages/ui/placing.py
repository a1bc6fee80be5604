"""Where one score falls among the scores of each level: a strip and a sentence."""

from typing import Any

import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import SubsetCard
from mad_core.figures import boxes_of_levels, describe_place, score_strip
from mad_core.labelled import labelled
from mad_core.runs.store import Run
from pages.ui import charts, engine
from pages.ui.stage import Place
from pages.ui.text import level_names, plain, score_text

WIDTH = 560
NARROW, ROW = 330, 17
"""Width of a strip that stands beside a picture, and the height that it gives each level, pixels."""
NO_LEVELS = "No scored image has a level; once some have, its place among the levels stands here."


def place(run: Run, subset: str, card: SubsetCard, mark: float, key: str) -> None:
    """Draw the place of a score (finite, raw units) among those of the run's images of one subset."""
    scores, names = _labelled(run, subset), level_names(card)
    if scores[0].empty:
        st.caption(plain(f"{_rank(run, subset, mark)}, 1 being the highest score. {NO_LEVELS}"))
        return
    sentence = describe_place(*scores, mark, level_names=names)
    figure = score_strip(
        *scores, mark=mark, mark_label="This image", level_names=names, theme=charts.theme(), width=WIDTH
    )
    charts.show(figure, sentence, key)
    st.caption(plain(f"{_rank(run, subset, mark)}, 1 being the highest score. {sentence}"))


def place_beside(run: Run, name: str, subset: str, card: SubsetCard, mark: float, key: str) -> None:
    """The same under a run's name in the narrow room beside a picture: levels without names, the sentence on asking."""
    scores = _labelled(run, subset)
    words = f"**{plain(name)}** :gray[{plain(_rank(run, subset, mark))}]"
    if scores[0].empty:
        st.markdown(words, help="1 is the highest score.")
        st.caption(NO_LEVELS)
        return
    sentence = describe_place(*scores, mark, level_names=level_names(card))
    figure = score_strip(
        *scores,
        mark=mark,
        mark_label="This image",
        level_names={},
        score_label="",
        theme=charts.theme(),
        width=NARROW,
        height=48 + ROW * max(scores[0].nunique(), 1),
    )
    st.markdown(words, help=plain(f"1 is the highest score. {sentence}"))
    charts.show(figure, sentence, key)


def place_on_stage(run: Run, name: str, subset: str, card: SubsetCard, mark: float) -> Place:
    """The same for the stage."""
    scores, names = _labelled(run, subset), level_names(card)
    return Place(
        name,
        f"{score_text(mark)} · {_rank(run, subset, mark)}",
        describe_place(*scores, mark, level_names=names) if len(scores[0]) else NO_LEVELS,
        boxes_of_levels(*scores, mark, level_names=names, theme=charts.theme()) if len(scores[0]) else None,
    )


def _labelled(run: Run, subset: str) -> tuple[pd.Series, pd.Series]:
    rows: Any = labelled(engine.table_of(run, subset))
    return rows["level"], rows["score"]


def _rank(run: Run, subset: str, mark: float) -> str:
    scores: Any = engine.table_of(run, subset)["score"]
    return f"Rank {int((scores > mark).sum()) + 1:,} of {int(scores.notna().sum()):,}"
