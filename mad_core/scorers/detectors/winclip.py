"""WinCLIP: windows of a picture compared with sentences about defects; Jeong et al. 2023, https://arxiv.org/abs/2303.14814."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest import mock

import open_clip
import torch
from anomalib.models.image.winclip.torch_model import WinClipModel
from torch import nn

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.zero_shot import ZeroShotScorer
from mad_core.scorers.image_scorer import read_normals, sample

SIDE = 240
"""Of the only square that its network takes, pixels."""


class WinClip(ZeroShotScorer):
    """Likeness to sentences about a damaged object; with ``shots`` also the distance to so many normals."""

    id = "winclip"
    frozen = ("clip.",)
    normalisation = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters, size=SIDE)

    def view(self, context: Context) -> int:
        return SIDE

    def build(self) -> nn.Module:
        weights = str(self.weights) if self.weights else None
        local = partial(_without_network, open_clip.create_model_and_transforms, weights)
        with mock.patch.object(open_clip, "create_model_and_transforms", local):
            return WinClipModel()

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        super().fit(normals, context)
        name = self.parameters["object"] or context.card.product or "object"
        shots, references = self.parameters["shots"], None
        if shots:
            chosen = sample(normals or context.normals, shots, context)
            prepared = read_normals(chosen, self.prepare, context, fewest=1, total=len(chosen), read=self.read)
            references = self.normalised(torch.stack([image for image, _ in prepared]), context)
        self.model.setup(name, references)


def _without_network(create: Any, weights: str | None, name: str, pretrained: Any = None, **further: Any) -> Any:
    """``open_clip``'s model with weights from a file, or random ones."""
    return create(name, pretrained=weights, **further)
