"""The ladder of levels beside an image: rungs with their meanings, references and rubric."""

import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import Dataset, LevelMeaning, SubsetCard, level_key
from mad_core.errors import MadError
from mad_core.scorers.multimodal.rubrics import find_rubric
from pages.audit.context import Audit, records
from pages.audit.review_component import Ladder, Reference, Rung
from pages.ui import charts
from pages.ui.text import level_text

REFERENCES = 2
"""References shown of each level."""


def levels_of(audit: Audit, subset: str) -> list[float]:
    return records().levels(audit.info.id, subset)


def ladders(audit: Audit, subsets: set[str]) -> dict[str, Ladder]:
    anchors = records().anchors(audit.info.id)
    return {subset: _ladder(audit, subset, anchors) for subset in sorted(subsets)}


def _ladder(audit: Audit, subset: str, anchors: pd.DataFrame) -> Ladder:
    card, levels = audit.info.card.subset(subset), levels_of(audit, subset)
    rungs = []
    for level in levels:
        meaning = card.levels.get(level_key(level), LevelMeaning()).meaning
        rungs.append(
            Rung(
                level,
                level_key(level),
                level_text(level, card),
                meaning,
                *charts.level_tones(level, levels),
                _references(audit, subset, level, anchors),
            )
        )
    return Ladder(subset, _rubric(card, subset), tuple(rungs))


def _references(audit: Audit, subset: str, level: float, anchors: pd.DataFrame) -> tuple[Reference, ...]:
    """The anchors that experts chose; of the normal level training normals where they chose none."""
    chosen = [i for i in anchors.loc[anchors["level"] == level, "image_id"] if _in_subset(audit, i, subset)]
    name = level_text(level, audit.info.card.subset(subset))
    if not chosen and level == 0:
        chosen = _normals(audit.dataset, audit.info.id, audit.info.version, subset)
        name = f"{name}, from the training normals"
    return tuple(_reference(audit, image_id, name) for image_id in chosen[-REFERENCES:])


@st.cache_resource(max_entries=64, show_spinner=False)
def _normals(_dataset: Dataset, dataset_id: str, version: str, subset: str) -> list[str]:
    """The training normals that stand for the normal level."""
    return _dataset.select(split="train", subset=subset)["image_id"].tolist()[-REFERENCES:]


def _in_subset(audit: Audit, image_id: str, subset: str) -> bool:
    row = audit.image(image_id)
    return row is not None and row["subset"] == subset


def _reference(audit: Audit, image_id: str, name: str) -> Reference:
    original, small = audit.picture(image_id, "original"), audit.picture(image_id, "thumbnail")
    return Reference(image_id, original, small, f"Reference of {name}")


def _rubric(card: SubsetCard, subset: str) -> str:
    """What the rubric says to a person: its criterion, the product, and its bands by name."""
    try:
        rubric = find_rubric("auto", card)
    except MadError as error:
        return str(error)
    bands = [f"{band.name}: {band.meaning}" if band.meaning else band.name for band in rubric.bands]
    parts = [rubric.criterion, card.product, rubric.context_of(subset), rubric.text, *bands]
    return "\n".join(part.strip() for part in parts if part.strip())
