"""The whole prompt of a run that asks a model, images in their places."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from mad_core.errors import MadError
from mad_core.runs.store import DatasetInfo
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.prompts import Conversation, Piece, ask, repeated
from mad_core.scorers.multimodal.rubrics import Rubric
from pages.score.model import is_local
from pages.ui import engine, urls

THUMBNAIL = 88
"""Width of an image within the prompt, pixels."""


@dataclass(frozen=True)
class Outline:
    """The conversation of a run on one subset, and the references shown to every image (rows of the dataset)."""

    conversation: Conversation
    references: tuple[Any, ...]


def outline(
    info: DatasetInfo, subset: str, rubric: Rubric, parameters: Mapping[str, Any], folder: Path | None = None
) -> Outline:
    """The question as it will be asked, without opening an image.

    What cannot be read is left out by the run itself, so a broken reference is still named here.

    Parameters
    ----------
    folder : Path or None
        The model's, where it is a local one: it may recommend what to show.
    """
    from mad_core.scorers.multimodal.showing import Recommended, anchor_names, settle

    wishes = settle(parameters, Recommended.of(folder) if folder else None)
    dataset, card = engine.store().dataset(info.id), info.card.subset(subset)
    normals: list[Any] = list(dataset.select(split="train", subset=subset).sort_values("path").itertuples())
    if wishes.choose == "named":
        by_name = {Path(str(row.path)).name: row for row in normals}
        shown = [by_name[name] for name in wishes.named if name in by_name][: wishes.references]
    else:
        shown = normals[: wishes.references]
    nearest = len(shown) if wishes.choose == "nearest" else 0
    levels = sorted(dataset.select(split="calibration", subset=subset)["level"].unique()) if wishes.anchors else []
    wanted = [level for level in levels if level > 0 or not wishes.references]
    wording = rubric.wording(subset, card.product)
    conversation = ask(
        wording,
        expert=rubric.expert,
        references=0 if nearest else len(shown),
        anchors=list(anchor_names(card, levels, wanted, wishes.places).values()),
        nearest=nearest,
        view=wishes.view and bool(normals),
        crop=wishes.crop,
        policy=_policy(wishes.policy, subset),
        closing=repeated(wording) if wishes.repeat else "",
    )
    return Outline(conversation, () if nearest else tuple(shown))


def _policy(text: str, subset: str) -> str:
    """A severity policy as the model is told it; what is wrong with one is said by the run."""
    from mad_core.scorers.multimodal.showing import levels_of_policy, policy_in_words

    try:
        return policy_in_words(levels_of_policy(text, subset)) if text else ""
    except MadError:
        return ""


def prompt_preview(
    info: DatasetInfo, scorer: ScorerInfo, subset: str, rubric: Rubric, parameters: Mapping[str, Any]
) -> None:
    """The whole prompt as it will be asked, images in their places."""
    with st.expander("The whole prompt"):
        folder = models.locate(str(parameters["model"])) if is_local(scorer) else None
        preview = outline(info, subset, rubric, parameters, folder)
        st.caption("System")
        st.text(preview.conversation.system)
        st.caption("For every image")
        _pieces(info, preview.conversation.shared, iter(preview.references))
        st.caption("For each image in turn")
        _pieces(info, preview.conversation.own, iter(()))


def _pieces(info: DatasetInfo, pieces: Sequence[Piece], references: Iterator[Any]) -> None:
    for piece in pieces:
        if piece.kind == "text":
            st.text(piece.text.strip())
        else:
            _place(info, next(references, None))


def _place(info: DatasetInfo, row: Any | None) -> None:
    """An image of the prompt, or its place where it differs from image to image."""
    if row is None:
        st.caption(r"\[image\]")
        return
    address = urls.picture(info.id, row.image_id, "thumbnail", row.content_hash)
    name = html.escape(f"Normal reference {Path(str(row.path)).name}")
    st.html(f'<img src="{html.escape(address)}" alt="{name}" width="{THUMBNAIL}" style="display:block">')
