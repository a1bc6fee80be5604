"""PaDiM with anomalib's model: the same numbers as anomalib's own, in less time and memory.

anomalib enlarges all feature channels and then keeps some, and estimates position after position.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from anomalib.models.image.padim.torch_model import PadimModel
from torch import nn
from torch.nn import functional as F

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.model_scorer import ModelScorer

LAYERS = ("layer1", "layer2", "layer3")
RIDGE = 0.01 + 1e-5
"""What is added to the diagonal of every covariance, 0.01 as published and what anomalib adds to it."""
AT_ONCE = 2**24
"""Numbers of covariances that are estimated at once."""


class SelectingPadim(PadimModel):
    """anomalib's model, which keeps its channels before it enlarges them and estimates many positions at once."""

    chosen: Sequence[int] = ()
    """The numbers of the kept channels where the model is traced, which cannot look into ``idx``."""

    def generate_embedding(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The kept channels of all layers at the first layer's positions, (N, F, H, W)."""
        size = features[self.layers[0]].shape[-2:]
        chosen = self.chosen or self.idx.tolist()
        parts: list[torch.Tensor] = []
        order: list[int] = []
        below = 0
        for layer in self.layers:
            maps = features[layer]
            places = [place for place, number in enumerate(chosen) if below <= number < below + maps.shape[1]]
            kept = maps[:, [chosen[place] - below for place in places]]
            parts.append(kept if kept.shape[-2:] == size else F.interpolate(kept, size=size, mode="nearest"))
            order += places
            below += maps.shape[1]
        return torch.cat(parts, 1)[:, sorted(range(len(order)), key=order.__getitem__)]

    def fit(self) -> None:
        """Mean (F, H·W) and inverse covariance (H·W, F, F) at every position, of what was gathered."""
        vectors = torch.cat(self.memory_bank).flatten(2).permute(2, 0, 1)  # (H·W, N, F)
        self.memory_bank = []
        places, normals, kept = vectors.shape
        mean = vectors.mean(1)
        inverse = vectors.new_empty(places, kept, kept)
        step = max(1, AT_ONCE // kept**2)
        for start in range(0, places, step):
            centred = vectors[start : start + step] - mean[start : start + step, None]
            covariance = centred.mT @ centred / (normals - 1)
            covariance.diagonal(dim1=1, dim2=2).add_(RIDGE)
            factor, fault = torch.linalg.cholesky_ex(covariance)
            rounded = bool(fault.any())  # below the ridge single precision may lose that it is positive
            inverse[start : start + step] = torch.linalg.inv(covariance) if rounded else torch.cholesky_inverse(factor)
        self.gaussian.mean, self.gaussian.inv_covariance = mean.T.contiguous(), inverse


class Padim(ModelScorer):
    """A Gaussian of backbone features at every position; Defard et al. 2021."""

    id = "padim"

    def build(self) -> nn.Module:
        return SelectingPadim(self.architecture(), list(LAYERS), True, self.parameters["features"])

    def learn(self, images: torch.Tensor, context: Context) -> None:
        self.gather(images, context, 2 * len(images))
        self.model.fit()

    def traceable(self) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]:
        self.model.chosen = self.model.idx.tolist()
        return self.predict
