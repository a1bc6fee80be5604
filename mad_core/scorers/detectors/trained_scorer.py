"""What detectors that train on the normals share: optimiser steps on random batches, with progress and cancel.

Published schedules run for many epochs on a GPU; ``steps`` left open means a schedule this device
finishes in minutes, and the run records how many steps it took.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping

import torch

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.model_scorer import ModelScorer

TRAINING_BATCH = 8
STEPS = {"cpu": 200, "cuda": 2000}


class TrainedScorer(ModelScorer):
    """A model that takes ``steps`` optimiser steps on random batches of normals."""

    default_steps: Mapping[str, int] = STEPS

    def training_steps(self, context: Context) -> int:
        return self.parameters["steps"] or self.default_steps[context.device.partition(":")[0]]

    def steps(self, normals: int, context: Context) -> int:
        return normals + self.training_steps(context)

    def drawn_batches(self, images: torch.Tensor, context: Context) -> Iterator[torch.Tensor]:
        """Normalised batches drawn without replacement, epoch after epoch, with progress and cancel."""
        total, steps = self.steps(len(images), context), self.training_steps(context)
        generator, order = context.torch_generator(), torch.empty(0, dtype=torch.int64)
        size = min(TRAINING_BATCH, len(images))
        for step in range(steps):
            if len(order) < size:
                order = torch.cat([order, torch.randperm(len(images), generator=generator)])
            chosen, order = order[:size], order[size:]
            yield self.normalised(images[chosen], context)
            context.step(len(images) + step + 1, total)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        optimiser = self.optimiser()
        self.model.train()
        for batch in self.drawn_batches(images, context):
            optimiser.zero_grad()
            self.loss(batch).backward()
            optimiser.step()

    @abstractmethod
    def optimiser(self) -> torch.optim.Optimizer:
        """The published optimiser over what is trained."""

    @abstractmethod
    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """The training loss of a normalised batch (N, 3, S, S)."""
