"""CFLOW-AD: flows conditioned on positions; Gudovskiy et al. 2022, https://arxiv.org/abs/2107.12571.

What differs from anomalib: likelihoods become probabilities relative to the highest of the normals, not to the highest
of the batch that is scored, by which a score would depend on who else is in it.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from anomalib.models.image.cflow.torch_model import CflowModel
from anomalib.models.image.cflow.utils import get_logp, positional_encoding_2d
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.trained_scorer import TrainedScorer

LAYERS = ("layer2", "layer3", "layer4")


class Cflow(TrainedScorer):
    """Conditional normalising flows over features and their positions; Gudovskiy et al. 2022."""

    id = "cflow"
    frozen = ("encoder.",)
    fibres = 4096  # features per optimiser step and layer, drawn from the batch

    def build(self) -> nn.Module:
        model = CflowModel(self.architecture(), LAYERS, True, fiber_batch_size=self.fibres)
        model.register_buffer("highest", torch.zeros(len(LAYERS)))  # likelihood a layer among the normals
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.decoders.parameters(), lr=1e-4 * self.fibres / 256)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        super().learn(images, context)
        self.model.eval()
        highest = []
        for part in images.split(self.batch):
            context.check_cancel()
            likelihoods = self._likelihoods(self.normalised(part, context))
            highest.append(torch.stack([likelihood.max() for likelihood in likelihoods]))
        self.model.highest = torch.stack(highest).amax(0)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        total = batch.new_zeros(())
        for decoder, values, places in self._fibres(batch):
            keep = torch.randperm(len(values))[: self.fibres].to(batch.device)
            total = total - F.logsigmoid(self._likelihood(decoder, values[keep], places[keep])).mean()
        return total

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = images.new_full((len(images), *images.shape[2:]), float(len(LAYERS)))
        for likelihood, highest in zip(self._likelihoods(images), self.model.highest, strict=True):
            probability = torch.exp(likelihood - highest)[:, None]
            maps -= F.interpolate(probability, maps.shape[1:], mode="bilinear", align_corners=True)[:, 0]
        return maps.flatten(1).amax(1), maps

    @torch.no_grad()
    def _likelihoods(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Logarithm of the likelihood of each feature, (N, h, w) a layer."""
        maps = []
        for decoder, values, places in self._fibres(images):
            parts = zip(values.split(self.fibres), places.split(self.fibres), strict=True)
            side = round((len(values) / len(images)) ** 0.5)  # images are square, so are their features
            maps.append(torch.cat([self._likelihood(decoder, *part) for part in parts]).view(-1, side, side))
        return maps

    def _fibres(self, images: torch.Tensor) -> Iterator[tuple[nn.Module, torch.Tensor, torch.Tensor]]:
        """A layer's decoder, its features of all images and positions, (N h w, C), and the code of each position."""
        self.model.encoder.eval()
        with torch.no_grad():
            features = self.model.encoder(images)
        for decoder, layer in zip(self.model.decoders, LAYERS, strict=True):
            count, channels, height, width = features[layer].shape
            places = positional_encoding_2d(self.model.condition_vector, height, width).to(images.device)
            values = features[layer].permute(0, 2, 3, 1).reshape(-1, channels)
            yield decoder, values, places.flatten(1).T.repeat(count, 1)

    @staticmethod
    def _likelihood(decoder: nn.Module, values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        code, log_jacobian = decoder(values, [places])
        return get_logp(values.shape[1], code, log_jacobian) / values.shape[1]
