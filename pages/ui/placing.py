"""Where one score falls among the scores of each level: a strip and a sentence."""

from typing import Any

import streamlit as st

from mad_core.datasets.dataset import SubsetCard
from mad_core.figures import describe_place, score_strip
from mad_core.labelled import labelled
from mad_core.runs.store import Run
from pages.ui import charts, engine
from pages.ui.text import level_names, plain

WIDTH = 560


def place(run: Run, subset: str, card: SubsetCard, mark: float, key: str) -> None:
    """Draw the place of a score (finite, raw units) among those of the run's images of one subset."""
    rows: Any = engine.table_of(run, subset)
    with_level = labelled(rows)
    arrays, names = (with_level["level"], with_level["score"]), level_names(card)
    higher, scored = int((rows["score"] > mark).sum()), int(rows["score"].notna().sum())
    sentence = describe_place(*arrays, mark, level_names=names)
    figure = score_strip(
        *arrays, mark=mark, mark_label="This image", level_names=names, theme=charts.theme(), width=WIDTH
    )
    charts.show(figure, sentence, key)
    st.caption(plain(f"Rank {higher + 1:,} of {scored:,}, 1 being the highest score. {sentence}"))
