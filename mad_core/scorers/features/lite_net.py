"""EfficientNet-Lite as a backbone: timm's network without its head, which gives the features of its layers."""

from __future__ import annotations

from collections.abc import Sequence

import timm
import torch
from torch import nn

STAGES = (1, 2, 4, 6)
"""Last stage at strides 4, 8, 16 and 32."""


class LiteNet(nn.Module):
    """Gives the features of chosen layers, (N, channels, H / stride, W / stride) each.

    Parameters
    ----------
    architecture : str
        timm's name of it.
    layers : sequence of int
        From 0 for stride 4 to 3 for stride 32, ascending.
    """

    def __init__(self, architecture: str, layers: Sequence[int]) -> None:
        super().__init__()
        self.stages = [STAGES[layer] for layer in layers]
        self.trunk = timm.create_model(architecture, pretrained=False)
        facts = [
            {"module": f"layer{number + 1}", "num_chs": self._width(stage), "reduction": 4 * 2**number}
            for number, stage in enumerate(STAGES)
        ]
        self.feature_info = timm.models.FeatureInfo(facts, tuple(layers))
        self.trunk.blocks = self.trunk.blocks[: self.stages[-1] + 1]  # type: ignore[index]
        for name in ("conv_head", "bn2", "global_pool", "classifier"):
            delattr(self.trunk, name)

    def _width(self, stage: int) -> int:
        block = self.trunk.blocks[stage][-1]  # type: ignore[index]
        return int(block.bn3.num_features)  # type: ignore[union-attr]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        x = self.trunk.bn1(self.trunk.conv_stem(images))  # type: ignore[operator]
        by_stage = {}
        for number, stage in enumerate(self.trunk.blocks):  # type: ignore[arg-type]
            x = stage(x)
            by_stage[number] = x
        return [by_stage[stage] for stage in self.stages]
