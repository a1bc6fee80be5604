"""CFLOW-AD: flows conditioned on positions; Gudovskiy et al. 2022, https://arxiv.org/abs/2107.12571."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from anomalib.models.image.cflow.torch_model import CflowModel
from anomalib.models.image.cflow.utils import get_logp, positional_encoding_2d
from torch import nn

from mad_core.scorers.detectors.trained_scorer import TrainedScorer


class Cflow(TrainedScorer):
    """Conditional normalising flows over features and their positions; Gudovskiy et al. 2022."""

    id = "cflow"
    frozen = ("encoder.",)
    fibres = 4096  # features per optimiser step and layer, drawn from the batch

    def build(self) -> nn.Module:
        return CflowModel(self.architecture(), ("layer2", "layer3", "layer4"), True, fiber_batch_size=self.fibres)

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.decoders.parameters(), lr=1e-4 * self.fibres / 256)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        self.model.encoder.eval()
        with torch.no_grad():
            features = self.model.encoder(batch)
        total = batch.new_zeros(())
        for decoder, layer in zip(self.model.decoders, self.model.pool_layers, strict=True):
            count, channels, height, width = features[layer].shape
            places = positional_encoding_2d(self.model.condition_vector, height, width).to(batch.device)
            places = places.flatten(1).T.repeat(count, 1)
            values = features[layer].permute(0, 2, 3, 1).reshape(-1, channels)
            keep = torch.randperm(len(values))[: self.fibres].to(batch.device)
            code, log_jacobian = decoder(values[keep], [places[keep]])
            total = total - F.logsigmoid(get_logp(channels, code, log_jacobian) / channels).mean()
        return total
