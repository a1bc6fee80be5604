"""INP-Former: normal prototypes of each picture guide its reconstruction; Luo et al. 2025, https://arxiv.org/abs/2503.02424."""

from collections.abc import Mapping

import torch
from anomalib.models.image.dinomaly.components import StableAdamW, WarmCosineScheduler
from anomalib.models.image.inp_former.torch_model import InpFormerModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.dino import WholePatches
from mad_core.scorers.detectors.trained_scorer import TrainedScorer

LEARNED = ("bottleneck", "decoder", "aggregation", "prototype_token")


class InpFormer(WholePatches, TrainedScorer):
    """A decoder gives a picture's tokens back from the normal prototypes that were found in it."""

    id = "inp-former"
    frozen = ("encoder.",)
    default_steps: Mapping[str, int] = {"cpu": 60, "cuda": 2000}

    def build(self) -> nn.Module:
        model = InpFormerModel(self.architecture(), self.parameters["prototypes"], remove_class_token=True)
        model.encoder.requires_grad_(False)
        for name in LEARNED:
            for module in model.get_submodule(name).modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        learned = [weight for name in LEARNED for weight in self.model.get_submodule(name).parameters()]
        return StableAdamW(learned, lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-4, amsgrad=True, eps=1e-10)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        optimiser, steps = self.optimiser(), self.training_steps(context)
        schedule = WarmCosineScheduler(optimiser, 1e-3, 1e-4, total_iters=steps, warmup_iters=min(100, steps // 4))
        self.model.train()
        self.model.encoder.eval()
        for batch in self.drawn_batches(images, context):
            optimiser.zero_grad()
            self.loss(batch).backward()
            nn.utils.clip_grad_norm_([w for group in optimiser.param_groups for w in group["params"]], 0.1)
            optimiser.step()
            schedule.step()

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch)
