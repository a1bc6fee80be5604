"""What the stages share: an optimiser with warm-up and cosine decay, and a checkpoint that is taken up again."""

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

WARM_UP = 200


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


class Course:
    """The training of one model up to a number of steps.

    Parameters
    ----------
    model : Module
    path : Path
        Checkpoint; read if it is there.
    steps : int
    rate : float
        Highest learning rate.
    seed : int
        Every step draws from a generator seeded by it and the step's number.
    """

    def __init__(self, model: nn.Module, path: Path, steps: int, rate: float, seed: int) -> None:
        self.model, self.path, self.steps, self.rate, self.seed = model, path, steps, rate, seed
        matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
        others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
        self.step, self.loss = 0, math.nan
        if path.exists():
            kept = torch.load(path, map_location="cpu", weights_only=True)
            model.load_state_dict(kept["model"])
            self.optimizer.load_state_dict(kept["optimizer"])
            self.step = kept["step"]

    @property
    def over(self) -> bool:
        return self.step >= self.steps

    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.step])

    def learn(self, loss: torch.Tensor) -> None:
        """One step of the optimiser."""
        share = min(1.0, (self.step + 1) / WARM_UP) * (
            0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * share
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        now = float(loss.detach())
        self.loss = now if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * now

    def save(self) -> None:
        building = self.path.with_suffix(".part")
        torch.save(
            {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}, building
        )
        building.replace(self.path)
