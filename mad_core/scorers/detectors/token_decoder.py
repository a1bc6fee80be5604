"""What detectors share that decode the tokens of a frozen DINOv2: how weights start, and the published schedule."""

from collections.abc import Mapping

import torch
from anomalib.models.image.dinomaly.components import StableAdamW, WarmCosineScheduler
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.trained_scorer import TrainedScorer


class TokenDecoder(TrainedScorer):
    """A decoder behind a frozen ``encoder``, trained with a warmed-up cosine schedule.

    ``learned`` names the parts that are trained, ``clipped`` those whose gradients are clipped together, ``rates`` the
    learning rate and what it falls to, and ``eps`` is the optimiser's.
    """

    frozen = ("encoder.",)
    default_steps: Mapping[str, int] = {"cpu": 60, "cuda": 2000}
    learned: tuple[str, ...] = ()
    clipped: tuple[str, ...] = ()
    rates = (1e-3, 1e-4)
    eps = 1e-10

    def started(self, model: nn.Module) -> nn.Module:
        """The model with its encoder held and the weights of what is trained drawn as published."""
        model.get_submodule("encoder").requires_grad_(False)
        for name in self.learned:
            for module in model.get_submodule(name).modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        trained = self._weights(self.learned)
        return StableAdamW(trained, lr=self.rates[0], betas=(0.9, 0.999), weight_decay=1e-4, amsgrad=True, eps=self.eps)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        optimiser, steps = self.optimiser(), self.training_steps(context)
        schedule = WarmCosineScheduler(optimiser, *self.rates, total_iters=steps, warmup_iters=min(100, steps // 4))
        self.model.train()
        self.model.encoder.eval()
        for step, batch in enumerate(self.drawn_batches(images, context)):
            optimiser.zero_grad()
            self.loss_at(step, steps, batch).backward()
            nn.utils.clip_grad_norm_(self._weights(self.clipped), 0.1)
            optimiser.step()
            schedule.step()

    def loss_at(self, step: int, steps: int, batch: torch.Tensor) -> torch.Tensor:
        """The training loss of a batch at one of all steps."""
        return self.loss(batch)

    def _weights(self, names: tuple[str, ...]) -> list[nn.Parameter]:
        return [weight for name in names for weight in self.model.get_submodule(name).parameters()]
