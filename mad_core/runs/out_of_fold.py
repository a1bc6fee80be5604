"""A scorer that learns from images which it then scores: none of them by a fit that has seen it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mad_core.datasets.own_normals import FACT, TYPICAL, OwnNormals
from mad_core.scorers.contract import Context, Item, Scored, Scorer

if TYPE_CHECKING:
    import torch

    from mad_core.scorers.graph import Graph

FOLDS = 4
"""Fits that score the images which the scorer has learned from; each learns from three quarters of them."""


class OutOfFold(Scorer):
    """Another scorer, fitted on images that are not known to be normal.

    Of ``typical`` normals the half is kept whose scores by fits on the others are lowest. Images that the scorer has
    learned from, and copies of them, are scored by fits on the other folds; all others by the one fit.

    Parameters
    ----------
    create : callable() -> Scorer
        Makes an unfitted scorer.
    own : OwnNormals
    known : collection of str
        Ids of known normals, which are learned from in any case.
    """

    def __init__(self, create: Callable[[], Scorer], own: OwnNormals, normals: Collection[str] = ()) -> None:
        super().__init__()
        self._create, self._own, self._known = create, own, frozenset(normals)
        self._scorer = create()
        self._learned: Sequence[Item] = ()

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        self._learned = self._typical(normals, context) if self._own.way == TYPICAL else list(normals)
        self._scorer.fit(self._learned, context)

    def _typical(self, normals: Sequence[Item], context: Context) -> list[Item]:
        """The half that departs least from the rest, in the order given; what has no score is not typical."""
        scores_of = {one.image_id: one.score for one in self._judged_apart(normals, normals, context)}
        asked = [item for item in normals if item.image_id not in self._known]
        scores = np.array([np.inf if scores_of[item.image_id] is None else scores_of[item.image_id] for item in asked])
        kept = {asked[place].image_id for place in np.argsort(scores, kind="stable")[: -(-len(asked) // 2)]}
        return [item for item in normals if item.image_id in kept | self._known]

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        learned = {item.content_hash for item in self._learned}
        apart = [item for item in images if item.content_hash in learned]
        judged = {one.image_id: one for one in self._judged_apart(self._learned, apart, context)} if apart else {}
        others = self._scorer.score([item for item in images if item.content_hash not in learned], context)
        for item in images:
            yield judged[item.image_id] if item.image_id in judged else next(others)

    def _judged_apart(self, learned: Sequence[Item], images: Sequence[Item], context: Context) -> Iterator[Scored]:
        """Scores of images that are among ``learned``, each by a fit on the folds that it is not in."""
        folds = min(FOLDS, len(learned))
        fold_of = {item.content_hash: place % folds for place, item in enumerate(learned)}
        for fold in range(folds):
            judged = [item for item in images if fold_of[item.content_hash] == fold]
            if not judged:
                continue
            scorer = self._create()
            try:
                scorer.fit([item for item in learned if fold_of[item.content_hash] != fold], context)
                yield from scorer.score(judged, context)
            finally:
                scorer.close()

    def graph(self, height: int, width: int, context: Context) -> Graph:
        return self._scorer.graph(height, width, context)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, facts = self._scorer.state()
        learned = [[item.image_id, item.path, item.content_hash] for item in self._learned]
        return tensors, {"scorer": facts, "learned": learned}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        there = {item.image_id: item for item in context.normals}  # files may have moved since
        kept = [Item(*entry) for entry in facts["learned"]]
        self._learned = [there.get(item.image_id) or replace(item, window=context.card.window) for item in kept]
        self._scorer.restore(tensors, facts["scorer"], context)

    def facts(self) -> dict[str, Any]:
        chosen = {"way": self._own.way, "drawn": len(self._own.images), "learned": len(self._learned)}
        return {**self._scorer.facts(), FACT: chosen | {"images": [item.image_id for item in self._learned]}}

    def close(self) -> None:
        self._scorer.close()
