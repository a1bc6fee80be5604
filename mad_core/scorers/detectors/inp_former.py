"""INP-Former: normal prototypes of each picture guide its reconstruction; Luo et al. 2025, https://arxiv.org/abs/2503.02424."""

import torch
from anomalib.models.image.inp_former.torch_model import InpFormerModel
from torch import nn

from mad_core.scorers.detectors.dino import WholePatches
from mad_core.scorers.detectors.token_decoder import TokenDecoder


class InpFormer(WholePatches, TokenDecoder):
    """A decoder gives a picture's tokens back from the normal prototypes that were found in it."""

    id = "inp-former"
    learned = clipped = ("bottleneck", "decoder", "aggregation", "prototype_token")

    def build(self) -> nn.Module:
        prototypes = self.parameters["prototypes"]
        return self.started(InpFormerModel(self.architecture(), prototypes, remove_class_token=True))

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch)
