"""What detectors through anomalib's torch models share: fitted on normals, raw scores and maps.

anomalib's ``Engine`` is left out on purpose: it writes folders nobody asked for, fits thresholds on
labelled test images, and clamps scores to 0-1, which ties the most severe images.
"""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mad_core.scorers.contract import Context, Item
from mad_core.scorers.features import weights
from mad_core.scorers.features.backbones import changed_tensors, local_weights, put_tensors
from mad_core.scorers.features.compiled import slow_down, speed_up
from mad_core.scorers.graph import Graph, PictureGraph
from mad_core.scorers.image_scorer import DeepScorer, map_shape, on_aspect, read_normals, resized, sample
from mad_core.scorers.reductions import reduce_map

HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""How the backbones that need no download take pixels: -1 to 1."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
MOST_NORMALS = 1000
FEWEST_NORMALS = 4


class BuiltScorer(DeepScorer):
    """An anomalib torch model of one subset.

    Subclasses say how the model is built and fitted; ``frozen`` names the submodules that come from the weights file
    and are not kept with the fitted state.
    """

    id = ""
    frozen: tuple[str, ...] = ("feature_extractor.",)
    most_normals = MOST_NORMALS
    has_map = True
    normalisation: tuple[Sequence[float], Sequence[float]] = IMAGENET

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.size = int(parameters["size"])
        self.weights: Path | None = None
        self.model: Any = None

    @abstractmethod
    def build(self) -> nn.Module:
        """A fresh model; called within :func:`local_weights`."""

    def steps(self, normals: int, context: Context) -> int:
        """Steps of progress of a fit, reading included."""
        return 2 * normals

    def read_further(self, normals: Sequence[Item], context: Context, total: int) -> list[torch.Tensor]:
        """Further normals, prepared as a fit's are."""
        prepared = read_normals(normals, self.prepare, context, fewest=1, total=total, read=self.read)
        return [image for image, _ in prepared]

    def _create(self, context: Context) -> None:
        self.weights = weights.resolve(self.id, self.parameters, context.weights) if self.frozen else None
        with local_weights(self.weights):
            self.model = self.build().to(context.device)
        if "feature_extractor." in self.frozen and torch.device(context.device).type == "cpu":
            speed_up(self.model)

    def prepare(self, image: np.ndarray) -> tuple[torch.Tensor, tuple[int, int]]:
        """The image squeezed to a square of ``size``, as published, (3, S, S), and its map's shape."""
        square = resized(image, (self.size, self.size))
        return torch.from_numpy(square.transpose(2, 0, 1).copy()), map_shape(image)

    def batches(self, images: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Neighbours of one shape together, at most ``batch`` of them, in their order."""
        for _, group in itertools.groupby(images, lambda image: image.shape):
            while alike := list(itertools.islice(group, self.batch)):
                yield torch.stack(alike)

    def normalised(self, images: torch.Tensor, context: Context) -> torch.Tensor:
        """Images (N, 3, S, S), uint8 or in 0-1, as float32 in the range the model was trained on."""
        moments = HALVES if self.parameters.get("backbone") in weights.ANY_SHAPE else self.normalisation
        mean, deviation = (torch.tensor(v, device=context.device).view(1, 3, 1, 1) for v in moments)
        unit = images.to(context.device).float()
        return ((unit if images.is_floating_point() else unit / 255) - mean) / deviation

    @torch.inference_mode()
    def infer(
        self, prepared: Sequence[tuple[torch.Tensor, tuple[int, int]]], context: Context
    ) -> list[tuple[float, np.ndarray | None]]:
        results: list[tuple[float, torch.Tensor | None]] = []
        for batch in self.batches([image for image, _ in prepared]):
            scores, maps = self.predict(self.normalised(batch, context))
            results += zip(scores.tolist(), [None] * len(batch) if maps is None else maps, strict=True)
        return [self._reduced(*one, shape) for one, (_, shape) in zip(results, prepared, strict=True)]

    def _reduced(
        self, score: float, anomaly_map: torch.Tensor | None, shape: tuple[int, int]
    ) -> tuple[float, np.ndarray | None]:
        if anomaly_map is None:
            return score, None
        resized = on_aspect(anomaly_map, shape)
        reduction = self.parameters["reduction"]
        return (score if reduction == "model" else reduce_map(resized, reduction)), resized

    def graph(self, height: int, width: int, context: Context) -> Graph:
        prepared, shape = self.prepare(np.zeros((height, width, 3), np.uint8))
        slow_down(self.model)
        answer = self.traceable()

        def whole(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
            return answer(self.normalised(image.to(torch.uint8), context))

        size, working = (height, width), (prepared.shape[1], prepared.shape[2])
        reduction = str(self.parameters.get("reduction", ""))
        return PictureGraph(self.model, size, working, whole, shape if self.has_map else None, reduction)

    def traceable(self) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]:
        """:meth:`predict`, or the same in a form that does not depend on what it computes."""
        return self.predict

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scores (N,) and maps (N, H, W) of normalised images."""
        output = self.model(images)
        maps = output.anomaly_map
        return output.pred_score.flatten(), None if maps is None else maps.view(len(images), *maps.shape[-2:])

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        return changed_tensors(self.model, self.frozen), {"weights_digest": weights.digest(self.weights)}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        context.seed_libraries()
        self._create(context)
        put_tensors(self.model, dict(tensors), context.device)
        self.model.eval()

    def facts(self) -> dict[str, Any]:
        origin = {"weights": self.parameters.get("weights", "none"), "weights_digest": weights.digest(self.weights)}
        return origin | {
            "size": self.size,
            "parameters_m": round(sum(p.numel() for p in self.model.parameters()) / 1e6, 2),
        }

    def close(self) -> None:
        self.model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def architecture(self) -> str:
        """The backbone's name without the tag of its weights, as anomalib's own tables know it."""
        return str(self.parameters["backbone"]).partition(".")[0]

    def gather(self, images: Sequence[torch.Tensor] | torch.Tensor, context: Context, total: int) -> None:
        """Run all normals through the model in training mode, in which it collects what it needs."""
        self.model.train()
        for name in self.frozen:
            self.model.get_submodule(name.rstrip(".")).eval()
        with torch.no_grad():
            done = len(images)
            for batch in self.batches(images):
                self.model(self.normalised(batch, context))
                done += len(batch)
                context.step(done, total)


class ModelScorer(BuiltScorer):
    """A model that learns from all normals at once."""

    @abstractmethod
    def learn(self, images: torch.Tensor, context: Context) -> None:
        """Fit ``self.model`` to ``images``, (N, 3, H, W) as prepared; progress starts at N of :meth:`steps`."""

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        chosen = sample(normals, self.most_normals, context)
        total = self.steps(len(chosen), context)
        prepared = read_normals(chosen, self.prepare, context, fewest=FEWEST_NORMALS, total=total, read=self.read)
        context.seed_libraries()
        self._create(context)
        self.learn(self.collected([image for image, _ in prepared]), context)
        self.model.eval()

    def collected(self, images: list[torch.Tensor]) -> Any:
        """Prepared normals in the form :meth:`learn` takes."""
        return torch.stack(images)
