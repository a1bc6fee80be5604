"""PatchCore: a memory bank of patch features; Roth et al. 2022, https://arxiv.org/abs/2106.08265."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from torch import nn

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.detectors.model_scorer import FEWEST_NORMALS, BuiltScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.coreset import CoresetStream, greedy_coreset
from mad_core.scorers.features.formula_net import STRIDES
from mad_core.scorers.features.neighbours import NearbyBank, RowBank
from mad_core.scorers.features.positions import (
    ALIKE,
    LOOKED_AT,
    bank_of_cells,
    cells,
    likeness,
    nearby_distance,
    on_grid,
)
from mad_core.scorers.image_scorer import joined_samples, map_shape, readable_normals, sample, scaled, working_scale

MOST_STREAMED = 5000
"""Normals that a fit looks at, drawn by the seed."""
NEARBY = "nearby"
"""Name under which a bank by position is kept."""


class PatchCore(BuiltScorer):
    """Memory bank of patch features, thinned by a greedy coreset; Roth et al. 2022.

    The model's own score re-weights the largest patch distance by its neighbourhood in the bank
    (equation 7); ``reduction`` offers the map's maximum and extent-aware means beside it.
    With ``positions`` nearby the bank is one by position instead (:mod:`mad_core.scorers.features.positions`),
    whole, and the model's own score is the mean of the map's highest hundredth.
    """

    id = "patchcore"
    positionless: Mapping[str, Any] = {"positions": "anywhere"}
    scale = 1.0
    nearby: NearbyBank | None = None
    _searched: RowBank | None = None
    seen = 0
    """Normals that it has learned from."""
    likeness: float | None = None

    @property
    def own_aspect(self) -> bool:
        """Whether each image keeps its aspect and all share one scale: with a backbone that takes any shape."""
        return self.parameters["backbone"] in weights.ANY_SHAPE

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        """Normals are read, looked at and forgotten one after the other: of all of them the coreset stays alone."""
        if self.own_aspect:
            self.scale = working_scale(normals, self.size)
        chosen = sample(normals, MOST_STREAMED, context)
        context.seed_libraries()
        self._create(context)
        self._learn(chosen, context)
        self.model.eval()

    def prepare(self, image: np.ndarray) -> tuple[torch.Tensor, tuple[int, int]]:
        if not self.own_aspect:
            return super().prepare(image)
        pixels = scaled(image, self.scale, self.size, STRIDES[-1])
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), map_shape(image)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors, facts = super().state()
        if self.nearby is not None:
            tensors[NEARBY] = self.nearby.bank
        return tensors, facts | {"scale": self.scale, "likeness": self.likeness, "seen": self.seen}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.scale, self.likeness = float(facts.get("scale", 1.0)), facts.get("likeness")
        self.seen = int(facts.get("seen", 0))
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

    def _learn(self, normals: Sequence[Item], context: Context) -> None:
        total, count = self.steps(len(normals), context), self._bank_size(len(normals))
        step = lambda done: context.step(done * 2, total)  # noqa: E731 - reading and looking at it
        images = readable_normals(normals, self.prepare, context, fewest=FEWEST_NORMALS, step=step, read=self.read)
        parts = self._streamed((image for image, _ in images), context)
        first: list[torch.Tensor] = []
        while sum(map(len, first)) < LOOKED_AT and (part := next(parts, None)) is not None:
            first.append(part)
        self.seen = len(normals)
        if first and self._lie_alike(first):
            self._keep_positions(first, parts)
            context.step(total, total)
            return
        expected = len(normals) * first[0][0, 0].numel() if first else 0
        stream = CoresetStream(count, expected, context)
        for part in itertools.chain(first, parts):
            stream.add(part.permute(0, 2, 3, 1).flatten(0, 2))
        self.model.memory_bank = stream.finish(2 * len(normals), total)

    def _keep_positions(self, first: list[torch.Tensor], parts: Iterator[torch.Tensor]) -> None:
        """A bank by position of the first normals, as many as are kept whole; the others are read all the same."""
        most = self.parameters["pictures"]
        grids, count = [on_grid(part) for part in first], sum(map(len, first))
        for part in parts:
            if count < most:
                grids.append(on_grid(part))
                count += len(part)
            else:
                break
        self.nearby = bank_of_cells(cells(torch.cat(grids)[:most]))

    @torch.inference_mode()
    def _streamed(self, images: Iterable[torch.Tensor], context: Context) -> Iterator[torch.Tensor]:
        """The model's patch features of normals, (B, C, H, W) a batch, one after the other."""
        self.model.eval()
        for batch in self.batches(images):
            yield self._patches(self.normalised(batch, context))

    def add_normals(self, normals: Sequence[Item], context: Context) -> None:
        """New patches that lie far from the bank join it, as many as a fit would have kept of these normals.

        A bank that would hold more than ``most`` patches is thinned; one by position keeps a sample of all normals.
        """
        total = 2 * len(normals) + self._bank_size(len(normals))
        images = self.read_further(normals, context, total)
        parts = self._embedded(images, context, len(images), total)
        self.seen += len(images)
        if self.nearby is not None:
            self._join_positions(torch.cat([on_grid(features) for features in parts]), context)
            return
        bank, rows = self.model.memory_bank, torch.cat([part.permute(0, 2, 3, 1).flatten(0, 2) for part in parts])
        keep = greedy_coreset(rows, self._bank_size(len(images)), context, 2 * len(images), total, beside=bank)
        bank = torch.cat([bank, rows[keep.to(rows.device)]])
        if len(bank) > self.parameters["most"]:
            thinned = greedy_coreset(bank, self.parameters["most"], context, total, total)
            bank = bank[thinned.to(bank.device)]
        self.model.memory_bank = bank

    def _join_positions(self, grids: torch.Tensor, context: Context) -> None:
        """New features on the grid (N, C, GRID, GRID) join the bank by position."""
        assert self.nearby is not None
        old, new = self.nearby.bank, cells(grids)
        most, seen = self.parameters["pictures"], self.seen - len(grids)
        kept, taken = joined_samples(old.shape[1], new.shape[1], seen, most, context.rng())
        self.nearby = bank_of_cells(torch.cat([old[:, kept], new[:, taken]], 1))

    def _lie_alike(self, parts: Sequence[torch.Tensor]) -> bool:
        if self.parameters["positions"] is not None:
            return self.parameters["positions"] == "nearby"
        self.likeness = round(likeness(torch.cat([on_grid(features) for features in parts])[:LOOKED_AT]), 4)
        return self.likeness < ALIKE

    @torch.inference_mode()
    def _embedded(self, images: Sequence[torch.Tensor], context: Context, done: int, total: int) -> list[torch.Tensor]:
        """The model's patch features of normals, (B, C, H, W) a batch."""
        self.model.eval()
        parts = []
        for batch in self.batches(images):
            parts.append(self._patches(self.normalised(batch, context)))
            done += len(batch)
            context.step(done, total)
        return parts

    def _patches(self, images: torch.Tensor) -> torch.Tensor:
        """The model's patch features of normalised images, (B, C, H, W)."""
        features = {name: self.model.feature_pooler(f) for name, f in self.model.feature_extractor(images).items()}
        return self.model.generate_embedding(features)

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.nearby is not None:
            maps = nearby_distance(on_grid(self._patches(images)), self.nearby)
            highest = maps.flatten(1).topk(maps[0].numel() // 100).values
            return highest.mean(1), maps
        if images.device.type != "cpu":
            return super().predict(images)
        return self._anywhere(images, self._bank())

    def traceable(self) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]:
        if self.nearby is not None:
            return self.predict
        bank = RowBank(self.model.memory_bank, bounded=False)
        return lambda images: self._anywhere(images, bank)

    def _anywhere(self, images: torch.Tensor, bank: RowBank) -> tuple[torch.Tensor, torch.Tensor]:
        """What anomalib's model gives, from a faster search of the bank."""
        model, features = self.model, self._patches(images)
        count, channels, *grid = features.shape
        rows = features.permute(0, 2, 3, 1).reshape(-1, channels)
        distances = bank.nearest(rows).view(count, -1)
        worst = distances.argmax(1)
        places = torch.zeros(distances.shape, dtype=torch.int64)
        asked = rows.view(count, -1, channels)[torch.arange(count), worst]
        places[torch.arange(count), worst] = model.nearest_neighbors(asked, n_neighbors=1)[1]
        scores = model.compute_anomaly_score(distances, places, rows)
        maps = model.anomaly_map_generator(distances.view(count, 1, *grid), images.shape[-2:])
        return scores.flatten(), maps.view(count, *maps.shape[-2:])

    def _bank(self) -> RowBank:
        if self._searched is None or self._searched.rows is not self.model.memory_bank:
            self._searched = RowBank(self.model.memory_bank)
        return self._searched

    def close(self) -> None:
        self._searched = None
        super().close()

    def facts(self) -> dict[str, Any]:
        return super().facts() | {
            "positions": "anywhere" if self.nearby is None else "nearby",
            "likeness_of_normals": self.likeness,
        }
