"""What detectors share that need no normals: a model that was taught elsewhere, ready as soon as it is built."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.model_scorer import BuiltScorer


class ZeroShotScorer(BuiltScorer):
    """A model without a fit, of pictures squeezed to a square."""

    batch = 4

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        context.seed_libraries()
        self._create(context)
        self.model.eval()

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        return {}, {}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.fit([], context)
