"""PatchCore: a memory bank of patch features; Roth et al. 2022, https://arxiv.org/abs/2106.08265."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from torch import nn

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.model_scorer import ModelScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.coreset import greedy_coreset
from mad_core.scorers.features.formula_net import STRIDES
from mad_core.scorers.features.neighbours import NearbyBank
from mad_core.scorers.features.positions import (
    ALIKE,
    LOOKED_AT,
    bank_of_cells,
    cells,
    likeness,
    nearby_distance,
    on_grid,
)
from mad_core.scorers.image_scorer import map_shape, scaled, working_scale

NEARBY = "nearby"
"""Name under which a bank by position is kept."""


class PatchCore(ModelScorer):
    """Memory bank of patch features, thinned by a greedy coreset; Roth et al. 2022.

    The model's own score re-weights the largest patch distance by its neighbourhood in the bank
    (equation 7); ``reduction`` offers the map's maximum and extent-aware means beside it.
    With ``positions`` nearby the bank is one by position instead (:mod:`mad_core.scorers.features.positions`),
    whole, and the model's own score is the mean of the map's highest hundredth.
    """

    id = "patchcore"
    scale = 1.0
    nearby: NearbyBank | None = None
    likeness: float | None = None

    @property
    def own_aspect(self) -> bool:
        """Whether each image keeps its aspect and all share one scale: with a backbone that takes any shape."""
        return self.parameters["backbone"] in weights.ANY_SHAPE

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        if self.own_aspect:
            self.scale = working_scale(normals, self.size)
        super().fit(normals, context)

    def prepare(self, image: np.ndarray) -> tuple[torch.Tensor, tuple[int, int]]:
        if not self.own_aspect:
            return super().prepare(image)
        pixels = scaled(image, self.scale, self.size, STRIDES[-1])
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), map_shape(image)

    def collected(self, images: list[torch.Tensor]) -> list[torch.Tensor]:
        return images

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, facts = super().state()
        if self.nearby is not None:
            tensors[NEARBY] = self.nearby.bank
        return tensors, facts | {"scale": self.scale, "likeness": self.likeness}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.scale, self.likeness = float(facts.get("scale", 1.0)), facts.get("likeness")
        own = {name: tensor for name, tensor in tensors.items() if name != NEARBY}
        super().restore(own, facts, context)
        if NEARBY in tensors:
            self.nearby = bank_of_cells(tensors[NEARBY].to(context.device))

    def build(self) -> nn.Module:
        return PatchcoreModel(("layer2", "layer3"), self.architecture(), True, self.parameters["neighbours"])

    def steps(self, normals: int, context: Context) -> int:
        return 2 * normals + self._bank_size(normals)

    def _bank_size(self, normals: int) -> int:
        patches = normals * math.ceil(self.size / 8) ** 2
        return max(1, min(self.parameters["most"], round(patches * self.parameters["coreset"])))

    def learn(self, images: Sequence[torch.Tensor], context: Context) -> None:
        total = self.steps(len(images), context)
        found = self._embedded(images[:LOOKED_AT], context, len(images), total)
        if self._lie_alike(found):
            kept = images[LOOKED_AT : self.parameters["pictures"]]
            found += self._embedded(kept, context, len(images) + LOOKED_AT, total)
            grids = torch.cat([on_grid(features) for features in found])[: self.parameters["pictures"]]
            self.nearby = bank_of_cells(cells(grids))
            context.step(total, total)
            return
        found += self._embedded(images[LOOKED_AT:], context, len(images) + LOOKED_AT, total)
        features = torch.cat([part.permute(0, 2, 3, 1).flatten(0, 2) for part in found])
        found.clear()
        keep = greedy_coreset(features, self._bank_size(len(images)), context, 2 * len(images), total)
        self.model.memory_bank = features[keep.to(features.device)]

    def _lie_alike(self, found: Sequence[torch.Tensor]) -> bool:
        if self.parameters["positions"] is not None:
            return self.parameters["positions"] == "nearby"
        self.likeness = round(likeness(torch.cat([on_grid(features) for features in found])), 4)
        return self.likeness < ALIKE

    @torch.inference_mode()
    def _embedded(self, images: Sequence[torch.Tensor], context: Context, done: int, total: int) -> list[torch.Tensor]:
        """The model's patch features of normals, (B, C, H, W) a batch."""
        self.model.eval()
        found = []
        for batch in self.batches(images):
            found.append(self._patches(self.normalised(batch, context)))
            done += len(batch)
            context.step(done, total)
        return found

    def _patches(self, images: torch.Tensor) -> torch.Tensor:
        """The model's patch features of normalised images, (B, C, H, W)."""
        features = {name: self.model.feature_pooler(f) for name, f in self.model.feature_extractor(images).items()}
        return self.model.generate_embedding(features)

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.nearby is None:
            return super().predict(images)
        maps = nearby_distance(on_grid(self._patches(images)), self.nearby)
        highest = maps.flatten(1).topk(maps[0].numel() // 100).values
        return highest.mean(1), maps

    def facts(self) -> dict[str, Any]:
        return super().facts() | {
            "positions": "anywhere" if self.nearby is None else "nearby",
            "likeness_of_normals": self.likeness,
        }
